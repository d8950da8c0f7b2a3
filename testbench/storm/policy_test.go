package storm

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"

	"livebox-agent/testbench/pipebroker"
	"livebox-agent/uplink"
)

// The library itself, in virtual time: its connection is lost and no other
// comes about.
func TestPahoModelIsWhatPahoDoes(t *testing.T) {
	const attempts = 15
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex // guards tried and ends
		var tried []time.Time
		var first net.Conn
		client := mqtt.NewClient(mqtt.NewClientOptions().AddBroker("tcp://broker.test:1883").SetClientID("box").
			SetCustomOpenConnectionFn(func(*url.URL, mqtt.ClientOptions) (net.Conn, error) {
				mu.Lock()
				defer mu.Unlock()
				if first == nil {
					near, away := net.Pipe()
					first = away
					go pipebroker.Broker{}.Serve(away)
					return near, nil
				}
				if n := len(tried); n == 0 || !tried[n-1].Equal(time.Now()) { // a refusal is followed by a second try with MQTT 3.1
					tried = append(tried, time.Now())
				}
				return nil, errors.New("refused")
			}))
		if tok := client.Connect(); !tok.WaitTimeout(time.Minute) || tok.Error() != nil {
			t.Fatal("no connection", tok.Error())
		}
		<-time.After(2 * time.Minute)
		mu.Lock()
		lost := time.Now()
		first.Close()
		mu.Unlock()
		<-time.After(2 * time.Hour)
		client.Disconnect(0)
		<-time.After(time.Hour) // it sleeps through its end

		p := NewPaho(1, 1)
		at := p.Next(0, time.Hour)
		for i := range attempts {
			if got := tried[i].Sub(lost); got.Round(time.Second) != at {
				t.Errorf("attempt %d after %v; the model has %v", i+1, got, at)
			}
			at += p.Next(0, 0)
		}
	})
}

func TestQuarterJitterStaysWithinAQuarter(t *testing.T) {
	p := NewQuarter(1000, 1)
	least, most := time.Duration(1<<62), time.Duration(0)
	for box := range int32(1000) {
		for i := range 10 {
			d := p.Next(box, 0)
			bound := min(time.Second<<i, 128*time.Second)
			if d < bound*3/4 || d > bound*5/4 {
				t.Fatalf("wait %d = %v; want %v, a quarter more or less", i+1, d, bound)
			}
			if i == 0 {
				least, most = min(least, d), max(most, d)
			}
		}
	}
	if least > 760*time.Millisecond || most < 1240*time.Millisecond {
		t.Errorf("first waits from %v to %v; want 750ms to 1.25s", least, most)
	}
}

// The waits of a simulated box are those that an uplink with the same random
// numbers would draw.
func TestSimulatedWaitsAreTheUplinks(t *testing.T) {
	cfg := uplink.DefaultConfig()
	a := NewAgent(cfg, 2, 7)
	b := uplink.Backoff{First: uplink.FirstWait, Ceiling: cfg.BackoffMax, Rand: rand.New(rand.NewPCG(7, 1))}
	var s uplink.Standing
	if got, want := a.Start(1), b.PowerReturn(cfg.PowerReturnWait); got != want {
		t.Errorf("first wait %v; the uplink draws %v", got, want)
	}
	for i := range 50 {
		up := time.Duration(0)
		if i == 20 {
			up = time.Hour
		}
		if i == 30 {
			a.RetryAfter(1, time.Hour)
			s.RetryAfter(time.Hour)
		}
		if got, want := a.Next(1, up), b.Next(&s, up, false); got != want {
			t.Fatalf("wait %d = %v; the uplink draws %v", i+1, got, want)
		}
	}
}
