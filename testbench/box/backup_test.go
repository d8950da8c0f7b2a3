package box

import "testing"

// drive drives a box by a line of text.
func drive(t *testing.T, b *Box, line string) {
	t.Helper()
	if _, err := b.Do(line); err != nil {
		t.Errorf("%s: %v", line, err)
	}
}

func TestModemStandsInForALivebox(t *testing.T) {
	b, _ := newTestBox(t, Config{Model: "livebox7"})
	for _, tt := range []struct{ line, state, link string }{
		{"backup on", "up", "gpon"},
		{"wan down", "up", "cellular"},
		{"backup off", "down", "gpon"},
		{"backup on", "up", "cellular"},
		{"wan up", "up", "gpon"},
		{"bend 30", "up", "cellular"},
	} {
		drive(t, b.Box, tt.line)
		state, link := b.value(t, "NMC", "getWANStatus", "", "data/WanState"), b.value(t, "NMC", "getWANStatus", "", "data/LinkType")
		if state != tt.state || link != tt.link {
			t.Errorf("after %s: connection %v over %v; want %s over %s", tt.line, state, link, tt.state, tt.link)
		}
	}
	if b.Truth().WANUp {
		t.Error("the fibre is said to carry what the modem does")
	}
	if _, err := b.Do("backup perhaps"); err == nil {
		t.Error("backup perhaps: no error")
	}
}

func TestModemStandsByOnTheBus(t *testing.T) {
	b, _, conn := onBus(t, Config{Model: "openwrt"})
	interfaces := func() (up map[string]bool) {
		n, err := conn.Call(t.Context(), "network.interface", "dump", nil)
		if err != nil {
			t.Fatal(err)
		}
		up = map[string]bool{}
		list, _ := plain(n).(map[string]any)["interface"].([]any)
		for _, e := range list {
			i := e.(map[string]any)
			up[i["interface"].(string)] = i["up"].(bool)
		}
		return up
	}
	if _, there := interfaces()["wwan"]; there {
		t.Error("a modem that nobody has given")
	}
	drive(t, b, "backup on")
	if up := interfaces(); !up["wwan"] || !up["wan"] {
		t.Errorf("interfaces that are up: %v; want both", up)
	}
	drive(t, b, "wan down")
	if up := interfaces(); !up["wwan"] || up["wan"] {
		t.Errorf("interfaces that are up: %v; want the modem's alone", up)
	}
}
