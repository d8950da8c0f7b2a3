package e2e

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"livebox-agent/testbench/up"
)

// What "make run" does, with the program that is shipped.
func TestDemonstrationSucceeds(t *testing.T) {
	t.Parallel()
	name, err := program()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = up.Run(t.Context(), up.Options{
		For: 15 * time.Second, Dir: filepath.Join(t.TempDir(), "run"), Agent: name, Out: &out,
	})
	if err != nil {
		t.Errorf("Run = %v", err)
	}
	for _, want := range []string{"DeviceInfo.UpTime", "stopped cleanly", "OK: readings of the real agent"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output\n%s\nwant %q in it", out.String(), want)
		}
	}
}
