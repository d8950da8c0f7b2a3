package box

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// A clock is virtual time that a test moves.
type clock struct{ now atomic.Int64 }

func (c *clock) read() time.Duration  { return time.Duration(c.now.Load()) }
func (c *clock) pass(d time.Duration) { c.now.Add(int64(d)) }
func (c *clock) days(n int)           { c.pass(time.Duration(n) * 24 * time.Hour) }

// A testBox is a box with an asker who has logged in.
type testBox struct {
	*Box
	handler         http.Handler
	context, cookie string
}

// newTestBox returns a box in virtual time, asked by a function call.
func newTestBox(t *testing.T, c Config) (*testBox, *clock) {
	t.Helper()
	time := &clock{}
	if c.Clock == nil {
		c.Clock = time.read
	}
	b, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return &testBox{Box: b, handler: b.Handler()}, time
}

// post sends one request.
func (b *testBox) post(t *testing.T, path, contentType, body string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
	maps.Copy(r.Header, header)
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w
}

const loginBody = `{"service":"sah.Device.Information","method":"createContext","parameters":` +
	`{"applicationName":"webui","username":"admin","password":"PASSWORD"}}`

// login opens a session and returns the reply.
func (b *testBox) login(t *testing.T) map[string]any {
	t.Helper()
	w := b.post(t, "/ws", typeBare, strings.Replace(loginBody, "PASSWORD", DefaultPassword, 1),
		http.Header{"Authorization": {"X-Sah-Login"}})
	reply := decode(t, w.Body.Bytes())
	data, _ := reply["data"].(map[string]any)
	b.context, _ = data["contextID"].(string)
	if w.Code != http.StatusOK || b.context == "" {
		t.Fatalf("login: %d %s", w.Code, w.Body)
	}
	b.cookie, _, _ = strings.Cut(w.Header().Get("Set-Cookie"), ";")
	return reply
}

// header is that of a call within the session.
func (b *testBox) header() http.Header {
	return http.Header{"X-Context": {b.context}, "Cookie": {b.cookie}}
}

// ask makes a call within the session, of which there is one at the latest
// now.
func (b *testBox) ask(t *testing.T, object, method, parameters string) *httptest.ResponseRecorder {
	t.Helper()
	if b.context == "" {
		b.login(t)
	}
	if parameters == "" {
		parameters = "{}"
	}
	body := `{"service":"` + object + `","method":"` + method + `","parameters":` + parameters + `}`
	return b.post(t, "/ws", typeBare, body, b.header())
}

// mustAsk returns the reply to a call.
func (b *testBox) mustAsk(t *testing.T, object, method, parameters string) map[string]any {
	t.Helper()
	w := b.ask(t, object, method, parameters)
	if w.Code != http.StatusOK {
		t.Fatalf("%s.%s: %d", object, method, w.Code)
	}
	return decode(t, w.Body.Bytes())
}

// value returns what is at a path of the reply to a call, whose keys are
// joined by slashes.
func (b *testBox) value(t *testing.T, object, method, parameters, path string) any {
	t.Helper()
	var v any = b.mustAsk(t, object, method, parameters)
	for key := range strings.SplitSeq(path, "/") {
		o, ok := v.(map[string]any)
		if !ok || o[key] == nil {
			t.Fatalf("%s.%s: nothing at %s of %s", object, method, key, path)
		}
		v = o[key]
	}
	return v
}

// number returns what is at a path as a number.
func (b *testBox) number(t *testing.T, object, method, parameters, path string) int64 {
	t.Helper()
	n, ok := b.value(t, object, method, parameters, path).(json.Number)
	v, err := n.Int64()
	if !ok || err != nil {
		t.Fatalf("%s.%s: %s is no number", object, method, path)
	}
	return v
}

func decode(t *testing.T, body []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in %.200s", err, body)
	}
	return v
}
