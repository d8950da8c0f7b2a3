package storm

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"livebox-agent/uplink"
)

// small is how much smaller than in the study fleets are in tests.
const small = 100

// figures runs a case of the study in small and returns the figures of a
// policy.
func figures(t *testing.T, name, policy string) (Figures, Scenario) {
	t.Helper()
	for _, c := range Cases(1, small) {
		if c.Name != name {
			continue
		}
		for _, p := range c.Policies {
			if made := p(c.Scenario); made.Name() == policy {
				f := Simulate(c.Scenario, made).Figures()
				t.Logf("%s, %s: %+v", name, policy, f)
				return f, c.Scenario
			}
		}
	}
	t.Fatalf("no policy %q in a case %q", policy, name)
	return Figures{}, Scenario{}
}

// What the agent does to a broker stays in proportion to what the broker can
// do, everyone is back in time, and nobody pays for the others.
func TestStormsStayInBounds(t *testing.T) {
	for _, tt := range []struct {
		name  string
		peak  float64       // over capacity, at most
		most  time.Duration // until 99 % are back
		tries int           // of the box at 99 %
		gini  float64
	}{
		{"street", 64, 11 * time.Minute, 1, 0.45}, // of one box
		{"town", 1, 11 * time.Minute, 1, 0.45},
		{"region", 9, 27 * time.Minute, 8, 0.45},
		{"country", 7, 25 * time.Minute, 8, 0.45},
		{"restart", 15, 27 * time.Minute, 8, 0.45},
		{"silent", 12, 27 * time.Minute, 8, 0.45},
		{"outage", 4, 25 * time.Minute, 50, 0.45},
		{"announced", 2.5, 30 * time.Minute, 3, 0.45},
		{"refusals", 12, 45 * time.Minute, 12, 0.45},
		{"shed", 5, 30 * time.Minute, 6, 0.45},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, sc := figures(t, tt.name, "agent")
			if most := tt.peak * sc.Broker.Rate; float64(f.Peak) > max(most, 2) {
				t.Errorf("%d attempts in a second; want at most %.0f", f.Peak, most)
			}
			if f.Never != 0 || f.Most > tt.most {
				t.Errorf("99 %% back after %v, %d never; want all, within %v", f.Most, f.Never, tt.most)
			}
			if f.TriesMost > tt.tries || f.Gini > tt.gini {
				t.Errorf("%d tries at 99 %%, Gini %.2f; want at most %d and %.2f", f.TriesMost, f.Gini, tt.tries, tt.gini)
			}
		})
	}
}

// The tests can see a bad policy: the others, and the agent with other waits.
func TestBadPoliciesAreSeen(t *testing.T) {
	for _, tt := range []struct {
		name, policy string
		bad          func(f, agent Figures) bool
	}{
		{"region", "agent, 2 s and 5 min", func(f, a Figures) bool { return f.Peak > 3*a.Peak }},
		{"restart", "agent, 2 s and 5 min", func(f, a Figures) bool { return f.PeakDown > 20*a.PeakDown }},
		{"region", "paho", func(f, a Figures) bool { return f.Peak == f.Boxes && f.Never > f.Boxes/2 }},
		{"region", "25 % jitter", func(f, a Figures) bool { return f.Peak > 100*a.Peak && f.Attempts > 3*a.Attempts }},
		{"refusals", "25 % jitter", func(f, a Figures) bool { return f.Never > f.Boxes/4 }},
		{"refusals", "agent, at most 5 min", func(f, a Figures) bool { return f.Never > 0 || f.Most > 2*a.Most }},
	} {
		a, _ := figures(t, tt.name, "agent")
		if f, _ := figures(t, tt.name, tt.policy); !tt.bad(f, a) {
			t.Errorf("%s, %s: %+v is not as bad as it should be; the agent: %+v", tt.name, tt.policy, f, a)
		}
	}
}

// A broker that says when to come back refuses nobody, and has everyone back
// sooner than one that refuses.
func TestRetryAfterShedsLoad(t *testing.T) {
	refusing, _ := figures(t, "refusals", "agent")
	shedding, _ := figures(t, "shed", "agent")
	if shedding.Refused > refusing.Refused/100 || shedding.Most >= refusing.Most {
		t.Errorf("shedding: %d refused, 99 %% back after %v; refusing: %d, %v", shedding.Refused, shedding.Most, refusing.Refused, refusing.Most)
	}
	if shedding.Shed == 0 {
		t.Error("nobody was told to come back later")
	}
}

// A fleet that boots in the same instant is spread over the whole wait.
func TestBoxesThatBootTogetherSpreadOut(t *testing.T) {
	const boxes = 60_000
	cfg := uplink.DefaultConfig()
	sc := Scenario{Boxes: boxes, Broker: model(boxes), Horizon: 20 * time.Minute, Seed: 5}
	r := Simulate(sc, NewAgent(cfg, boxes, 5))
	seconds := int(cfg.PowerReturnWait / time.Second)
	even := boxes / seconds
	for s, n := range r.offered[:seconds] {
		if int(n) < even/2 || int(n) > even*2 {
			t.Errorf("second %d: %d connections; want about %d", s, n, even)
		}
	}
	if f := r.Figures(); f.Attempts != boxes || f.All > cfg.PowerReturnWait+time.Second {
		t.Errorf("%+v; want one attempt of each box, within %v", f, cfg.PowerReturnWait)
	}
}

// watched is a policy that notes what it is asked, to be held against what the
// simulation did.
type watched struct {
	Policy

	waits []time.Duration // of each box, in all
}

func (w *watched) add(box int32, d time.Duration) time.Duration {
	w.waits[box] += d
	return d
}
func (w *watched) Start(box int32) time.Duration { return w.add(box, w.Policy.Start(box)) }
func (w *watched) Next(box int32, up time.Duration) time.Duration {
	return w.add(box, w.Policy.Next(box, up))
}

// Whatever the broker and the policy: no box is back before all its waits are
// over, the broker never does more than it can, and every attempt has one end.
func TestEveryScenarioAddsUp(t *testing.T) {
	for seed := range uint64(120) {
		rng := rand.New(rand.NewPCG(seed, 8))
		rate := 1 + 50*rng.Float64()
		b := Broker{
			Rate: rate, Queue: 1 + rng.Float64()*30*rate, RefusalCost: rng.Float64() * 0.9,
			Patience: time.Duration(1+rng.IntN(40)) * time.Second, Down: time.Duration(rng.IntN(1200)) * time.Second,
		}
		if rng.IntN(2) == 0 {
			b.Shed, b.ShedCost = time.Duration(rng.IntN(4000))*time.Millisecond+1, rng.Float64()
		}
		sc := Scenario{
			Boxes: 1 + rng.IntN(3000), Broker: b, Fall: Fall(rng.IntN(4)),
			Spread: time.Duration(1+rng.IntN(600)) * time.Second, Horizon: time.Hour, Seed: seed,
		}
		policies := []func(Scenario) Policy{agentPolicy, pahoPolicy, quarterPolicy}
		w := &watched{Policy: policies[rng.IntN(3)](sc), waits: make([]time.Duration, sc.Boxes)}
		r := Simulate(sc, w)
		for box, late := range r.late {
			if late >= 0 && time.Duration(late+1)*tick < w.waits[box] {
				t.Fatalf("seed %d: box %d is back after %v; its waits are %v", seed, box, time.Duration(late)*tick, w.waits[box])
			}
		}
		done, attempts, down := 0, int64(0), int64(0)
		for s, n := range r.back {
			done += int(n)
			up := max(0, float64(s+1)-b.Down.Seconds()+tick.Seconds())
			if float64(done) > rate*up+2 {
				t.Fatalf("seed %d: %d boxes are back after %d s, of %.0f that the broker can do", seed, done, s+1, rate*up)
			}
		}
		for s, n := range r.offered {
			attempts += int64(n)
			if time.Duration(s+1)*time.Second <= b.Down {
				down += int64(n)
			}
		}
		back := int64(0)
		for _, late := range r.late {
			if late >= 0 {
				back++
			}
		}
		if attempts != down+r.refused+r.wasted+r.shed+back {
			t.Errorf("seed %d: %d attempts, but %d at a dead broker, %d refused, %d wasted, %d shed, %d back",
				seed, attempts, down, r.refused, r.wasted, r.shed, back)
		}
	}
}

func TestSameSeedGivesTheSame(t *testing.T) {
	run := func(seed uint64) map[string]string {
		dir := t.TempDir()
		var tables strings.Builder
		if err := Study(t.Context(), &tables, dir, Cases(seed, 1000)); err != nil {
			t.Fatal(err)
		}
		all := map[string]string{"tables": tables.String()}
		names, err := filepath.Glob(filepath.Join(dir, "*.svg"))
		if err != nil || len(names) != 6 {
			t.Fatalf("pictures %v, %v; want 6", names, err)
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			all[filepath.Base(name)] = string(b)
		}
		return all
	}
	first, again, other := run(1), run(1), run(2)
	for name := range first {
		if first[name] != again[name] {
			t.Errorf("%s: two runs with one seed differ", name)
		}
		if first[name] == other[name] {
			t.Errorf("%s: another seed gives the same", name)
		}
	}
}

// The page shows what the command prints: held for the cases that are quick.
func TestThePageShowsWhatIsSimulated(t *testing.T) {
	page, err := os.ReadFile("RESULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range Cases(1, 1) {
		if c.Scenario.Boxes > town {
			continue
		}
		if table := c.table(c.Run()); !bytes.Contains(page, []byte(table)) {
			t.Errorf("RESULTS.md does not have\n%s", table)
		}
	}
}

func TestGini(t *testing.T) {
	for _, tt := range []struct {
		late []int32
		want float64
	}{
		{[]int32{9, 9, 9, 9}, 0},
		{[]int32{0, 1, 2, 3}, 0.25},
		{[]int32{0, 0, 0, 9999}, 0.7497},
	} {
		r := &Result{late: tt.late}
		if _, _, _, _, got := r.waits(0); fmt.Sprintf("%.4f", got) != fmt.Sprintf("%.4f", tt.want) {
			t.Errorf("%v: %.4f; want %.4f", tt.late, got, tt.want)
		}
	}
}
