package probe

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/probe/stamptest"
)

func TestNothingIsSentWhileTheLineIsBusy(t *testing.T) {
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		down, up int64
		load     error
		busy     bool
		want     error
	}{
		"down":           {down: 10_000_001, busy: true},
		"up":             {up: 1_000_001, busy: true},
		"both":           {down: 1 << 62, up: 1 << 62, busy: true},
		"neither":        {down: 10_000_000, up: 1_000_000},
		"idle":           {},
		"no line":        {load: fmt.Errorf("no default route: %w", collector.ErrNoData)},
		"cannot be told": {load: broken, want: broken},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(stamptest.Direct)
				s := l.source(t, config(), Options{Load: func(_ context.Context, over time.Duration) (down, up int64, err error) {
					if over < time.Second || len(l.dials) > 0 {
						t.Errorf("listened for %v, %d sockets open", over, len(l.dials))
					}
					return tt.down, tt.up, tt.load
				}})
				got, err := collect(t, s, 0)
				want := readings{"stamp": {catalogue.ProbeSent: 10, catalogue.ProbeReceived: 10, catalogue.ProbeSkipped: 0, catalogue.ProbeRTT: 0, catalogue.ProbeRTTMin: 0, catalogue.ProbeJitter: 0}}
				switch {
				case tt.busy:
					want = readings{"stamp": {catalogue.ProbeSent: 0, catalogue.ProbeReceived: 0, catalogue.ProbeSkipped: 1}}
				case tt.want != nil:
					want = readings{}
				}
				if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, tt.want) || (tt.busy || tt.want != nil) != (l.writes == 0) {
					t.Errorf("%d packets, %v\n%s", l.writes, err, diff)
				}
			})
		})
	}
}

func TestProbingGoesOnWhenTheLineIsIdleAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(stamptest.Direct)
		down := int64(1 << 40)
		s := l.source(t, config(), Options{Load: func(context.Context, time.Duration) (int64, int64, error) { return down, 0, nil }})
		for round := range int64(3) {
			got, err := collect(t, s, time.Duration(round)*time.Minute)
			want := readings{"stamp": {catalogue.ProbeSent: 0, catalogue.ProbeReceived: 0, catalogue.ProbeSkipped: round + 1}}
			if diff := cmp.Diff(want, got); diff != "" || err != nil || len(l.dials) != 0 {
				t.Errorf("%d sockets, %v\n%s", len(l.dials), err, diff)
			}
		}
		down = 0
		if got, err := collect(t, s, 3*time.Minute); err != nil || got["stamp"][catalogue.ProbeReceived] != 10 || got["stamp"][catalogue.ProbeSkipped] != 3 {
			t.Errorf("%v, %v; want a round", got, err)
		}
	})
}
