package storage

import "testing"

func TestEveryDamageIsSurvived(t *testing.T) {
	d, err := damageAll()
	if err != nil {
		t.Fatal(err)
	}
	if err := d.err(); err != nil {
		t.Error(err)
	}
	d.Problems = nil
	t.Logf("%+v", d)
}
