package box

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"livebox-agent/collector/platform/ubus"
)

func TestDeviceThatFailsToJoinIsCounted(t *testing.T) {
	b, _ := newTestBox(t, Config{Model: "livebox7", Stations: 2})
	count := func(vap string) int64 {
		return b.number(t, "NeMo.Intf.lan", "getMIBs", `{"mibs":"wlanvap"}`, "status/wlanvap/"+vap+"/AssociationCount/FailSecurity")
	}
	stations := b.Stations()
	for _, line := range []string{"fail 02:EB:00:00:00:77 3", "fail 02:EB:00:00:00:77", "fail 02:EB:00:00:00:78 2 6GHz"} {
		if _, err := b.Do(line); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if n, m := count("vap5g0priv0"), count("vap6g0priv0"); n != 4 || m != 2 || !slices.Equal(b.Stations(), stations) {
		t.Errorf("%d and %d failures, stations %v; want 4, 2 and no other station", n, m, b.Stations())
	}
	for _, line := range []string{
		"fail", "fail " + stations[0], "fail 02:EB:00:00:00:77 0", "fail 02:EB:00:00:00:77 NaN", "fail 02:EB:00:00:00:77 1 60GHz",
	} {
		if _, err := b.Do(line); err == nil {
			t.Errorf("%q is done", line)
		}
	}
	b.Crash()
	b.context = "" // which ends every session
	if n := count("vap5g0priv0"); n != 0 {
		t.Errorf("%d failures since the box booted", n)
	}
}

func TestHostapdNotifiesOfWhoJoins(t *testing.T) {
	for _, old := range []bool{false, true} {
		b, err := New(Config{Model: "openwrt", OldHostapd: old})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "s")
		server, err := b.ServeUbus(path)
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		s, err := ubus.Subscribe(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.Refresh(t.Context(), "hostapd.*"); err != nil {
			t.Fatal(err)
		}
		mac, err := b.AddStation(Station{Band: "2.4GHz"})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.RemoveStation(mac); err != nil {
			t.Fatal(err)
		}
		if err := b.FailStation(Station{MAC: mac, Band: "2.4GHz"}, 1); err != nil {
			t.Fatal(err)
		}
		want := []string{"auth", "assoc", "sta-authorized", "deauth", "disassoc", "auth", "assoc", "key-mismatch", "key-mismatch", "deauth"}
		if old {
			want = slices.Delete(want, 2, 3)
		}
		var got []string
		for range want {
			n, err := s.Next(t.Context(), time.Now().Add(10*time.Second))
			if err != nil || n.Object != "hostapd.phy0-ap0" {
				t.Fatal(n, err)
			}
			got = append(got, n.Type)
		}
		if !slices.Equal(got, want) {
			t.Errorf("old %t: %q; want %q", old, got, want)
		}
	}
}
