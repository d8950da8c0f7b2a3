package wifi

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/platform/ubus"
	"livebox-agent/collector/platform/ubus/ubustest"
)

// notification is what hostapd tells of station n.
func notification(tb testing.TB, vap, typ string, n int) ubus.Notification {
	tb.Helper()
	addresses := []string{"3c:22:fb:5a:00:00", "3c:22:fb:5a:00:01", "3c:22:fb:5a:00:02"}
	data, err := ubus.AppendTable(nil, ubus.Table{{Name: "address", Value: addresses[n]}, {Name: "freq", Value: int32(5180)}})
	if err != nil {
		tb.Fatal(err)
	}
	return ubus.Notification{Object: "hostapd." + vap, Type: typ, Data: data}
}

func TestAttemptsAsHostapdTellsOfThem(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []string // types; "in" lets the station be a client, "wait" lets time pass
		want  int64
	}{
		{"let in", []string{"auth", "assoc", "sta-authorized", "wait", "deauth", "disassoc"}, 0},
		{"wrong key of WPA2", []string{"auth", "assoc", "key-mismatch", "key-mismatch", "deauth"}, 1},
		{"wrong key of WPA3, three times", []string{
			"auth", "auth", "key-mismatch", "auth", "auth", "key-mismatch", "auth", "auth", "key-mismatch", "wait",
		}, 3},
		{"WPA3 in two frames, let in", []string{"auth", "auth", "assoc", "sta-authorized", "wait"}, 0},
		{"no word of the end", []string{"auth", "assoc", "wait"}, 1},
		{"refused before the association", []string{"auth", "wait"}, 1},
		{"tries again and again until it is let in", []string{
			"auth", "assoc", "auth", "assoc", "auth", "assoc", "sta-authorized", "wait",
		}, 2},
		{"associates anew without authentication", []string{"assoc", "assoc", "wait"}, 2},
		{"taken out by hostapd", []string{"auth", "assoc", "local-deauth", "wait"}, 1},
		{"an old hostapd, let in", []string{"auth", "assoc", "in", "wait", "deauth"}, 0},
		{"who looks around", []string{"probe", "wait"}, 0},
		{"who leaves", []string{"deauth", "disassoc", "inactive-deauth", "wait"}, 0},
		{"let in at another access point", []string{"auth", "assoc", "other", "wait"}, 0},
		{"another device is let in", []string{"auth", "assoc", "somebody", "wait"}, 1},
		{"does not hold together", []string{"broken", "nameless", "wait"}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				j := NewJoins(JoinsConfig{})
				h := &hostapdJoins{attempts: &attempts{joins: j, open: map[attemptKey]*attempt{}}, looks: hostapdLooks()}
				j.watch([]string{"wlan0", "wlan1"})
				v := notYet
				for _, s := range tt.steps {
					switch s {
					case "in":
						v = isIn
					case "other":
						h.take(notification(t, "wlan1", "sta-authorized", 1))
					case "somebody":
						h.take(notification(t, "wlan0", "sta-authorized", 2))
					case "broken":
						h.take(ubus.Notification{Object: "hostapd.wlan0", Type: "assoc", Data: []byte{0x83, 0, 0, 0x40}})
					case "nameless":
						h.take(ubus.Notification{Object: "hostapd.wlan0", Type: "assoc"})
						h.take(notification(t, addressName, "assoc", 1))
					case "wait":
						for next := h.next(h.looks); !next.IsZero(); next = h.next(h.looks) {
							after(time.Until(next))
							if err := h.look(h.looks, func(attemptKey, *attempt) (verdict, error) { return v, nil }); err != nil {
								t.Fatal(err)
							}
						}
					default:
						h.take(notification(t, "wlan0", s, 1))
					}
				}
				if n, ok := j.failures("wlan0"); n != tt.want || !ok {
					t.Errorf("%d failures, %t; want %d", n, ok, tt.want)
				}
				if n, ok := j.failures("wlan1"); n != 0 || !ok {
					t.Errorf("%d failures, %t, elsewhere", n, ok)
				}
			})
		})
	}
}

func TestClientIsAskedFor(t *testing.T) {
	for reply, want := range map[string]bool{
		clientsReply: true,
		`{"freq":5180,"clients":{"3C:22:FB:5A:00:01":{"auth":true,"assoc":true,"authorized":false}}}`: false,
		`{"clients":{"3c:22:fb:5a:00:01":{}}}`:                                                        false,
		`{"clients":{"3c:22:fb:5a:00:02":{"authorized":true},"x":{}}}`:                                false,
		`{"clients":{"3c:22:fb:5a:00:01":{"authorized":1},"y":"z"}}`:                                  true,
		`{"clients":{}}`: false,
	} {
		n, err := tree.Parse([]byte(reply))
		if err != nil {
			t.Fatal(err)
		}
		if in, err := isClient(n, stationMAC(1)); in != want || err != nil {
			t.Errorf("%s: %t, %v; want %t", reply, in, err, want)
		}
	}
	if _, err := isClient(tree.New([]any{}), stationMAC(1)); !errors.Is(err, tree.ErrMalformed) {
		t.Errorf("no object: %v; want ErrMalformed", err)
	}
}

// What hostapd says while it is watched: that it may not be, and that it is gone.
func TestWatcherOfHostapd(t *testing.T) {
	noKernel := func() (Conn, error) { return nil, unix.EPROTONOSUPPORT }
	w := newOpenWrt(t)
	j := NewJoins(JoinsConfig{Dial: noKernel, Ubus: w.path})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	ended := make(chan error)
	go func() { ended <- j.Run(ctx, nil) }()
	radios := NewIwinfoRadios(w.bus(t), j)
	for ctx.Err() == nil {
		if v, ok := must(t, radios)["phy0-ap0"][catalogue.RadioAssociationFailures]; ok && v == 0 {
			break
		}
	}
	_ = w.server.Close()
	if err := <-ended; err == nil || errors.Is(err, collector.ErrNoData) || ctx.Err() != nil {
		t.Errorf("Run = %v; want that the bus is gone", err)
	}

	for _, tt := range []struct {
		name    string
		objects []ubustest.Object
		want    error
	}{
		{"no access point", []ubustest.Object{{Path: "system"}}, collector.ErrNoData},
		{"not allowed", []ubustest.Object{{Path: "hostapd.wlan0", Private: true}}, collector.ErrRefused},
	} {
		w := newOpenWrt(t)
		_ = w.server.Close()
		s, err := ubustest.Listen(w.path, ubustest.Fixed(tt.objects...), nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := NewJoins(JoinsConfig{Dial: noKernel, Ubus: w.path}).Run(t.Context(), nil); !errors.Is(err, tt.want) {
			t.Errorf("%s: Run = %v; want %v", tt.name, err, tt.want)
		}
		_ = s.Close()
	}
}

func FuzzHostapdNotification(f *testing.F) {
	f.Add("auth", notification(f, "a", "auth", 1).Data)
	f.Add("key-mismatch", []byte{0x83, 0, 0, 0x40})
	f.Fuzz(func(t *testing.T, typ string, data []byte) {
		j := NewJoins(JoinsConfig{})
		h := &hostapdJoins{attempts: &attempts{joins: j, open: map[attemptKey]*attempt{}}}
		for _, typ := range []string{typ, "assoc", "assoc"} {
			h.take(ubus.Notification{Object: "hostapd.wlan0", Type: typ, Data: data})
		}
		if n, _ := j.failures("wlan0"); n > 2 || len(h.open) > 1 {
			t.Errorf("%d failures and %d attempts of three notifications", n, len(h.open))
		}
	})
}
