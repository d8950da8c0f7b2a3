package signals

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"livebox-agent/agent/detect"
	"livebox-agent/agent/rollcall"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	"livebox-agent/uplink/wire"
)

func TestEpisodesOfOrdinaryLifeStayWithinTheBudget(t *testing.T) {
	var b bytes.Buffer
	if err := printEpisodes(&b, detect.DefaultConfig(), Run{Seed: 1, Homes: 8, Days: 15}); err != nil {
		t.Error(err)
	}
	for _, k := range Kinds() {
		if !strings.Contains(b.String(), "| "+k+" |") {
			t.Errorf("%s is not in the table:\n%s", k, b.String())
		}
	}
}

// Life with more of what makes episodes is found out by the same table.
func TestLifeThatMakesEpisodesIsSeen(t *testing.T) {
	gather := func(change func(h *Home)) map[string]int {
		kinds := map[string]int{}
		for _, o := range gatherFrom(detect.DefaultConfig(), Options{Seed: 3, Quiet: true, Access: "dsl"}, 2*day, change) {
			if o.Notice {
				kinds[kindOf(o.Event)]++
			}
		}
		return kinds
	}
	if got := gather(func(*Home) {}); len(got) > 0 {
		t.Errorf("a home in which nothing happens has episodes %v", got)
	}
	for kind, change := range map[string]func(h *Home){
		OfLine:  func(h *Home) { h.line.dlm = h.every(3) },
		OfPorts: func(h *Home) { h.quiet, h.cleaning = false, 20*time.Hour },
		OfMore: func(h *Home) {
			h.line.dlm = h.every(100)
			h.ports[0].sleep = h.every(1000)
		},
		OfRestart: func(h *Home) {
			h.quiet, h.staysOff, h.longOff.at = false, 1, 20*time.Hour
		},
	} {
		if got := gather(change); got[kind] == 0 {
			t.Errorf("%s: a life of that gives %v", kind, got)
		}
	}
}

func TestKindsOfEpisodes(t *testing.T) {
	of := func(kinds ...sample.SignKind) wire.Event {
		e := wire.Event{Type: wire.Surge}
		for _, k := range kinds {
			e.Evidence = append(e.Evidence, wire.Evidence{Sign: sample.Sign{Kind: k}})
		}
		return e
	}
	for _, tt := range []struct {
		event wire.Event
		want  string
	}{
		{wire.Event{Type: wire.Line}, OfLine},
		{of(sample.PortDown, sample.PortDown, sample.PortDead, sample.Level), OfPorts},
		{of(sample.PortDown, sample.Stepped), OfMore},
		{of(sample.PortDown, sample.Restarted, sample.PortDead), OfRestart},
	} {
		if got := kindOf(tt.event); got != tt.want || what(got) == "" || EpisodeBudget(got) <= 0 || !slices.Contains(Kinds(), got) {
			t.Errorf("%+v is %q; want %q", tt.event, got, tt.want)
		}
	}
}

// The readings of links are those of life only, so that other traces stay as they
// were.
func TestLinksAreReadInLifeOnly(t *testing.T) {
	for _, life := range []bool{false, true} {
		links := 0
		h := New(Options{Seed: 2, Life: life}, Sink{
			Batch: func(b *sample.Batch) {
				for _, r := range b.Readings {
					if r.Metric == catalogue.PortCarrier {
						links++
					}
				}
			},
			Sign: func(sample.Sign) {}, Boot: func() {},
		})
		h.Run(rollcall.Patience)
		if (links > 0) != life {
			t.Errorf("life %v: %d readings of links", life, links)
		}
	}
}
