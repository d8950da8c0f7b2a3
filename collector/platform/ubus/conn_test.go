package ubus_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/platform/ubus"
	"livebox-agent/collector/platform/ubus/ubustest"
)

// socketPath returns a path short enough for a unix socket: TempDir has the
// name of the test in it.
func socketPath(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "ubus") //nolint:usetesting // see above
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "s")
}

// serve starts a daemon and returns a client of it.
func serve(t *testing.T, handler ubustest.Handler, objects ...ubustest.Object) *ubus.Conn {
	t.Helper()
	path := socketPath(t)
	s, err := ubustest.Listen(path, ubustest.Fixed(objects...), handler)
	if err != nil {
		t.Fatal(err)
	}
	c := ubus.Dial(path)
	t.Cleanup(func() {
		_ = c.Close()
		_ = s.Close()
	})
	return c
}

func object(path string, methods ...string) ubustest.Object {
	return ubustest.Object{Path: path, Methods: methods}
}

// echo answers with what it was asked.
func echo(object, method string, params map[string]any) ([]any, error) {
	return []any{ubus.Table{{"object", object}, {"method", method}, {"params", params}}}, nil
}

func text(t *testing.T, n tree.Node, path ...string) string {
	t.Helper()
	s, ok := n.Get(path...).Text()
	if !ok {
		t.Errorf("no text at %v of %v", path, n)
	}
	return s
}

func TestCall(t *testing.T) {
	c := serve(t, echo, object("iwinfo", "info"), object("hostapd.phy0-ap0", "get_clients"))
	for range 3 {
		n, err := c.Call(t.Context(), "iwinfo", "info", map[string]any{"device": "phy0-ap0", "list": []any{1, true}})
		if err != nil {
			t.Fatal(err)
		}
		if got := text(t, n, "object") + " " + text(t, n, "method") + " " + text(t, n, "params", "device"); got != "iwinfo info phy0-ap0" {
			t.Errorf("asked for %q", got)
		}
		if v, ok := n.Get("params", "list", "0").Int(); v != 1 || !ok {
			t.Errorf("list = %v", n.Get("params", "list"))
		}
	}
}

func TestSeveralValuesInOneAnswer(t *testing.T) {
	c := serve(t, func(string, string, map[string]any) ([]any, error) {
		return []any{
			ubus.Table{{"WiFi.AccessPoint.1.", ubus.Table{{"Enable", true}}}},
			ubus.Table{},
			ubus.Table{{"amxd-error-code", int32(0)}},
		}, nil
	}, object("WiFi.AccessPoint.1", "_set"))
	values, err := c.Values(t.Context(), "WiFi.AccessPoint.1", "_set", map[string]any{"parameters": map[string]any{"Enable": true}})
	if err != nil || len(values) != 3 {
		t.Fatalf("values = %v, %v; want 3", values, err)
	}
	if on, ok := values[0].Get("WiFi.AccessPoint.1.", "Enable").Bool(); !on || !ok {
		t.Errorf("first = %v", values[0])
	}
	if values[1].Len() != 0 || !values[1].IsObject() {
		t.Errorf("second = %v", values[1])
	}
	if code, ok := values[2].Get("amxd-error-code").Int(); code != 0 || !ok {
		t.Errorf("third = %v", values[2])
	}
}

func TestList(t *testing.T) {
	c := serve(t, echo, object("iwinfo", "info"), object("hostapd.phy1-ap0", "x"), object("hostapd.phy0-ap0", "x"),
		object("hostapd", "x"), ubustest.Object{Path: "hostapd.hidden", Hidden: true})
	for pattern, want := range map[string]string{
		"hostapd.*":   "hostapd.phy0-ap0 hostapd.phy1-ap0",
		"*":           "hostapd hostapd.phy0-ap0 hostapd.phy1-ap0 iwinfo",
		"iwinfo":      "iwinfo",
		"iw":          "",
		"nothing.*":   "",
		"hostapd.hid": "",
	} {
		got, err := c.List(t.Context(), pattern)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("List(%q) = %q, %v; want %q", pattern, got, err, want)
		}
	}
	if _, err := c.List(t.Context(), ""); !errors.Is(err, ubus.ErrInvalidArgument) {
		t.Errorf("List of nothing: %v", err)
	}
}

func TestWhatIsRefusedIsACallError(t *testing.T) {
	statuses := map[string]ubus.StatusError{
		"invalid": ubus.ErrInvalidArgument, "notfound": ubus.ErrNotFound, "denied": ubus.ErrPermissionDenied,
		"timeout": ubus.ErrTimeout, "unsupported": ubus.ErrNotSupported, "new": 99,
	}
	c := serve(t, func(_, method string, _ map[string]any) ([]any, error) {
		if method == "broken" {
			return nil, errors.New("any other error")
		}
		return nil, statuses[method] // zero for "none"
	}, object("o", "invalid", "notfound", "denied", "timeout", "unsupported", "new", "none", "broken"),
		ubustest.Object{Path: "hidden", Methods: []string{"x"}, Hidden: true})
	for _, tt := range []struct {
		object, method string
		status         ubus.StatusError
		kind           error
		text           string
	}{
		{"o", "invalid", ubus.ErrInvalidArgument, nil, "ubus call o invalid: invalid argument"},
		{"o", "notfound", ubus.ErrNotFound, collector.ErrNoData, "ubus call o notfound: not found"},
		{"o", "denied", ubus.ErrPermissionDenied, collector.ErrRefused, "ubus call o denied: permission denied"},
		{"o", "timeout", ubus.ErrTimeout, nil, "ubus call o timeout: request timed out"},
		{"o", "unsupported", ubus.ErrNotSupported, collector.ErrNoData, "ubus call o unsupported: operation not supported"},
		{"o", "new", 99, nil, "ubus call o new: status 99"},
		{"o", "broken", ubus.ErrUnknown, nil, "ubus call o broken: unknown error"},
		{"o", "none", ubus.ErrNoData, collector.ErrNoData, "ubus call o none: no response"},
		{"o", "absent", ubus.ErrMethodNotFound, collector.ErrNoData, "ubus call o absent: method not found"},
		{"absent", "x", ubus.ErrNotFound, collector.ErrNoData, "ubus call absent x: not found"},
		{"hidden", "x", ubus.ErrPermissionDenied, collector.ErrRefused, "ubus call hidden x: permission denied"},
		{"o*", "x", ubus.ErrInvalidArgument, nil, "ubus call o* x: invalid argument"},
		{"", "x", ubus.ErrInvalidArgument, nil, "ubus call  x: invalid argument"},
	} {
		_, err := c.Call(t.Context(), tt.object, tt.method, nil)
		if _, ok := errors.AsType[*ubus.CallError](err); !ok || !errors.Is(err, tt.status) || err.Error() != tt.text {
			t.Errorf("%s %s: %v; want %q", tt.object, tt.method, err, tt.text)
		}
		for _, kind := range []error{collector.ErrNoData, collector.ErrRefused} {
			if errors.Is(err, kind) != errors.Is(tt.kind, kind) {
				t.Errorf("%s %s: %v is %v: %t", tt.object, tt.method, err, kind, errors.Is(err, kind))
			}
		}
	}
	for s := ubus.ErrInvalidCommand; s <= ubus.ErrSystem; s++ {
		if strings.HasPrefix(s.Error(), "status") {
			t.Errorf("status %d has no words", s)
		}
	}
}

func TestBoxWithoutUbusHasNoData(t *testing.T) {
	path := socketPath(t)
	_, err := ubus.Dial(path).Call(t.Context(), "o", "m", nil)
	if !errors.Is(err, collector.ErrNoData) {
		t.Errorf("no socket: %v; want ErrNoData", err)
	}
	// A socket nobody listens on is a fault, not a box without ubus.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	_ = l.Close()
	_, err = ubus.Dial(path).Call(t.Context(), "o", "m", nil)
	if !errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, collector.ErrNoData) {
		t.Errorf("nobody listens: %v; want ECONNREFUSED", err)
	}
	if os.Geteuid() == 0 {
		return // root may open everything
	}
	if err := os.Chmod(filepath.Dir(path), 0); err != nil {
		t.Fatal(err)
	}
	if _, err = ubus.Dial(path).Call(t.Context(), "o", "m", nil); !errors.Is(err, collector.ErrRefused) {
		t.Errorf("no permission: %v; want ErrRefused", err)
	}
}

func TestAnExchangeEnds(t *testing.T) {
	c := serve(t, func(_, _ string, params map[string]any) ([]any, error) {
		if params["answer"] == true {
			return []any{params}, nil
		}
		return []any{ubus.Table{{"late", true}}}, ubustest.ErrSilent
	}, object("o", "m"))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Call(ctx, "o", "m", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("at its deadline: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	timer := time.AfterFunc(50*time.Millisecond, cancel)
	defer timer.Stop()
	began := time.Now()
	if _, err := c.Call(ctx, "o", "m", nil); !errors.Is(err, context.Canceled) || time.Since(began) > ubus.DefaultTimeout/2 {
		t.Errorf("cancelled: %v after %v", err, time.Since(began))
	}
	if _, err := c.Call(ctx, "o", "m", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	if _, err := c.Call(t.Context(), "o", "m", map[string]any{"answer": true}); err != nil {
		t.Errorf("after the timeouts: %v", err)
	}
}

// A bus that takes connections and does not greet.
func TestACallThatIsGivenUpBeforeTheGreetingSaysSo(t *testing.T) {
	path := socketPath(t)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		cancel()
		<-over
	})
	c := ubus.Dial(path)
	if _, err := c.Call(ctx, "o", "m", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Call = %v; want the cancellation", err)
	}
	close(over)
	wg.Wait()
}

func TestAnExchangeWithoutADeadlineEndsToo(t *testing.T) {
	if testing.Short() {
		t.Skip("takes DefaultTimeout")
	}
	c := serve(t, func(string, string, map[string]any) ([]any, error) { return nil, ubustest.ErrSilent }, object("o", "m"))
	if _, err := c.Call(t.Context(), "o", "m", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("no deadline: %v", err)
	}
}

// Who waits for its turn does not wait beyond its own deadline.
func TestAWaitForTheCallBeforeEnds(t *testing.T) {
	entered := make(chan struct{}, 1)
	c := serve(t, func(_, method string, _ map[string]any) ([]any, error) {
		if method == "hang" {
			entered <- struct{}{}
			return nil, ubustest.ErrSilent
		}
		return []any{ubus.Table{}}, nil
	}, object("o", "hang", "m"))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = c.Call(ctx, "o", "hang", nil) })
	<-entered
	short, cancelShort := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancelShort()
	if _, err := c.Call(short, "o", "m", nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("behind a call that hangs: %v", err)
	}
	cancel()
	wg.Wait()
	if _, err := c.Call(t.Context(), "o", "m", nil); err != nil {
		t.Errorf("after it: %v", err)
	}
}

// scripted is a daemon that greets and then, for each request it reads,
// writes what script gives; nil ends the connection.
func scripted(t *testing.T, greeting []byte, script func(request ubus.Message) []byte) *ubus.Conn {
	t.Helper()
	path := socketPath(t)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				_, _ = conn.Write(greeting)
				for {
					m, err := ubus.ReadMessage(conn, nil)
					if err != nil {
						return
					}
					answer := script(m)
					if answer == nil {
						return
					}
					if _, err := conn.Write(answer); err != nil {
						return
					}
				}
			})
		}
	})
	c := ubus.Dial(path)
	t.Cleanup(func() {
		_ = c.Close()
		_ = l.Close()
		wg.Wait()
	})
	return c
}

func message(t *testing.T, typ uint8, seq uint16, peer uint32, attributes ...byte) []byte {
	t.Helper()
	b, err := ubus.AppendMessage(nil, ubus.Message{Type: typ, Sequence: seq, Peer: peer, Attributes: attributes})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// data is a DATA message that answers m with {"v": v}.
func data(t *testing.T, m ubus.Message, v string) []byte {
	t.Helper()
	b, err := ubus.AppendValues(nil, ubus.AttrData, ubus.Table{{"v", v}})
	if err != nil {
		t.Fatal(err)
	}
	return message(t, ubus.TypeData, m.Sequence, m.Peer, b...)
}

func done(t *testing.T, m ubus.Message) []byte {
	t.Helper()
	return message(t, ubus.TypeStatus, m.Sequence, m.Peer, ubus.AppendUint32(nil, ubus.AttrStatus, 0)...)
}

// found answers a LOOKUP of "o".
func found(t *testing.T, m ubus.Message) []byte {
	t.Helper()
	b, err := ubus.AppendText(nil, ubus.AttrObjPath, "o")
	if err != nil {
		t.Fatal(err)
	}
	b = ubus.AppendUint32(b, ubus.AttrObjID, 5000)
	return slices.Concat(message(t, ubus.TypeData, m.Sequence, m.Peer, b...), done(t, m))
}

func TestAnAnswerThatComesLateIsNeverTakenForAnother(t *testing.T) {
	c := scripted(t, message(t, ubus.TypeHello, 0, 7), func(m ubus.Message) []byte {
		if m.Type == ubus.TypeLookup {
			return found(t, m)
		}
		late, other, notice := m, m, m
		late.Sequence--
		other.Peer++
		notice.Sequence++
		return slices.Concat(
			data(t, late, "late"), done(t, late),
			data(t, other, "of another object"), done(t, other),
			message(t, 10, m.Sequence, m.Peer), message(t, ubus.TypeInvoke, m.Sequence, m.Peer), message(t, 200, m.Sequence, m.Peer),
			data(t, notice, "early"),
			data(t, m, "right"), done(t, m))
	})
	for range 3 {
		values, err := c.Values(t.Context(), "o", "m", nil)
		if err != nil || len(values) != 1 || text(t, values[0], "v") != "right" {
			t.Errorf("values = %v, %v; want the right one", values, err)
		}
	}
}

func TestAnswerThatDoesNotHoldTogetherIsMalformed(t *testing.T) {
	hello := message(t, ubus.TypeHello, 0, 7)
	flood := message(t, ubus.TypeData, 9999, 9, make([]byte, ubus.MaxMessage-4)...)
	for name, tt := range map[string]struct {
		greeting []byte
		answer   func(m ubus.Message) []byte
		want     error
	}{
		"web page for a greeting":  {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), nil, ubus.ErrMalformed},
		"status for a greeting":    {message(t, ubus.TypeStatus, 0, 0), nil, ubus.ErrMalformed},
		"connection that closes":   {hello, func(ubus.Message) []byte { return nil }, io.EOF},
		"status without a number":  {hello, func(m ubus.Message) []byte { return message(t, ubus.TypeStatus, m.Sequence, m.Peer) }, ubus.ErrMalformed},
		"attribute cut short":      {hello, func(m ubus.Message) []byte { return message(t, ubus.TypeData, m.Sequence, m.Peer, 7, 0, 0, 9) }, ubus.ErrMalformed},
		"message beyond the limit": {hello, func(ubus.Message) []byte { return []byte{0, 2, 0, 1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff} }, ubus.ErrMalformed},
		"endless answer": {hello, func(ubus.Message) []byte {
			return slices.Concat(flood, flood, flood, flood, flood)
		}, ubus.ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			c := scripted(t, tt.greeting, tt.answer)
			for range 2 {
				_, err := c.Call(t.Context(), "o", "m", nil)
				if !errors.Is(err, tt.want) || errors.Is(err, collector.ErrNoData) {
					t.Errorf("%v; want %v", err, tt.want)
				}
			}
		})
	}
	c := serve(t, func(string, string, map[string]any) ([]any, error) {
		return []any{ubustest.Raw{0x85, 0, 0, 6, 0, 0}}, nil
	}, object("o", "m"))
	if _, err := c.Call(t.Context(), "o", "m", nil); !errors.Is(err, ubus.ErrMalformed) {
		t.Errorf("value cut short: %v", err)
	}
}

func TestAfterAnErrorTheNextExchangeFindsTheBusAgain(t *testing.T) {
	var calls atomic.Int32
	handler := func(_, method string, params map[string]any) ([]any, error) {
		calls.Add(1)
		if method == "die" {
			return []any{params}, ubustest.ErrHangUp
		}
		return []any{params}, nil
	}
	path := socketPath(t)
	objects := ubustest.Fixed(object("a", "m"), object("o", "m", "die"))
	s, err := ubustest.Listen(path, objects, handler)
	if err != nil {
		t.Fatal(err)
	}
	c := ubus.Dial(path)
	defer c.Close()
	call := func(method string) error {
		_, err := c.Call(t.Context(), "o", method, nil)
		return err
	}
	if err := call("m"); err != nil {
		t.Fatal(err)
	}
	// A half answer is no answer.
	if err := call("die"); !errors.Is(err, io.EOF) {
		t.Errorf("bus that dies: %v; want EOF", err)
	}
	if err := call("m"); err != nil {
		t.Errorf("after it died: %v", err)
	}
	// The service was started anew: the call is not lost, and made once.
	calls.Store(0)
	s.Renumber()
	if _, err := c.Call(t.Context(), "a", "m", nil); err != nil { // takes the old number of o
		t.Error(err)
	}
	s.Renumber()
	if err := call("m"); err != nil || calls.Load() != 2 {
		t.Errorf("service with a new number: %v, %d calls; want 2", err, calls.Load())
	}
	// The daemon was started anew.
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := call("m"); err == nil {
		t.Error("no error from a bus that is gone")
	}
	if err := call("m"); !errors.Is(err, collector.ErrNoData) {
		t.Errorf("bus that is gone: %v; want ErrNoData", err)
	}
	if s, err = ubustest.Listen(path, objects, handler); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := call("m"); err != nil {
		t.Errorf("after the bus came back: %v", err)
	}
}

func TestAServiceThatSaysNotFoundIsNotCalledTwice(t *testing.T) {
	var calls atomic.Int32
	c := serve(t, func(string, string, map[string]any) ([]any, error) {
		calls.Add(1)
		return nil, ubus.ErrNotFound
	}, object("o", "m"))
	for range 3 {
		if _, err := c.Call(t.Context(), "o", "m", nil); !errors.Is(err, ubus.ErrNotFound) {
			t.Error(err)
		}
	}
	if n := calls.Load(); n != 3 {
		t.Errorf("%d calls; want 3", n)
	}
}

func TestManyMayShareAConn(t *testing.T) {
	c := serve(t, echo, object("o", "m"))
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 50 {
				n, err := c.Call(t.Context(), "o", "m", map[string]any{"i": i})
				if v, ok := n.Get("params", "i").Int(); err != nil || !ok || v != int64(i) {
					t.Errorf("%d got %v, %v", i, n, err)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkCall(b *testing.B) {
	path := socketPath(b)
	s, err := ubustest.Listen(path, ubustest.Fixed(object("o", "m")), echo)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	c := ubus.Dial(path)
	defer c.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Call(b.Context(), "o", "m", map[string]any{"device": "phy0-ap0"}); err != nil {
			b.Fatal(err)
		}
	}
}
