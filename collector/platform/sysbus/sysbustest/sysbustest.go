// Package sysbustest is the web service of a Livebox for tests: it speaks the
// protocol, and a function of the test gives the replies.
package sysbustest

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/tree"
)

// A Func answers a call of method on object. The reply is what the box would
// give without a wrapper, such as map[string]any{"status": …}, or its JSON text
// as a json.RawMessage. A nil reply is the error for an object that does not
// exist; Denied and Error make others.
type Func func(object, method string, params tree.Node) (reply any)

// Error returns the reply with one error.
func Error(code int, description, info string) any {
	return map[string]any{"errors": []any{map[string]any{"error": code, "description": description, "info": info}}}
}

// Denied returns the reply to what the user may not ask.
func Denied(info string) any { return Error(13, "Permission denied", info) }

// Replies returns a Func that gives the same JSON text each time, by
// "Object.method".
func Replies(replies map[string]string) Func {
	return func(object, method string, _ tree.Node) any {
		if text, ok := replies[object+"."+method]; ok {
			return json.RawMessage(text)
		}
		return nil
	}
}

// Call answers as a client of the box does, without a box: for tests of what
// asks a client. Params is encoded and decoded on its way as over the network.
func (f Func) Call(ctx context.Context, object, method string, params any) (tree.Node, error) {
	if err := ctx.Err(); err != nil {
		return tree.Node{}, err
	}
	text, err := json.Marshal(params)
	if err != nil {
		return tree.Node{}, err
	}
	p, err := tree.Parse(text)
	if err != nil {
		return tree.Node{}, err
	}
	reply, err := json.Marshal(f.answer(object, method, p))
	if err != nil {
		return tree.Node{}, err
	}
	n, err := tree.Parse(reply)
	if err != nil {
		return tree.Node{}, err
	}
	if e := n.Get("errors", "0"); e.Exists() {
		code, _ := e.Get("error").Int()
		meaning := map[int64]error{13: collector.ErrRefused, 196618: collector.ErrNoData}[code]
		if meaning == nil {
			return tree.Node{}, fmt.Errorf("%s.%s: box reports error %d", object, method, code)
		}
		return tree.Node{}, fmt.Errorf("%s.%s: box reports error %d: %w", object, method, code, meaning)
	}
	return n, nil
}

func (f Func) answer(object, method string, params tree.Node) any {
	if reply := f(object, method, params); reply != nil {
		return reply
	}
	return Error(196618, "Object or parameter not found", object)
}

// A Box serves /ws. The fields are set before it serves.
type Box struct {
	// Reply answers calls.
	Reply Func
	// Events answers one event request, if the box has events. It is given
	// the request's body and may wait until r.Context is done.
	Events func(r *http.Request, body tree.Node) (reply any)
	// Password of the user admin; empty: nobody can log in.
	Password string
	// Open says what is answered without a session; nil means everything if
	// Password is empty, and otherwise DeviceInfo.get and NMC.getWANStatus.
	Open func(object, method string) bool

	mu      sync.Mutex
	logins  int
	session string // the context in force; empty: none
	calls   []string
}

// Restart ends the session, as a restart of the box does.
func (b *Box) Restart() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.session = ""
}

// Logins is how many logins were tried.
func (b *Box) Logins() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.logins
}

// Calls returns "Object.method" of every call so far but logins, denied ones
// too.
func (b *Box) Calls() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string(nil), b.calls...)
}

const cookie = "e2c29097/sessid"

// ServeHTTP implements http.Handler.
func (b *Box) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/ws" {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!DOCTYPE html><html></html>")
		return
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil || r.Method != http.MethodPost {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	n, err := tree.Parse(body)
	if err != nil {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	object, _ := n.Get("service").Text()
	object = strings.TrimPrefix(object, "sysbus.")
	method, _ := n.Get("method").Text()
	if object == "sah.Device.Information" && method == "createContext" {
		b.login(w, r, n.Get("parameters"))
		return
	}
	switch r.Header.Get("Content-Type") {
	case "application/x-sah-event-4-call+json":
		reply := Denied("eventmanager")
		if b.Events != nil && b.known(r) {
			reply = b.Events(r, n)
		}
		write(w, reply, "null")
	case "application/x-sah-ws-1-call+json":
		write(w, map[string]any{"result": b.answer(r, object, method, n.Get("parameters"))}, "")
	case "application/x-sah-ws-4-call+json":
		write(w, b.answer(r, object, method, n.Get("parameters")), "")
	default:
		http.Error(w, "unsupported media type", http.StatusUnsupportedMediaType)
	}
}

func write(w http.ResponseWriter, reply any, trailer string) {
	text, err := json.Marshal(reply)
	if err != nil {
		panic("BUG: reply of the test: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/x-sah-ws-4-call+json")
	_, _ = w.Write(append(text, trailer...))
}

func (b *Box) login(w http.ResponseWriter, r *http.Request, params tree.Node) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.logins++
	user, _ := params.Get("username").Text()
	password, _ := params.Get("password").Text()
	if r.Header.Get("Authorization") != "X-Sah-Login" || user != "admin" || b.Password == "" ||
		subtle.ConstantTimeCompare([]byte(password), []byte(b.Password)) != 1 {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	b.session = fmt.Sprintf("context%d/%s", b.logins, strings.Repeat("x", 32))
	w.Header().Add("Set-Cookie", "e2c29097/accept-language=fr-FR; path=/; SameSite=Strict")
	w.Header().Add("Set-Cookie", fmt.Sprintf("%s=session%d; path=/; HttpOnly; SameSite=Strict", cookie, b.logins))
	write(w, map[string]any{"status": 0, "data": map[string]any{
		"contextID": b.session, "username": "admin", "groups": "http,admin",
	}}, "")
}

// known says whether r shows the session in force: the context and the cookie.
func (b *Box) known(r *http.Request) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.session != "" && r.Header.Get("X-Context") == b.session &&
		strings.Contains(r.Header.Get("Cookie"), fmt.Sprintf("%s=session%d", cookie, b.logins))
}

func (b *Box) answer(r *http.Request, object, method string, params tree.Node) any {
	key := object + "." + method
	b.mu.Lock()
	b.calls = append(b.calls, key)
	b.mu.Unlock()
	open := b.Password == "" || key == "DeviceInfo.get" || key == "NMC.getWANStatus"
	if b.Open != nil {
		open = b.Open(object, method)
	}
	if !open && !b.known(r) {
		return Denied(object)
	}
	return b.Reply.answer(object, method, params)
}
