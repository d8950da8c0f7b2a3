package box

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"time"
)

// A session is what a login opens.
type session struct {
	cookie string // value
	used   time.Duration
}

// maxSessions bounds the sessions that are kept; the oldest goes first.
const maxSessions = 16

// serveSession logs in and out.
func (b *Box) serveSession(w http.ResponseWriter, r *http.Request, q request) {
	b.at()
	b.calls[q.service+"."+q.method]++
	if q.method != "createContext" {
		// Ending a session works, and is denied all the same.
		delete(b.sessions, r.Header.Get("X-Context"))
		if _, id, ok := strings.Cut(r.Header.Get("Authorization"), "X-Sah-Logout "); ok {
			delete(b.sessions, id)
		}
		reply := b.failure(q.service, denied(q.service))
		b.mu.Unlock()
		writeReply(w, q.reply, reply)
		return
	}
	user, _ := q.parameters["username"].(string)
	password, _ := q.parameters["password"].(string)
	good := r.Header.Get("Authorization") == "X-Sah-Login" && user == "admin" &&
		subtle.ConstantTimeCompare([]byte(password), []byte(b.password)) == 1
	if !good {
		reply := b.failure(q.service, denied(q.service))
		b.mu.Unlock()
		w.Header().Set("Content-Type", q.reply+"; charset=UTF-8")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write(appendJSON(nil, reply))
		return
	}
	id, s := b.token(36), &session{cookie: b.token(18), used: b.world.now}
	if len(b.sessions) >= maxSessions {
		b.dropOldest()
	}
	b.sessions[id] = s
	cookie := b.cookie
	b.mu.Unlock()
	// The name holds a slash, which no cookie may: that is how boxes do it,
	// and why the standard library's cookies cannot be used on either side.
	w.Header().Add("Set-Cookie", cookie+"="+s.cookie+"; path=/; SameSite=Strict")
	w.Header().Add("Set-Cookie", strings.Replace(cookie, "/sessid", "/accept-language", 1)+"=fr-FR,fr; path=/; SameSite=Strict")
	// Never wrapped, whatever the content type.
	writeReply(w, q.reply, obj("status", 0, "data", obj(
		"contextID", id, "username", "admin", "groups", "http,admin",
	)))
}

func (b *Box) dropOldest() {
	oldest := ""
	for id, s := range b.sessions {
		if oldest == "" || s.used < b.sessions[oldest].used {
			oldest = id
		}
	}
	delete(b.sessions, oldest)
}

// token returns a text that nobody can guess who does not know the seed.
func (b *Box) token(n int) string {
	raw := make([]byte, 0, n+8)
	for len(raw) < n {
		raw = binary.LittleEndian.AppendUint64(raw, b.random.Uint64())
	}
	return base64.StdEncoding.EncodeToString(raw[:n])
}

// allowed says whether the caller of q may ask. The caller holds mu.
func (b *Box) allowed(r *http.Request, q request) bool {
	switch q.service + "." + q.method {
	case "NMC.getWANStatus", "DeviceInfo.get":
		return true
	}
	id := r.Header.Get("X-Context")
	s := b.sessions[id]
	if s == nil {
		return false
	}
	if b.world.now-s.used > b.config.SessionIdle {
		delete(b.sessions, id)
		return false
	}
	if !hasCookie(r, b.cookie+"="+s.cookie) {
		return false
	}
	s.used = b.world.now
	return true
}

// hasCookie says whether the request sends a cookie, "name=value".
func hasCookie(r *http.Request, cookie string) bool {
	for _, line := range r.Header.Values("Cookie") {
		for c := range strings.SplitSeq(line, ";") {
			if strings.TrimSpace(c) == cookie {
				return true
			}
		}
	}
	return false
}
