package box

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

// fault returns the first error of a reply, from a list or alone.
func faultOf(t *testing.T, reply map[string]any) (code, description, info string) {
	t.Helper()
	e := reply["errors"]
	if list, ok := e.([]any); ok && len(list) > 0 {
		e = list[0]
	}
	o, ok := e.(map[string]any)
	if !ok {
		t.Fatalf("no error in %v", reply)
	}
	n, _ := o["error"].(json.Number)
	return n.String(), o["description"].(string), o["info"].(string)
}

func TestPlainClientLogsInAndAsks(t *testing.T) {
	b, err := New(Config{Model: "livebox5", Seed: 7, Password: "s3cret"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(b.Handler())
	defer server.Close()
	post := func(body string, header http.Header) (status int, head http.Header, text string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/ws", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = header
		r.Header.Set("Content-Type", "application/x-sah-ws-4-call+json; charset=UTF-8")
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		all, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header, string(all)
	}
	login := http.Header{"Authorization": {"X-Sah-Login"}}
	if status, _, _ := post(strings.Replace(loginBody, "PASSWORD", "wrong", 1), login); status != http.StatusUnauthorized {
		t.Errorf("wrong password: %d", status)
	}
	_, head, body := post(strings.Replace(loginBody, "PASSWORD", "s3cret", 1), login)
	context := decode(t, []byte(body))["data"].(map[string]any)["contextID"].(string)
	cookie, _, _ := strings.Cut(head.Get("Set-Cookie"), ";")
	if !regexp.MustCompile(`^[0-9a-f]{8}/sessid=.+`).MatchString(cookie) {
		t.Errorf("cookie %q", cookie)
	}
	if got := (&http.Response{Header: head}).Cookies(); len(got) != 0 {
		t.Error("the standard library understands the cookie; that of a real box it does not")
	}
	ask := `{"service":"sysbus.NMC","method":"get","parameters":{}}`
	for name, tt := range map[string]struct {
		header http.Header
		denied bool
	}{
		"with both":          {http.Header{"X-Context": {context}, "Cookie": {"other=1; " + cookie}}, false},
		"without the cookie": {http.Header{"X-Context": {context}}, true},
		"another cookie":     {http.Header{"X-Context": {context}, "Cookie": {cookie + "x"}}, true},
		"without context":    {http.Header{"Cookie": {cookie}}, true},
		"with nothing":       {http.Header{}, true},
	} {
		status, _, body := post(ask, tt.header)
		if denied := strings.Contains(body, `"error":13,"description":"Permission denied","info":"NMC"`); status != http.StatusOK || denied != tt.denied {
			t.Errorf("%s: %d %.200s", name, status, body)
		}
	}
}

func TestWhatNeedsNoLogin(t *testing.T) {
	b, _ := newTestBox(t, Config{Model: "livebox7"})
	for call, open := range map[string]bool{
		"NMC.getWANStatus": true, "DeviceInfo.get": true, "NMC.get": false, "DeviceInfo.MemoryStatus.get": false,
	} {
		i := strings.LastIndexByte(call, '.')
		w := b.post(t, "/ws", typeBare, `{"service":"`+call[:i]+`","method":"`+call[i+1:]+`"}`, nil)
		if got := !strings.Contains(w.Body.String(), "errors"); got != open {
			t.Errorf("%s without login: %s", call, w.Body)
		}
	}
}

func TestReplyIsWrappedAsAsked(t *testing.T) {
	b, _ := newTestBox(t, Config{Model: "livebox4"})
	b.login(t)
	call := `{"service":"Time","method":"getTime","parameters":{}}`
	for _, tt := range []struct {
		path, contentType, body, reply string
		wrapped                        bool
	}{
		{"/ws", typeBare, call, typeBare + "; charset=UTF-8", false},
		{"/ws", typeWrapped, call, typeWrapped + "; charset=UTF-8", true},
		{"/ws", typeJSON, call, typeJSON + "; charset=UTF-8", false},
		{"/sysbus/Time:getTime", typeJSON, `{"parameters":{}}`, typeJSON + "; charset=UTF-8", true},
	} {
		w := b.post(t, tt.path, tt.contentType, tt.body, b.header())
		reply := decode(t, w.Body.Bytes())
		_, wrapped := reply["result"]
		if wrapped != tt.wrapped || w.Header().Get("Content-Type") != tt.reply {
			t.Errorf("%s as %s: %s, %s", tt.path, tt.contentType, w.Header().Get("Content-Type"), w.Body)
		}
		if inner, ok := reply["result"].(map[string]any); ok {
			reply = inner
		}
		if reply["status"] != true {
			t.Errorf("%s as %s: %s", tt.path, tt.contentType, w.Body)
		}
	}
	// A login is never wrapped.
	w := b.post(t, "/ws", typeWrapped, strings.Replace(loginBody, "PASSWORD", DefaultPassword, 1),
		http.Header{"Authorization": {"X-Sah-Login"}})
	if decode(t, w.Body.Bytes())["data"] == nil {
		t.Errorf("login as %s: %s", typeWrapped, w.Body)
	}
	// An error is.
	w = b.post(t, "/sysbus/NeMo/Intf/veip0:getMIBs", typeJSON, "", b.header())
	if inner, _ := decode(t, w.Body.Bytes())["result"].(map[string]any); inner["errors"] == nil {
		t.Errorf("error in the old form: %s", w.Body)
	}
}

func TestErrorsHaveTheShapesOfTheBoxes(t *testing.T) {
	for _, tt := range []struct {
		model, object, method         string
		code, description, info, list string
	}{
		{"livebox7", "Gpon", "get", "13", "Permission denied", "Gpon", "[]"},
		{"liveboxW7", "WatchDog", "get", "13", "Permission denied", "WatchDog", "[]"},
		{"liveboxS", "NeMo", "get", "13", "Permission denied", "NeMo", "[]"},
		{"livebox7", "NeMo.Intf.dsl0", "getDSLStats", "196618", "Object or parameter not found", "NeMo.Intf.dsl0", "[]"},
		{"livebox5", "Nonsense", "get", "196618", "Object or parameter not found", "Nonsense", "[]"},
		{"livebox6", "NeMo.Intf.veip0", "nonsense", "196639", "Function execution failed", "nonsense", "[]"},
		// The older boxes tell one error alone.
		{"livebox4", "NeMo.Intf.veip0", "getMIBs", "196618", "Object or parameter not found", "NeMo.Intf.veip0", "{}"},
		{"livebox3", "NeMo.Intf.veip0", "getMIBs", "196618", "Object or parameter not found", "NeMo.Intf.veip0", "{}"},
		{"livebox4", "Gpon", "get", "13", "Permission denied", "Gpon", "[]"},
	} {
		b, _ := newTestBox(t, Config{Model: tt.model})
		reply := b.mustAsk(t, tt.object, tt.method, "")
		code, description, info := faultOf(t, reply)
		if code != tt.code || description != tt.description || info != tt.info || typeOf(reply["errors"]) != tt.list {
			t.Errorf("%s: %s.%s: %v", tt.model, tt.object, tt.method, reply)
		}
	}
}

func TestExternalONTLeavesTheOpticsUnbound(t *testing.T) {
	b, _ := newTestBox(t, Config{Model: "livebox5", ExternalONT: true})
	got := shape{}
	got.add(t, "", b.mustAsk(t, "NeMo.Intf.veip0", "getNetDevStats", ""))
	for _, wrong := range got.compare(readShape(t, "sysbus-error-intf-not-bound"), false) {
		t.Error(wrong)
	}
	list := b.mustAsk(t, "NeMo.Intf.veip0", "getNetDevStats", "")["errors"].([]any)
	if len(list) != 2 || list[0].(map[string]any)["description"] != "Intf not bound to any NetDev.Link" ||
		list[1].(map[string]any)["info"] != "getNetDevStats" {
		t.Errorf("errors %v", list)
	}
	if link := b.value(t, "NMC", "getWANStatus", "", "data/LinkType"); link != "ethernet" {
		t.Errorf("link type %v", link)
	}
	if _, err := New(Config{Model: "livebox3", ExternalONT: true}); err == nil {
		t.Error("a box without optics took it")
	}
}

func TestSessionEndsWhenIdleOrReleased(t *testing.T) {
	b, clock := newTestBox(t, Config{Model: "livebox6", SessionIdle: time.Minute})
	b.mustAsk(t, "NMC", "get", "")
	for range 3 {
		clock.pass(50 * time.Second)
		if b.mustAsk(t, "NMC", "get", "")["status"] == nil {
			t.Error("a session in use ended")
		}
	}
	clock.pass(61 * time.Second)
	if code, _, _ := faultOf(t, b.mustAsk(t, "NMC", "get", "")); code != "13" {
		t.Error("an idle session goes on")
	}
	b.login(t)
	// Ending one is denied, as on real boxes, and ends it.
	header := b.header()
	header.Set("Authorization", "X-Sah-Logout "+b.context)
	w := b.post(t, "/ws", typeBare, `{"service":"sah.Device.Information","method":"releaseContext","parameters":{}}`, header)
	if code, _, _ := faultOf(t, decode(t, w.Body.Bytes())); code != "13" {
		t.Errorf("logout: %s", w.Body)
	}
	if code, _, _ := faultOf(t, b.mustAsk(t, "NMC", "get", "")); code != "13" {
		t.Error("the session goes on after the logout")
	}
}

func TestFrontPageTakesAnOldCookieAway(t *testing.T) {
	b, _ := newTestBox(t, Config{Model: "livebox4"})
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if c := w.Header().Get("Set-Cookie"); w.Code != http.StatusOK || !strings.Contains(c, "/sessid=; expires=Thu, 01-Jan-1970") {
		t.Errorf("%d, cookie %q", w.Code, c)
	}
}

func TestBadRequestsAreRefused(t *testing.T) {
	b, _ := newTestBox(t, Config{Model: "livebox7"})
	for _, tt := range []struct {
		path, contentType, body string
		status                  int
	}{
		{"/ws", typeBare, "no JSON", http.StatusBadRequest},
		{"/ws", typeBare, `{"service":""}`, http.StatusBadRequest},
		{"/ws", typeBare, `"` + strings.Repeat("x", maxRequest) + `"`, http.StatusBadRequest},
		{"/ws", typeEvent, `{"events":[]}`, http.StatusBadRequest},
		{"/sysbus/NMC", typeJSON, "{}", http.StatusNotFound},
		{"/sysbus/NMC:get", typeJSON, "{", http.StatusBadRequest},
		{"/other", typeJSON, "{}", http.StatusNotFound},
	} {
		if w := b.post(t, tt.path, tt.contentType, tt.body, nil); w.Code != tt.status {
			t.Errorf("%s %.20q: %d, want %d", tt.path, tt.body, w.Code, tt.status)
		}
	}
}

func TestMIBsFollowTheFlagsAsked(t *testing.T) {
	b, _ := newTestBox(t, Config{Model: "livebox7"})
	for _, tt := range []struct {
		object, parameters string
		there, absent      []string
	}{
		{"NeMo.Intf.data", `{"traverse":"all","flag":"statmon && !wlanvap && enabled"}`, []string{"veip0", "ETH0"}, []string{"rad5g0", "vap5g0priv0"}},
		{"NeMo.Intf.lan", `{"mibs":"base","flag":"wlanvap && (primary || secondary)"}`, []string{"vap5g0priv0", "vap5g0priv1"}, []string{"rad5g0", "veip0", "ETH0"}},
		{"NeMo.Intf.lan", `{"mibs":"base","flag":"!!wlanradio"}`, []string{"rad6g0"}, []string{"vap5g0priv0"}},
		{"NeMo.Intf.lan", `{"mibs":"base","flag":"wlanradio &&"}`, nil, []string{"rad6g0"}},
		{"NeMo.Intf.lan", `{"mibs":"base","flag":"(wlanradio"}`, nil, []string{"rad6g0"}},
		{"NeMo.Intf.rad5g0", `{"mibs":"base","traverse":"up"}`, []string{"vap5g0priv0", "bridge", "lan"}, []string{"vap2g0priv0"}},
		{"NeMo.Intf.rad5g0", `{"mibs":"base","traverse":"this"}`, []string{"rad5g0"}, []string{"vap5g0priv0"}},
	} {
		base, _ := b.value(t, tt.object, "getMIBs", tt.parameters, "status/base").(map[string]any)
		for _, name := range tt.there {
			if base[name] == nil {
				t.Errorf("%s %s: %s is not there", tt.object, tt.parameters, name)
			}
		}
		for _, name := range tt.absent {
			if base[name] != nil {
				t.Errorf("%s %s: %s is there", tt.object, tt.parameters, name)
			}
		}
	}
	names, _ := b.mustAsk(t, "NeMo.Intf.lo", "getIntfs", `{"traverse":"all"}`)["status"].([]any)
	if len(names) < 12 {
		t.Errorf("getIntfs: %v", names)
	}
	// Kinds of data that no interface has come as empty objects.
	if v := b.value(t, "NeMo.Intf.lan", "getMIBs", "", "status/ppp"); len(v.(map[string]any)) != 0 {
		t.Errorf("ppp: %v", v)
	}
}

func TestSessionsAndChannelsAreBounded(t *testing.T) {
	b, clock := newTestBox(t, Config{Model: "livebox6", LongPoll: time.Nanosecond})
	b.login(t)
	first := b.header()
	for range maxSessions {
		clock.pass(time.Second)
		b.login(t)
	}
	call := `{"service":"NMC","method":"get"}`
	if w := b.post(t, "/ws", typeBare, call, first); !strings.Contains(w.Body.String(), `"error":13`) {
		t.Error("the oldest session goes on")
	}
	if w := b.post(t, "/ws", typeBare, call, b.header()); strings.Contains(w.Body.String(), "errors") {
		t.Errorf("the newest session: %s", w.Body)
	}
	id := b.pollEvents(t, `{"events":["NMC"]}`)["channelid"].(json.Number).String()
	for range maxChannels {
		clock.pass(time.Second)
		b.pollEvents(t, `{"events":["NMC"]}`)
	}
	if _, _, info := faultOf(t, b.pollEvents(t, `{"events":["NMC"],"channelid":`+id+`}`)); info != "channel does not exist" {
		t.Errorf("the oldest channel: %s", info)
	}
}

func TestPasswordCanChange(t *testing.T) {
	b, _ := newTestBox(t, Config{Model: "livebox6"})
	b.login(t)
	b.SetPassword("another")
	w := b.post(t, "/ws", typeBare, strings.Replace(loginBody, "PASSWORD", DefaultPassword, 1),
		http.Header{"Authorization": {"X-Sah-Login"}})
	if w.Code != http.StatusUnauthorized {
		t.Errorf("the old password: %d", w.Code)
	}
	if b.mustAsk(t, "NMC", "get", "")["status"] == nil {
		t.Error("the session ended")
	}
}

func TestMemoryIsInKilobytesAndAddsUp(t *testing.T) {
	b, _ := newTestBox(t, Config{Model: "livebox7"})
	n := func(key string) int64 { return b.number(t, "DeviceInfo.MemoryStatus", "get", "", "status/"+key) }
	if total := n("Total"); total < 100<<10 || total > 4<<20 || n("Free")+n("Buffered")+n("Cached") > total {
		t.Errorf("%d in all, %d free, %d, %d", total, n("Free"), n("Buffered"), n("Cached"))
	}
}
