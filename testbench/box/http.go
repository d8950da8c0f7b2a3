package box

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// The content types of the protocol.
const (
	typeBare    = "application/x-sah-ws-4-call+json"
	typeWrapped = "application/x-sah-ws-1-call+json"
	typeEvent   = "application/x-sah-event-4-call+json"
	typeJSON    = "application/json"
)

// maxRequest bounds the body of a request.
const maxRequest = 64 << 10

// A request is one call.
type request struct {
	service, method string
	parameters      map[string]any
	// wrapped says that the reply is within "result".
	wrapped bool
	// reply is its content type.
	reply string
}

// Handler returns the box's web server. That of an OpenWrt router has no
// pages.
func (b *Box) Handler() http.Handler {
	mux := http.NewServeMux()
	if !b.p.openwrt {
		mux.HandleFunc("POST /ws", b.serveCall)
		mux.HandleFunc("POST /sysbus/", b.serveOld)
		mux.HandleFunc("GET /{$}", b.serveFront)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serving := b.at().serving()
		b.mu.Unlock()
		if !serving {
			panic(http.ErrAbortHandler) // as if nobody listened yet
		}
		mux.ServeHTTP(w, r)
	})
}

// serveFront is the page that a browser sees first.
func (b *Box) serveFront(w http.ResponseWriter, _ *http.Request) {
	// The cookie of an earlier visit ends.
	w.Header().Add("Set-Cookie", b.cookie+"=; expires=Thu, 01-Jan-1970 00:00:01 GMT; path=/; SameSite=Strict")
	w.Header().Set("Content-Type", "text/html")
	_, _ = io.WriteString(w, frontPage)
}

const frontPage = "<!DOCTYPE html>\n<html><head><title>Livebox</title></head><body><h1>Livebox</h1></body></html>\n"

// serveCall is the end point of calls and of events.
func (b *Box) serveCall(w http.ResponseWriter, r *http.Request) {
	media, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		http.Error(w, "Bad Request", http.StatusBadRequest)
		return
	}
	if media == typeEvent {
		b.serveEvents(w, r, body)
		return
	}
	var call struct {
		Service    string         `json:"service"`
		Method     string         `json:"method"`
		Parameters map[string]any `json:"parameters"`
	}
	if err := json.Unmarshal(body, &call); err != nil || call.Service == "" {
		http.Error(w, "Bad Request", http.StatusBadRequest)
		return
	}
	q := request{service: call.Service, method: call.Method, parameters: call.Parameters, reply: media}
	switch media {
	case typeWrapped:
		q.wrapped = true
	case typeBare:
	default:
		q.reply = typeJSON
	}
	b.serve(w, r, q)
}

// serveOld is the form of calls with the function in the path.
func (b *Box) serveOld(w http.ResponseWriter, r *http.Request) {
	service, method, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/sysbus/"), ":")
	if !ok {
		http.NotFound(w, r)
		return
	}
	var call struct {
		Parameters map[string]any `json:"parameters"`
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err == nil && len(body) > 0 {
		err = json.Unmarshal(body, &call)
	}
	if err != nil {
		http.Error(w, "Bad Request", http.StatusBadRequest)
		return
	}
	b.serve(w, r, request{
		service: strings.ReplaceAll(service, "/", "."), method: method, parameters: call.Parameters,
		wrapped: true, reply: typeJSON,
	})
}

// serve answers a call.
func (b *Box) serve(w http.ResponseWriter, r *http.Request, q request) {
	q.service = strings.TrimPrefix(q.service, "sysbus.")
	done, err := b.dawdle(r, q)
	if err != nil {
		return // the client has gone
	}
	defer done()
	if q.service == "sah.Device.Information" {
		b.serveSession(w, r, q)
		return
	}
	b.at()
	b.calls[q.service+"."+q.method]++
	var reply *object
	if b.allowed(r, q) {
		reply = b.answer(q)
	} else {
		reply = b.failure(q.service, denied(q.service))
	}
	kind := b.misbehave
	b.mu.Unlock()
	if q.wrapped {
		reply = obj("result", reply)
	}
	kind.write(w, r, q.reply, reply)
}

// dawdle waits for as long as a slow box needs. The caller calls done when the
// box may take the next request.
func (b *Box) dawdle(r *http.Request, q request) (done func(), err error) {
	b.at()
	d := b.slow
	b.mu.Unlock()
	if d == 0 {
		return func() {}, nil
	}
	if q.method != "getMIBs" {
		d /= 10
	}
	if err := b.take(r.Context()); err != nil {
		return nil, err
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return func() { b.turn <- struct{}{} }, nil
	case <-r.Context().Done():
		b.turn <- struct{}{}
		return nil, r.Context().Err()
	}
}

// writeReply writes v as the body of a reply.
func writeReply(w http.ResponseWriter, contentType string, v *object) {
	w.Header().Set("Content-Type", contentType+"; charset=UTF-8")
	_, _ = w.Write(appendJSON(nil, v))
}

// A fault is one error of a reply.
type fault struct {
	code              int
	description, info string
}

// The codes of errors.
const (
	codeDenied   = 13
	codeNotFound = 196618
	codeFailed   = 196639
)

func denied(object string) fault { return fault{codeDenied, "Permission denied", object} }

func notFound(object string) fault {
	return fault{codeNotFound, "Object or parameter not found", object}
}

func failed(function string) fault { return fault{codeFailed, "Function execution failed", function} }

// failure returns the reply of faults. Some boxes tell one fault about an
// interface as an object, not in a list.
func (b *Box) failure(service string, faults ...fault) *object {
	var list []any
	for _, f := range faults {
		list = append(list, obj("error", f.code, "description", f.description, "info", f.info))
	}
	if b.p.oneError && len(list) == 1 && strings.HasPrefix(service, "NeMo.") {
		return obj("errors", list[0])
	}
	return obj("errors", list)
}
