package e2e

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"livebox-agent/agent"
	"livebox-agent/agent/clock"
	"livebox-agent/agent/config"
	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
	emulated "livebox-agent/testbench/box"
	"livebox-agent/testbench/cem"
)

// A story is the life of one box in virtual time: the agent's library on an
// emulated box, hours in seconds. What it has to tell is delivered afterwards, by
// the program as it is shipped, to a real broker and the CEM.
type story struct {
	*bench
	box *emulated.Box
	// now is the time since the kernel of the first boot came up.
	now  atomic.Int64
	tree string
	// signs are what the kernel pushes in this story.
	signs chan sample.Sign
	// source is what is asked in place of the emulated box; nil: that.
	source func(agent.Env) agent.Box
	boots  int
}

// newStory makes the box. It has been up for a day.
func newStory(t *testing.T, model string) *story {
	t.Helper()
	s := &story{bench: newBench(t), tree: t.TempDir()}
	s.now.Store(int64(24 * time.Hour))
	home, err := emulated.New(emulated.Config{
		Model: model, Seed: 7, Password: "secret12", Uptime: 24 * time.Hour,
		Clock: func() time.Duration { return time.Duration(s.now.Load()) - 24*time.Hour },
	})
	if err != nil {
		t.Fatal(err)
	}
	s.box = home
	srv := httptest.NewServer(home.Handler())
	t.Cleanup(srv.Close)
	password := filepath.Join(s.dir, "password")
	if err := os.WriteFile(password, []byte("secret12\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.agent.Set["sysbus.url"] = `"` + srv.URL + `"`
	s.agent.Set["sysbus.password_file"] = `"` + password + `"`
	return s
}

// pushed is the watcher that tells what the story says that the kernel pushes.
type pushed struct{ *story }

func (pushed) Watch() collector.Watch {
	return collector.Watch{Name: "links", Purpose: catalogue.Essential}
}

func (p pushed) Run(ctx context.Context, notice func(sample.Sign)) error {
	for {
		select {
		case s := <-p.signs:
			notice(s)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// jacks are the source ports: what the story's kernel shows of its interfaces
// beside the socket, which is this machine's.
type jacks struct {
	collector.Description
	*story
}

func (j jacks) Describe() collector.Description { return j.Description }

func (j jacks) Collect(_ context.Context, b *sample.Batch) error {
	folder := filepath.Join(j.tree, "sys", "class", "net")
	names, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, n := range names {
		carrier, err := number(filepath.Join(folder, n.Name(), "carrier"))
		if err != nil {
			return err
		}
		b.Add(catalogue.PortCarrier, n.Name(), carrier)
		mbits, err := number(filepath.Join(folder, n.Name(), "speed"))
		if err != nil {
			return err
		}
		if mbits > 0 {
			b.Add(catalogue.PortBitRate, n.Name(), mbits)
		}
	}
	return nil
}

// number reads a file of the kernel.
func number(name string) (int64, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
}

// configuration is that of the program that will deliver, with the intervals and
// windows that boxes have.
func (s *story) configuration(t *testing.T) config.Config {
	t.Helper()
	if err := s.agent.Write(); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(s.agent.File(), agent.SourceNames())
	if err != nil {
		t.Fatal(err)
	}
	def := config.Default()
	cfg.Box.ID, cfg.Box.RunDir = box, "/dev/null/run" // a socket's Accept would stop virtual time
	cfg.Consent.Purposes = []string{"essential"}
	cfg.Sampling = def.Sampling
	cfg.Buffer.SpillAfter = def.Buffer.SpillAfter
	cfg.Uplink.Broker = "tcp://127.0.0.1:1"
	return cfg
}

// A teller drives a story from within its time.
type teller struct {
	t *testing.T
	*story
}

// wait lets time pass. What the kernel's files show of the box is brought up to
// date each minute and at the end.
func (x teller) wait(d time.Duration) {
	end := time.NewTimer(d)
	defer end.Stop()
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	began, from := time.Now(), time.Duration(x.now.Load())
	pass := func() {
		x.now.Store(int64(from + time.Since(began)))
		if err := x.box.WriteTree(x.tree); err != nil {
			x.t.Error(err)
		}
	}
	for {
		select {
		case <-tick.C:
			pass()
		case <-end.C:
			pass()
			return
		}
	}
}

// push has the kernel tell of a port, and lets some time pass.
func (x teller) push(kind sample.SignKind, port string, then time.Duration) {
	x.signs <- sample.Sign{At: time.Duration(x.now.Load()), Kind: kind, Instance: port}
	timer := time.NewTimer(then)
	defer timer.Stop()
	<-timer.C
	x.now.Add(int64(then))
}

// boot runs one boot of the box: tell says what happens, and returns whether the
// power fails at its end; otherwise the agent is asked to stop.
func (s *story) boot(t *testing.T, cfg config.Config, tell func(teller) (powerFails bool)) {
	t.Helper()
	s.boots++
	kernel := []byte{byte(s.boots)}
	born := time.Duration(s.now.Load())
	if s.boots > 1 {
		born = 0
		s.now.Add(int64(time.Second))
	}
	cut := filepath.Join(t.TempDir(), "state")
	synctest.Test(t, func(t *testing.T) {
		s.signs = make(chan sample.Sign, 16) // of this bubble: another's would stop its time
		began := time.Now()
		a, err := agent.New(cfg, agent.Options{
			Log: slog.New(slog.NewTextHandler(s.log, nil)),
			Host: clock.Host{
				Mono:   func() time.Duration { return born + time.Since(began) },
				BootID: func() ([]byte, error) { return kernel, nil },
			},
			Box: func(e agent.Env) agent.Box {
				if s.source != nil {
					return s.source(e)
				}
				e.Sys = filepath.Join(s.tree, "sys")
				b := agent.ThisBox(e)
				b.Watchers = []collector.Watcher{pushed{s}}
				for i, src := range b.Sources {
					if src.Describe().Name == "ports" {
						b.Sources[i] = jacks{src.Describe(), s}
					}
				}
				b.Port = func(name string) bool { return strings.HasPrefix(name, "eth") }
				return b
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.box.WriteTree(s.tree); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		fails := tell(teller{t, s})
		if fails {
			// What is on flash when all has been done that this moment brought is
			// all that there will be.
			synctest.Wait()
			if err := os.CopyFS(cut, os.DirFS(cfg.Box.StateDir)); err != nil {
				t.Error(err)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if fails {
			if err := os.RemoveAll(cfg.Box.StateDir); err != nil {
				t.Error(err)
			}
			if err := os.Rename(cut, cfg.Box.StateDir); err != nil {
				t.Error(err)
			}
		}
	})
}

// told has the shipped program deliver what the story left, all of it, and
// returns what the CEM has then.
func (s *story) told(t *testing.T) cem.BoxState {
	t.Helper()
	state := s.delivered(t)
	once(t, state)
	return state
}

// delivered is told where reports were lost before.
func (s *story) delivered(t *testing.T) cem.BoxState {
	t.Helper()
	s.agent.Set["consent.purposes"] = `["essential"]`
	s.agent.Set["sysbus.url"] = `""` // the box has lived in another time
	s.operatorUp(t)
	p := s.agentUp(t)
	s.ask(t, p, "delivery of all events", func(now agent.Snapshot) bool {
		return now.Connected && now.Counters.BufferedReports < 4
	})
	if err := p.Terminate(patience); err != nil {
		t.Fatal(err)
	}
	return s.await(t, "clean stop", func(now cem.BoxState) bool { return now.Status.GetCleanStop() })
}
