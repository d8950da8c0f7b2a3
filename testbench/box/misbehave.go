package box

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// A Misbehaviour is a way in which a box answers badly.
type Misbehaviour int

// The ways in which a box answers badly.
const (
	// Behave is to answer well.
	Behave Misbehaviour = iota
	// Truncated is a reply cut in the middle that is whole for HTTP.
	Truncated
	// HTML is the front page in place of a reply, with status 200.
	HTML
	// Endless is a reply that goes on for as long as anybody reads.
	Endless
	// WrongTypes is a reply whose numbers are texts that are none, whose texts
	// are numbers and whose truth values are lists.
	WrongTypes
	// RedirectLoop sends every request to where it came from.
	RedirectLoop
	// NotUTF8 is a reply whose texts are in another encoding.
	NotUTF8
	// Empty is a reply without a body.
	Empty
	// ServerError is a page of HTML with status 500.
	ServerError
	// HangUp closes the connection in the middle of the body.
	HangUp
	// Deep is a reply nested some thousands deep.
	Deep
	// HugeNumbers is a reply whose numbers are beyond 64 bits.
	HugeNumbers
)

// Misbehaviours returns all of them, by name.
func Misbehaviours() map[string]Misbehaviour {
	return map[string]Misbehaviour{
		"": Behave, "truncated": Truncated, "html": HTML, "endless": Endless, "wrong-types": WrongTypes,
		"redirect-loop": RedirectLoop, "not-utf8": NotUTF8, "empty": Empty, "server-error": ServerError,
		"hang-up": HangUp, "deep": Deep, "huge-numbers": HugeNumbers,
	}
}

// write writes the reply v, well or badly.
func (m Misbehaviour) write(w http.ResponseWriter, r *http.Request, contentType string, v *object) {
	head := w.Header()
	head.Set("Content-Type", contentType+"; charset=UTF-8")
	body := appendJSON(nil, v)
	switch m {
	case Truncated:
		body = body[:len(body)*2/3]
	case HTML, ServerError:
		head.Set("Content-Type", "text/html")
		if m == ServerError {
			w.WriteHeader(http.StatusInternalServerError)
		}
		body = []byte(frontPage)
	case Endless:
		_, _ = io.WriteString(w, `{"status":[`)
		for chunk := bytes.Repeat([]byte("0,"), 4096); r.Context().Err() == nil; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
		return
	case WrongTypes:
		body = appendJSON(nil, wrong(v))
	case RedirectLoop:
		http.Redirect(w, r, r.URL.RequestURI(), http.StatusTemporaryRedirect)
		return
	case NotUTF8:
		// A text is begun with e and acute as ISO 8859-1 has it.
		body = bytes.ReplaceAll(body, []byte(`:"`), []byte(":\"\xe9"))
	case Empty:
		body = nil
	case HangUp:
		head.Set("Content-Length", fmt.Sprint(len(body)))
		_, _ = w.Write(body[:len(body)/2])
		panic(http.ErrAbortHandler)
	case Deep:
		body = []byte(strings.Repeat(`{"status":`, 5000) + "0" + strings.Repeat("}", 5000))
	case HugeNumbers:
		body = appendJSON(nil, huge(v))
	}
	_, _ = w.Write(body)
}

// wrong returns v with every value of another type.
func wrong(v any) any {
	switch v := v.(type) {
	case *object:
		o := &object{}
		for _, f := range v.fields {
			o.fields = append(o.fields, field{f.key, wrong(f.value)})
		}
		return o
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = wrong(e)
		}
		return list
	case string:
		return len(v)
	case bool:
		return []any{v}
	case nil:
		return "null"
	}
	return "not a number"
}

// huge returns v with every number beyond what 64 bits hold.
func huge(v any) any {
	switch v := v.(type) {
	case *object:
		o := &object{}
		for _, f := range v.fields {
			o.fields = append(o.fields, field{f.key, huge(f.value)})
		}
		return o
	case []any:
		list := make([]any, len(v))
		for i, e := range v {
			list[i] = huge(e)
		}
		return list
	case int, int64, uint64, float64:
		return -1e25
	}
	return v
}
