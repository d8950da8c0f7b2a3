package sysbus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/platform/sysbus/sysbustest"
	"livebox-agent/collector/platform/tree"
)

const secret = "Gx7#kQ2z"

// passwordFile writes a good password file.
func passwordFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(name, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// A clock is set by the test.
type clock struct{ now atomic.Int64 }

func (c *clock) Now() time.Duration      { return time.Duration(c.now.Load()) }
func (c *clock) Advance(d time.Duration) { c.now.Add(int64(d)) }

// connect returns a client of h.
func connect(t *testing.T, h http.Handler, change func(*sysbus.Config, *sysbus.Options)) *sysbus.Client {
	t.Helper()
	config, o := sysbus.DefaultConfig(), sysbus.Options{Dial: sysbustest.Serve(t, h)}
	config.URL = "http://box.test"
	if change != nil {
		change(&config, &o)
	}
	c, err := sysbus.New(config, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// logIn makes a client log in with the password file name.
func logIn(name string) func(*sysbus.Config, *sysbus.Options) {
	return func(c *sysbus.Config, _ *sysbus.Options) { c.PasswordFile = name }
}

var replies = sysbustest.Replies(map[string]string{
	"NMC.get":          `{"status":{"WanMode":"GPON_DHCP"}}`,
	"NMC.getWANStatus": `{"status":true,"data":{"LinkType":"gpon"}}`,
	"NMC.Reboot.get":   `{"status":{"BootCounter":134}}`,
	"SFP.get":          `{}`,
})

func TestCallBothVariants(t *testing.T) {
	for _, variant := range []string{sysbus.Bare, sysbus.Wrapped} {
		t.Run(variant, func(t *testing.T) {
			c := connect(t, &sysbustest.Box{Reply: replies, Password: secret}, func(config *sysbus.Config, _ *sysbus.Options) {
				config.ContentType = variant
				config.PasswordFile = passwordFile(t)
			})
			n, err := c.Call(t.Context(), "NMC", "getWANStatus", nil)
			if s, _ := n.Get("data", "LinkType").Text(); err != nil || s != "gpon" {
				t.Errorf("Call NMC.getWANStatus: LinkType %q, %v", s, err)
			}
			n, err = c.Call(t.Context(), "NMC", "get", map[string]string{"a": "b"})
			if s, _ := n.Get("status", "WanMode").Text(); err != nil || s != "GPON_DHCP" {
				t.Errorf("Call NMC.get: WanMode %q, %v", s, err)
			}
			if n, err = c.Call(t.Context(), "SFP", "get", nil); err != nil || n.Get("status").Exists() {
				t.Errorf("Call SFP.get = %v, %v; want an empty object", n, err)
			}
			if _, err = c.Call(t.Context(), "NeMo.Intf.dsl0", "getDSLStats", nil); !errors.Is(err, collector.ErrNoData) {
				t.Errorf("Call of an object that does not exist = %v; want ErrNoData", err)
			}
		})
	}
}

func TestParametersReachTheBox(t *testing.T) {
	var got string
	box := &sysbustest.Box{Reply: func(_, _ string, params tree.Node) any {
		got, _ = params.Get("mibs").Text()
		if !params.IsObject() {
			t.Error("the parameters are no object")
		}
		return map[string]any{"status": nil}
	}}
	c := connect(t, box, nil)
	if _, err := c.Call(t.Context(), "NeMo.Intf.veip0", "getMIBs", map[string]string{"mibs": "gpon"}); err != nil || got != "gpon" {
		t.Errorf("the box got mibs %q, %v", got, err)
	}
	if _, err := c.Call(t.Context(), "NMC", "get", nil); err != nil {
		t.Error(err)
	}
	if _, err := c.Call(t.Context(), "NMC", "get", func() {}); err == nil {
		t.Error("a function was encoded")
	}
}

func TestOneCallInFlightAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var inFlight, most, conns atomic.Int32
		box := &sysbustest.Box{Reply: func(string, string, tree.Node) any {
			most.Store(max(most.Load(), inFlight.Add(1)))
			select {
			case <-time.After(25 * time.Second):
			case <-t.Context().Done():
			}
			inFlight.Add(-1)
			return map[string]any{"status": true}
		}}
		c := connect(t, box, func(_ *sysbus.Config, o *sysbus.Options) {
			o.Dial = countDials(o.Dial, &conns)
		})
		start := time.Now()
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if _, err := c.Call(t.Context(), "NMC", "get", nil); err != nil {
					t.Error(err)
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		synctest.Wait()
		if _, err := c.Call(ctx, "NMC", "late", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call behind the slow ones = %v; want its own deadline", err)
		}
		all.Wait()
		if took := time.Since(start); took != 100*time.Second || most.Load() != 1 {
			t.Errorf("4 calls of 25s took %v with %d in flight; want 100s with 1", took, most.Load())
		}
		if n := conns.Load(); n != 1 {
			t.Errorf("%d connections for 4 calls; want 1, kept alive", n)
		}
	})
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

func countDials(dial dialFunc, n *atomic.Int32) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		n.Add(1)
		return dial(ctx, network, address)
	}
}

func TestABoxThatNeverAnswersCostsTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := connect(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}), nil)
		start := time.Now()
		_, err := c.Call(t.Context(), "NMC", "get", nil)
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != sysbus.Timeout {
			t.Errorf("Call = %v after %v; want a deadline after %v", err, took, sysbus.Timeout)
		}
	})
}

func TestALostSessionIsOpenedAgainOnce(t *testing.T) {
	box := &sysbustest.Box{Reply: replies, Password: secret}
	c := connect(t, box, logIn(passwordFile(t)))
	for i := range 3 {
		for range 2 {
			if _, err := c.Call(t.Context(), "NMC", "get", nil); err != nil {
				t.Fatalf("after %d restarts: %v", i, err)
			}
		}
		if box.Logins() != i+1 {
			t.Errorf("%d logins after %d restarts; want %d", box.Logins(), i, i+1)
		}
		box.Restart()
	}
}

func TestWhatIsStillDeniedIsRefusedAndNotAskedAgain(t *testing.T) {
	denied := func(object, _ string, _ tree.Node) any {
		if object == "Gpon" {
			return sysbustest.Denied("Gpon")
		}
		return map[string]any{"status": 1}
	}
	for name, file := range map[string]string{"with a login": passwordFile(t), "without a login": ""} {
		t.Run(name, func(t *testing.T) {
			var now clock
			box := &sysbustest.Box{Reply: denied}
			if file != "" {
				box.Password = secret
			}
			c := connect(t, box, func(config *sysbus.Config, o *sysbus.Options) {
				config.PasswordFile, o.Now = file, now.Now
			})
			if _, err := c.Call(t.Context(), "NMC", "get", nil); err != nil {
				t.Fatal(err)
			}
			asked := func() (n int) {
				for _, call := range box.Calls() {
					if call == "Gpon.get" {
						n++
					}
				}
				return n
			}
			for range 5 {
				if _, err := c.Call(t.Context(), "Gpon", "get", nil); !errors.Is(err, collector.ErrRefused) {
					t.Fatalf("Call = %v; want ErrRefused", err)
				}
			}
			want := 1
			if file != "" {
				want = 2 // once more with a new session
			}
			if asked() != want || box.Logins() != want*2-2 && file != "" {
				t.Errorf("Gpon was asked %d times with %d logins; want %d times", asked(), box.Logins(), want)
			}
			if _, err := c.Call(t.Context(), "NMC", "get", nil); err != nil {
				t.Errorf("another object after the refusal: %v", err)
			}
			now.Advance(sysbus.RefusedFor)
			if _, err := c.Call(t.Context(), "Gpon", "get", nil); !errors.Is(err, collector.ErrRefused) || asked() != 2*want {
				t.Errorf("after RefusedFor: %v, asked %d times; want %d", err, asked(), 2*want)
			}
		})
	}
}

func TestWhatIsRememberedAsRefusedIsBounded(t *testing.T) {
	box := &sysbustest.Box{Reply: func(object, _ string, _ tree.Node) any { return sysbustest.Denied(object) }}
	c := connect(t, box, nil)
	for i := range 257 {
		for range 2 {
			if _, err := c.Call(t.Context(), fmt.Sprintf("Object%d", i), "get", nil); !errors.Is(err, collector.ErrRefused) {
				t.Fatal(err)
			}
		}
	}
	if n := len(box.Calls()); n != 257 {
		t.Errorf("%d calls reached the box; want 257", n)
	}
	if _, err := c.Call(t.Context(), "Object0", "get", nil); !errors.Is(err, collector.ErrRefused) || len(box.Calls()) != 258 {
		t.Errorf("the first one was not forgotten: %v", err)
	}
}

func TestAWrongPasswordIsNotTriedAgainSoon(t *testing.T) {
	var now clock
	box := &sysbustest.Box{Reply: replies, Password: "another"}
	name := passwordFile(t)
	var log bytes.Buffer
	c := connect(t, box, func(config *sysbus.Config, o *sysbus.Options) {
		config.PasswordFile, o.Now = name, now.Now
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
	})
	for range 5 {
		_, err := c.Call(t.Context(), "NMC", "get", nil)
		if !errors.Is(err, collector.ErrRefused) || !strings.Contains(err.Error(), "log in as admin: HTTP status 401") {
			t.Fatalf("Call = %v; want ErrRefused that names the login", err)
		}
		if _, err := c.Call(t.Context(), "NMC", "getWANStatus", nil); err != nil {
			t.Fatalf("what everybody may ask: %v", err)
		}
	}
	if box.Logins() != 1 {
		t.Errorf("%d logins; want 1", box.Logins())
	}
	now.Advance(sysbus.LoginPause)
	if _, err := c.Call(t.Context(), "NMC", "get", nil); err == nil || box.Logins() != 2 {
		t.Errorf("after LoginPause: %v, %d logins; want 2", err, box.Logins())
	}
	if n := strings.Count(log.String(), "login refused"); n != 1 {
		t.Errorf("the refusal was logged %d times; want once", n)
	}

	if err := os.WriteFile(name, []byte("another\nsecond line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Call(t.Context(), "NMC", "get", nil); err != nil || box.Logins() != 3 {
		t.Errorf("with the right password in the file: %v, %d logins", err, box.Logins())
	}
}

func TestTheCookieWithASlashIsSentBack(t *testing.T) {
	for _, tt := range []struct {
		name   string
		set    []string
		cookie string
	}{
		{"as boxes send it", []string{"e2c29097/sessid=abc+/=; path=/; HttpOnly"}, "e2c29097/sessid=abc+/="},
		{"two", []string{"e2c29097/accept-language=fr-FR", "e2c29097/sessid=x;path=/"}, "e2c29097/accept-language=fr-FR; e2c29097/sessid=x"},
		{"replaced", []string{"a/b=1", "a/b=2"}, "a/b=2"},
		{"cleared", []string{"a/b=1", "c/d=1", "a/b=; expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/; SameSite=Strict"}, "c/d=1"},
		{"nothing sensible", []string{"", ";", "=x", "name", "a b=c", "a=b\tc", "a=\xff", "long=" + strings.Repeat("x", 2000)}, ""},
		{"very many", slices.Repeat([]string{"a=1", "b=1", "c=1", "d=1", "e=1", "f=1", "g=1", "h=1", "i=1", "j=1"}, 2), "a=1; b=1; c=1; d=1; e=1; f=1; g=1; h=1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, seen := "", false
			c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") == "X-Sah-Login" {
					w.Header()["Set-Cookie"] = tt.set
					_, _ = io.WriteString(w, `{"status":0,"data":{"contextID":"abc/def"}}`)
					return
				}
				got, seen = r.Header.Get("Cookie"), true
				if context := r.Header.Get("X-Context"); context != "abc/def" {
					t.Errorf("X-Context is %q", context)
				}
				_, _ = io.WriteString(w, `{"status":0}`)
			}), logIn(passwordFile(t)))
			if _, err := c.Call(t.Context(), "NMC", "get", nil); err != nil || !seen {
				t.Fatal(err)
			}
			if tt.name == "very many" {
				if n := strings.Count(got, ";") + 1; n != 8 {
					t.Errorf("%d cookies came back; want 8", n)
				}
			} else if got != tt.cookie {
				t.Errorf("Cookie is %q; want %q", got, tt.cookie)
			}
		})
	}
}

func TestALoginThatIsNone(t *testing.T) {
	for name, reply := range map[string]string{
		"no context":       `{"status":0,"data":{}}`,
		"empty context":    `{"status":0,"data":{"contextID":""}}`,
		"context of a map": `{"status":0,"data":{"contextID":{}}}`,
		"header injection": `{"status":0,"data":{"contextID":"a\r\nHost: b"}}`,
		"denied":           `{"errors":[{"error":13,"description":"Permission denied","info":"sah"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") == "X-Sah-Login" {
					_, _ = io.WriteString(w, reply)
					return
				}
				_, _ = io.WriteString(w, `{"error":13,"description":"Permission denied","info":""}`)
			}), logIn(passwordFile(t)))
			if _, err := c.Call(t.Context(), "NMC", "get", nil); !errors.Is(err, collector.ErrRefused) || !strings.Contains(err.Error(), "log in") {
				t.Errorf("Call = %v; want ErrRefused that names the login", err)
			}
		})
	}
}

func TestThePasswordIsInNoErrorNoLogAndNoPrintedForm(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	box := &sysbustest.Box{Reply: replies, Password: secret}
	name := passwordFile(t)
	c := connect(t, box, func(config *sysbus.Config, o *sysbus.Options) { config.PasswordFile, o.Log = name, log })
	_, err := c.Call(t.Context(), "NMC", "get", nil)
	if err != nil {
		t.Fatal(err)
	}
	// While there is a session to hide.
	log.Info("test", "client", c)
	fmt.Fprintf(&out, "%v %+v %#v %s %q\n", c, c, c, c, c)
	box.Password = "another"
	box.Restart()
	_, err = c.Call(t.Context(), "NMC", "get", nil)
	fmt.Fprintln(&out, err)
	wrong := connect(t, http.NotFoundHandler(), func(config *sysbus.Config, o *sysbus.Options) {
		config.PasswordFile, o.Log = name, log
	})
	_, err = wrong.Call(t.Context(), "NMC", "get", nil)
	fmt.Fprintln(&out, err)
	for _, hidden := range []string{secret, "context1", "session1"} {
		if strings.Contains(out.String(), hidden) {
			t.Errorf("%q is in the output:\n%s", hidden, out.String())
		}
	}
	if !strings.Contains(out.String(), "login refused") || !strings.Contains(out.String(), "http://box.test") {
		t.Errorf("the output is not what it should be:\n%s", out.String())
	}
}
