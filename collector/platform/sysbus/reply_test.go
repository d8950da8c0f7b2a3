package sysbus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/platform/sysbus/sysbustest"
	"livebox-agent/collector/platform/tree"
)

// ask calls NMC.get of a box that answers everything with h.
func ask(t *testing.T, h http.HandlerFunc) (tree.Node, error) {
	t.Helper()
	return connect(t, h, nil).Call(t.Context(), "NMC", "get", nil)
}

func TestErrorShapes(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       error // wrapped; nil means a plain *FaultError
		code       int64
		text       string
	}{
		{
			name: "list", body: `{"errors":[{"error":13,"description":"Permission denied","info":"Gpon"}]}`,
			want: collector.ErrRefused, code: 13, text: "NMC.get: box reports error 13 (Permission denied)",
		},
		{
			name: "object absent", body: `{"errors":[{"error":196618,"description":"Object or parameter not found","info":"NeMo.Intf.dsl0"}]}`,
			want: collector.ErrNoData, code: sysbus.NotFound,
		},
		{
			name: "two entries", body: `{"errors":[{"error":196618,"description":"Intf not bound to any NetDev.Link","info":"veip0"},{"error":196639,"description":"Function execution failed","info":"getNetDevStats"}]}`,
			want: collector.ErrNoData, code: sysbus.NotFound, text: "NMC.get: box reports error 196618 (Intf not bound to any NetDev.Link)",
		},
		{
			name: "two entries, the reason last", body: `{"errors":[{"error":196639,"description":"Function execution failed"},{"error":196618,"description":"x"}]}`,
			want: collector.ErrNoData, code: sysbus.NotFound,
		},
		{
			name: "refused and absent", body: `{"errors":[{"error":196618,"description":"x"},{"error":13,"description":"x"}]}`,
			want: collector.ErrRefused, code: 13,
		},
		{
			name: "not bound by words alone", body: `{"errors":[{"error":1,"description":"Intf not bound to any NetDev.Link"}]}`,
			want: collector.ErrNoData, code: 1,
		},
		{name: "single object", body: `{"errors":{"error":196639,"description":"Function execution failed","info":"x"}}`, code: sysbus.ExecutionFailed},
		{name: "single object as the reply", body: `{"error":196639,"description":"Function execution failed","info":"x"}`, code: sysbus.ExecutionFailed},
		{name: "single object called error", body: `{"error":{"error":7,"description":"d"}}`, code: 7},
		{name: "in the wrapper", body: `{"result":{"errors":[{"error":196618,"description":"x","info":"y"}]}}`, want: collector.ErrNoData, code: sysbus.NotFound},
		{name: "beside a status", body: `{"status":null,"errors":[{"error":9,"description":"x"}]}`, code: 9},
		{name: "code as text", body: `{"errors":[{"error":"13","description":"x"}]}`, want: collector.ErrRefused, code: 13},
		{name: "entries of no kind", body: `{"errors":[null,3,"x"]}`, code: 0, text: "NMC.get: box reports error 0 (no description)"},
		{
			name: "words that are no words", body: `{"errors":[{"error":5,"description":"a\u0000\n` + strings.Repeat("é", 500) + `"}]}`, code: 5,
			text: "NMC.get: box reports error 5 (a??" + strings.Repeat("?", 39) + ")",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ask(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, tt.body) })
			fault, ok := errors.AsType[*sysbus.FaultError](err)
			if !ok || fault.Code != tt.code {
				t.Fatalf("Call = %#v; want a FaultError with code %d", err, tt.code)
			}
			for _, meaning := range []error{collector.ErrRefused, collector.ErrNoData} {
				if errors.Is(err, meaning) != errors.Is(tt.want, meaning) {
					t.Errorf("Call = %v; wraps %v: %v", err, meaning, errors.Is(err, meaning))
				}
			}
			if tt.text != "" && err.Error() != tt.text {
				t.Errorf("Call = %q; want %q", err, tt.text)
			}
		})
	}
}

func TestRepliesThatAreGood(t *testing.T) {
	for name, body := range map[string]string{
		"text after the end":      `{"status":{"a":1}}null`,
		"wrapped":                 `{"result":{"status":{"a":1}}}`,
		"no errors in the list":   `{"status":{"a":1},"errors":[]}`,
		"text that is no UTF-8":   "{\"status\":{\"a\":1,\"b\":\"caf\xe9\"}}",
		"result of its own":       `{"status":{"a":1},"result":{"b":2}}`,
		"byte order and newlines": "\r\n\t {\"status\":{\"a\":1}}\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			n, err := ask(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) })
			if v, ok := n.Get("status", "a").Int(); err != nil || !ok || v != 1 {
				t.Errorf("Call = %v, %v", n, err)
			}
		})
	}
}

func TestRepliesThatAreNone(t *testing.T) {
	for name, body := range map[string]string{
		"empty":              "",
		"null":               "null",
		"list":               "[]",
		"text":               `"status"`,
		"page of HTML":       "<!DOCTYPE html><html><body>Livebox</body></html>",
		"cut short":          `{"status":{"a":`,
		"too deep":           strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 100),
		"larger than sane":   `{"a":"` + strings.Repeat("x", tree.MaxBytes) + `"}`,
		"wrapper of nothing": `[{"result":{}}]`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ask(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				_, _ = io.WriteString(w, body)
			})
			if !errors.Is(err, tree.ErrMalformed) || len(err.Error()) > 200 {
				t.Errorf("Call = %v; want a short ErrMalformed", err)
			}
			if name == "page of HTML" && !strings.Contains(err.Error(), "text/html") {
				t.Errorf("Call = %v; want it to name the type", err)
			}
		})
	}
}

func TestABodyWithoutEndIsCutOff(t *testing.T) {
	var written atomic.Int64
	_, err := ask(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":"`)
		for chunk := strings.Repeat("x", 64<<10); ; {
			n, err := io.WriteString(w, chunk)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	if !errors.Is(err, tree.ErrMalformed) {
		t.Errorf("Call = %v; want ErrMalformed", err)
	}
	if n := written.Load(); n > tree.MaxBytes+1<<20 {
		t.Errorf("%d bytes were read", n)
	}
}

func TestABodyThatBreaksOff(t *testing.T) {
	_, err := ask(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"status":{}}`)
	})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("Call = %v; want unexpected EOF, though what came is JSON", err)
	}
}

func TestStatusOfHTTP(t *testing.T) {
	for code, want := range map[int]error{
		401: collector.ErrRefused, 403: collector.ErrRefused, 404: collector.ErrNoData, 405: collector.ErrNoData,
		302: nil, 500: nil, 503: nil, 204: nil,
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			var requests atomic.Int32
			_, err := ask(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				w.Header().Set("Location", r.URL.String())
				w.WriteHeader(code)
			})
			e, ok := errors.AsType[*sysbus.StatusError](err)
			if !ok || e.Code != code {
				t.Fatalf("Call = %v; want a StatusError", err)
			}
			for _, meaning := range []error{collector.ErrRefused, collector.ErrNoData} {
				if errors.Is(err, meaning) != errors.Is(want, meaning) {
					t.Errorf("Call = %v; wraps %v: %v", err, meaning, errors.Is(err, meaning))
				}
			}
			if requests.Load() != 1 {
				t.Errorf("%d requests; want 1: no redirect is followed, nothing is asked twice", requests.Load())
			}
		})
	}
}

func TestStatus401MeansThatTheSessionIsLost(t *testing.T) {
	logins := 0
	c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "X-Sah-Login" {
			logins++
			fmt.Fprintf(w, `{"status":0,"data":{"contextID":"c%d"}}`, logins)
			return
		}
		if r.Header.Get("X-Context") != "c2" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"status":1}`)
	}), logIn(passwordFile(t)))
	// The first session is new, so the box is taken at its word; that the
	// second refusal is a lost session shows only later.
	if _, err := c.Call(t.Context(), "NMC", "get", nil); !errors.Is(err, collector.ErrRefused) {
		t.Errorf("Call with a new session = %v; want ErrRefused", err)
	}
	if _, err := c.Call(t.Context(), "NMC", "other", nil); err != nil || logins != 2 {
		t.Errorf("Call with the session of before = %v after %d logins; want a second login", err, logins)
	}
}

func TestAConnectionThatTheBoxClosedIsReplaced(t *testing.T) {
	var closeNext atomic.Bool
	var conns atomic.Int32
	c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		if closeNext.CompareAndSwap(true, false) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
			return
		}
		_, _ = io.WriteString(w, `{"status":1}`)
	}), func(_ *sysbus.Config, o *sysbus.Options) { o.Dial = countDials(o.Dial, &conns) })
	for i := range 3 {
		closeNext.Store(i > 0)
		if _, err := c.Call(t.Context(), "NMC", "get", nil); err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if n := conns.Load(); n != 3 {
		t.Errorf("%d connections; want 3", n)
	}
}

func TestABoxThatIsAway(t *testing.T) {
	away := true
	var dial dialFunc
	c := connect(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"status":1}`)
	}), func(_ *sysbus.Config, o *sysbus.Options) {
		dial, o.Dial = o.Dial, func(ctx context.Context, network, address string) (net.Conn, error) {
			if away {
				return nil, syscall.ECONNREFUSED
			}
			return dial(ctx, network, address)
		}
	})
	_, err := c.Call(t.Context(), "NMC", "get", nil)
	if !errors.Is(err, collector.ErrNoData) {
		t.Errorf("Call = %v; want no data: nothing has ever listened there", err)
	}
	away = false
	if _, err := c.Call(t.Context(), "NMC", "get", nil); err != nil {
		t.Errorf("after the box came: %v", err)
	}
	away = true
	if err := c.Close(); err != nil { // the connection that was kept
		t.Fatal(err)
	}
	_, err = c.Call(t.Context(), "NMC", "get", nil)
	if !errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, collector.ErrNoData) {
		t.Errorf("Call = %v; want the refused connection, which may be there again soon", err)
	}
}

func TestPasswordFileThatOthersMayRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, file, want string }{
		{"only its owner", write("good", secret+"\r\n", 0o600), ""},
		{"without a newline", write("bare", secret, 0o400), ""},
		{"everybody", write("everybody", secret, 0o644), "mode 0644 lets others at it"},
		{"group", write("group", secret, 0o640), "mode 0640 lets others at it"},
		{"others may write", write("written", secret, 0o602), "mode 0602 lets others at it"},
		{"empty", write("empty", "\n", 0o600), "no password on the first line"},
		{"very long", write("long", strings.Repeat(secret, 1000), 0o600), "more than 1024 bytes"},
		{"absent", filepath.Join(dir, "absent"), "no such file"},
		{"directory", dir, "not a regular file"},
		{"pipe", fifo, "not a regular file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := sysbus.CheckPasswordFile(tt.file)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("CheckPasswordFile = %v; want %q", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("the password is in the error: %v", err)
			}
		})
	}
	t.Run("nothing is sent", func(t *testing.T) {
		box := &sysbustest.Box{Reply: replies, Password: secret}
		c := connect(t, box, logIn(filepath.Join(dir, "everybody")))
		if _, err := c.Call(t.Context(), "NMC", "get", nil); !errors.Is(err, collector.ErrRefused) || !strings.Contains(err.Error(), "0644") {
			t.Errorf("Call = %v; want ErrRefused that names the mode", err)
		}
		if _, err := c.Call(t.Context(), "NMC", "getWANStatus", nil); err != nil || box.Logins() != 0 {
			t.Errorf("what everybody may ask: %v, %d logins", err, box.Logins())
		}
		if err := os.Chmod(filepath.Join(dir, "everybody"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Call(t.Context(), "NMC", "get", nil); err != nil {
			t.Errorf("after the mode was set right: %v", err)
		}
	})
}

func TestPasswordFileOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	name := passwordFile(t)
	if err := os.Chown(name, 65534, -1); err != nil {
		t.Fatal(err)
	}
	if err := sysbus.CheckPasswordFile(name); err == nil || !strings.Contains(err.Error(), "owned by user 65534") {
		t.Errorf("CheckPasswordFile = %v", err)
	}
}

func TestValidate(t *testing.T) {
	good := sysbus.DefaultConfig()
	for _, url := range []string{"", "http://127.0.0.1", "http://192.168.1.1:8080/", "http://[fe80::1]"} {
		good.URL = url
		if err := good.Validate(); err != nil {
			t.Errorf("url %q: %v", url, err)
		}
	}
	bad := sysbus.Config{URL: "http://admin:" + secret + "@box/ws", PasswordFile: "x", ContentType: "json"}
	err := bad.Validate()
	for _, want := range []string{"url: ", "user: ", "content_type: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate = %v; want %q", err, want)
		}
	}
	for _, url := range []string{"ftp://box", "https://box", "http://:80", "http://[fe80::1%25a%0d%0ab]", "http://", "box", "http://box/ws", "http://box?x", "http://b%zz" + secret} {
		good.URL = url
		if err := good.Validate(); err == nil || !strings.HasPrefix(err.Error(), "url: ") || strings.Contains(err.Error(), secret) {
			t.Errorf("url %q: %v", url, err)
		}
		if c, err := sysbus.New(good, sysbus.Options{}); err == nil {
			t.Errorf("New = %v with url %q", c, url)
		}
	}
	nowhere := sysbus.DefaultConfig()
	nowhere.URL = ""
	if c, err := sysbus.New(nowhere, sysbus.Options{}); err == nil {
		t.Errorf("New = %v without a url", c)
	}
	if err := bad.Validate(); strings.Contains(err.Error(), secret) {
		t.Errorf("the password is in the error: %v", err)
	}
}
