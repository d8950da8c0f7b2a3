package uplink

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"livebox-agent/uplink/wire"
)

func TestDefaultConfigNeedsOnlyBrokerAndFiles(t *testing.T) {
	c := DefaultConfig()
	err := c.Validate()
	if err == nil {
		t.Fatal("DefaultConfig().Validate() = nil; want the four missing keys")
	}
	if got := strings.Split(err.Error(), "\n"); len(got) != 4 {
		t.Errorf("Validate() = %q; want four problems", got)
	}
	c.Broker, c.CAFile, c.CertFile, c.KeyFile = "tls://cem.example.net:8883", "ca", "cert", "key"
	if err := c.Validate(); err != nil {
		t.Errorf("Validate() = %v; want nil", err)
	}
	c = DefaultConfig()
	c.Broker = "tcp://127.0.0.1:1883"
	if err := c.Validate(); err != nil {
		t.Errorf("Validate() of a laboratory = %v; want nil", err)
	}
}

func TestValidateReportsEveryProblemWithItsKey(t *testing.T) {
	c := Config{Broker: "https://user:secret@x/y", Acknowledgement: "maybe", PowerReturnWait: -1}
	err := c.Validate()
	if err == nil {
		t.Fatal("Validate() = nil")
	}
	for _, key := range []string{
		"broker", "ca_file", "cert_file", "key_file", "acknowledgement", "metered", "bandwidth", "backlog_rate", "backlog_bytes", "window", "keepalive",
		"connect_timeout", "write_timeout", "puback_timeout", "backoff_max", "power_return_wait", "resend_after", "not_stored_after",
	} {
		if !strings.Contains("\n"+err.Error(), "\n"+key+": ") {
			t.Errorf("no problem reported for %s", key)
		}
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("Validate() = %v; want no password in it", err)
	}
}

func TestKeepaliveThatTheLibraryCannotHoldIsRefused(t *testing.T) {
	c := labConfig()
	for keepalive, ok := range map[time.Duration]bool{time.Second: false, 5 * time.Second: true} {
		c.KeepAlive = keepalive
		if err := c.Validate(); (err == nil) != ok {
			t.Errorf("keepalive %v: %v; want ok = %v", keepalive, err, ok)
		}
	}
}

func TestBrokerAddresses(t *testing.T) {
	for _, tt := range []struct {
		in string
		ok bool
	}{
		{"tls://cem.example.net:8883", true},
		{"tcp://[::1]:1883", true},
		{"", false},
		{"cem.example.net:8883", false},
		{"tls://cem.example.net", false},
		{"tls://:8883", false},
		{"tls://cem:99999", false},
		{"mqtt://cem:1883", false},
		{"tls://u:p@cem:8883", false},
		{"tls://cem:8883/x", false},
		{"tls://%zz:1", false},
	} {
		if _, err := parseBroker(tt.in); (err == nil) != tt.ok {
			t.Errorf("parseBroker(%q) = %v; want ok = %v", tt.in, err, tt.ok)
		}
	}
}

func TestNewRefusesWhatIsMissing(t *testing.T) {
	r := newRig(t, labConfig(), nil, nil)
	good := r.u.o
	for _, tt := range []struct {
		name   string
		change func(*Options)
	}{
		{"no log", func(o *Options) { o.Log = nil }},
		{"no queue", func(o *Options) { o.Queue = nil }},
		{"no status", func(o *Options) { o.Status = nil }},
		{"no will", func(o *Options) { o.Will = nil }},
		{"no box", func(o *Options) { o.Box = "" }},
		{"wildcard", func(o *Options) { o.Box = "+" }},
		{"level", func(o *Options) { o.Box = "a/b" }},
		{"dot", func(o *Options) { o.Box = "a.b" }},
		{"long", func(o *Options) { o.Box = strings.Repeat("a", 65) }},
	} {
		o := good
		tt.change(&o)
		if _, err := New(labConfig(), o); err == nil {
			t.Errorf("%s: New() = nil error", tt.name)
		}
	}
	if _, err := New(Config{}, good); err == nil {
		t.Error("New(Config{}) = nil error")
	}
}

func TestConnectSaysWhoAndLeavesAWill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), nil, nil)
		r.run()
		after(time.Minute)
		c := r.connects[0]
		if c.ProtocolName != "MQTT" || c.ProtocolVersion != 4 || !c.CleanSession || c.ClientIdentifier != "box1" {
			t.Errorf("CONNECT = %v; want a clean session of box1 with MQTT 3.1.1", c)
		}
		if !c.WillFlag || !c.WillRetain || c.WillQos != 1 || c.WillTopic != "cem/v1/box1/status" || string(c.WillMessage) != "gone" {
			t.Errorf("will = %v %q; want it retained, QoS 1, on the status topic", c, c.WillMessage)
		}
		if c.Keepalive < 300 || c.Keepalive > 360 {
			t.Errorf("keepalive = %d s; want 300 to 360", c.Keepalive)
		}
		r.end()
	})
}

func TestStopPublishesALastStatusAndTakesLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), nil, nil)
		r.run()
		after(time.Minute)
		if s := r.u.Stats(); s.State != StateOnline || s.Connects != 1 {
			t.Errorf("Stats() = %+v; want online", s)
		}
		if d := r.end(); d > time.Second {
			t.Errorf("Run ended %v after its context; want at once", d)
		}
		synctest.Wait()
		if want := []string{"online", "stopped"}; !slices.Equal(r.statuses, want) {
			t.Errorf("statuses %q; want %q", r.statuses, want)
		}
		if r.cut != 0 {
			t.Error("the connection was cut without a DISCONNECT: the broker would publish the will")
		}
		if s := r.u.Stats(); s.State != StateStopped {
			t.Errorf("state %q; want stopped", s.State)
		}
	})
}

func TestRunEndsWithinABound(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    script
		most time.Duration
	}{
		{"waiting", script{open: func(*peer) bool { return true }}, 0},
		{"half open", script{connect: func(*peer) {}}, time.Second},
		{"nobody reads", script{open: func(*peer) bool { <-time.After(time.Hour); return true }}, time.Second},
		{"no SUBACK", script{subscribe: func(*peer, uint16) {}}, time.Second},
		{"no PUBACK", script{publish: func(*peer, *packets.PublishPacket) {}}, 5 * time.Second},
		{"stuck write", script{publish: reportOnly(func(*peer, *packets.PublishPacket) { <-time.After(time.Hour) })}, 15 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, labConfig(), func(int) script { return tt.s }, nil)
				r.q.add(windows(1, 20)...)
				r.run()
				after(5 * time.Second)
				if d := r.end(); d > tt.most {
					t.Errorf("Run ended %v after its context; want at most %v", d, tt.most)
				}
				after(2 * time.Hour) // the far side's own
			})
		})
	}
}

func TestStatusIsPublishedWhenItChangesButNotInALoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), nil, nil)
		r.run()
		after(time.Minute)
		r.u.StatusChanged()
		after(time.Second)
		if n := len(r.statuses); n != 2 {
			t.Errorf("%d statuses after one change; want 2", n)
		}
		for range 600 {
			r.u.StatusChanged()
			after(100 * time.Millisecond)
		}
		if n := len(r.statuses); n < 6 || n > 9 {
			t.Errorf("%d statuses after a minute of changes; want one every 10 s", n)
		}
		r.end()
	})
}

func TestFirstConnectionWaitsAfterPowerReturn(t *testing.T) {
	for _, tt := range []struct {
		name        string
		warm        bool
		least, most time.Duration
	}{
		{"box started", false, 10 * time.Second, 5 * time.Minute},
		{"agent started", true, 0, FirstWait},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := labConfig()
				c.PowerReturnWait = 5 * time.Minute
				r := newRig(t, c, nil, func(o *Options) { o.Warm = tt.warm })
				start := time.Now()
				r.run()
				after(6 * time.Minute)
				if len(r.dials) != 1 {
					t.Fatalf("%d connections; want 1", len(r.dials))
				}
				d := r.dials[0].Sub(start)
				if d < tt.least || d > tt.most {
					t.Errorf("first connection after %v; want %v to %v", d, tt.least, tt.most)
				}
				r.end()
			})
		})
	}
}

func TestRetryAfterOfTheCEMIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), func(n int) script {
			if n > 1 {
				return script{}
			}
			return script{publish: func(p *peer, m *packets.PublishPacket) {
				p.puback(m.MessageID)
				p.message("cem/v1/box1/ack", wire.AppendAck(nil, wire.Ack{RetryAfter: time.Hour}))
				time.AfterFunc(time.Second, func() { p.Close() })
			}}
		}, nil)
		r.run()
		after(2 * time.Hour)
		if len(r.dials) != 2 {
			t.Fatalf("%d connections; want 2", len(r.dials))
		}
		if d := r.dials[1].Sub(r.dials[0]); d < time.Hour || d > 91*time.Minute {
			t.Errorf("second connection after %v; want 1h to 1h30m", d)
		}
		r.end()
	})
}

func TestSilentPeerIsNoticed(t *testing.T) {
	for _, tt := range []struct {
		name   string
		report bool
		most   time.Duration
	}{
		{"by the keepalive", false, 10 * time.Minute},
		{"by the next report", true, 2 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				gone := make(chan struct{})
				r := newRig(t, labConfig(), func(n int) script {
					if n > 1 {
						return script{}
					}
					return script{publish: func(p *peer, m *packets.PublishPacket) { // the status
						p.puback(m.MessageID)
						<-gone
					}}
				}, nil)
				r.run()
				after(30 * time.Second)
				if tt.report {
					r.q.add(event(1))
				}
				after(tt.most)
				if d, _ := r.count(); d != 2 {
					t.Errorf("%d connections %v after the peer fell silent; want 2", d, tt.most)
				}
				if r.u.Stats().Failures[ClassTimeout] != 1 {
					t.Errorf("failures %v; want one timeout", r.u.Stats().Failures)
				}
				close(gone)
				r.end()
			})
		})
	}
}

func TestFailuresHaveAClassAndSayWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want Class
	}{
		{"no such host", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "x", IsNotFound: true}}, ClassDNS},
		{"name server away", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "i/o timeout", Name: "x", IsTimeout: true}}, ClassDNS},
		{"port closed", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errors.New("connection refused"))}, ClassDial},
		{"no answer", &net.OpError{Op: "dial", Err: context.DeadlineExceeded}, ClassDial},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, labConfig(), nil, func(o *Options) {
					o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, tt.err }
				})
				r.run()
				after(time.Second)
				s := r.u.Stats()
				if s.Failures[tt.want] != s.Attempts || s.Attempts == 0 {
					t.Errorf("failures %v of %d attempts; want all %q", s.Failures, s.Attempts, tt.want)
				}
				if !strings.Contains(s.LastFailure, "; check ") || !strings.Contains(s.LastFailure, "tcp://broker.test:1883") {
					t.Errorf("LastFailure = %q; want the address and what to do", s.LastFailure)
				}
				if r.sick(wire.HealthUplinkDown) != s.LastFailure {
					t.Errorf("uplink_down = %q; want the last failure", r.sick(wire.HealthUplinkDown))
				}
				r.end()
			})
		})
	}
}

func TestHealthGoesGoodAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), func(n int) script {
			return script{open: func(*peer) bool { return n <= 3 }}
		}, nil)
		r.run()
		after(10 * time.Minute)
		want := []string{"not_encrypted+", "uplink_down+", "uplink_down-"}
		if !slices.Equal(r.news, want) {
			t.Errorf("health %v; want %v", r.news, want)
		}
		r.end()
	})
}

func TestBytesAreCountedWhereTheyLeaveTheBox(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), nil, nil)
		r.run()
		after(time.Minute)
		before := r.u.Stats()
		payload := make([]byte, 1000)
		r.q.addItem(Item{Key: window(1), Payload: func(b []byte) ([]byte, error) { return append(b, payload...), nil }})
		after(time.Second)
		now := r.u.Stats()
		// Fixed header, length of the topic, topic, id.
		if up := now.BytesUp - before.BytesUp; up != 1000+3+2+uint64(len("cem/v1/box1/telemetry"))+2 {
			t.Errorf("%d bytes up for 1000 of payload; want the headers of MQTT beside them", up)
		}
		if now.BytesDown == before.BytesDown {
			t.Error("no bytes down for a PUBACK")
		}
		r.end()
	})
}

func TestValidBox(t *testing.T) {
	for id, want := range map[string]bool{
		"b1": true, "A-b_9": true, strings.Repeat("a", 64): true,
		"": false, strings.Repeat("a", 65): false, "a/b": false, "a+": false, "#": false, "a.b": false, "é": false, "a b": false,
	} {
		if got := ValidBox(id); got != want {
			t.Errorf("ValidBox(%q) = %v; want %v", id, got, want)
		}
	}
}
