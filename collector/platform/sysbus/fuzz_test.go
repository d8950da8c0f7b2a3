package sysbus

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// FuzzReply takes any body for a reply to a call, to an event request and to
// the questions of the discovery.
func FuzzReply(f *testing.F) {
	for _, body := range []string{
		`{"status":true,"data":{"LinkType":"gpon","WanState":"up"}}`,
		`{"result":{"status":{"base":{"veip0":{"Flags":"netdev gpon physical wan up"}}}}}`,
		`{"status":{"wan":{"FriendlyName":"Optical ONT","Name":"eth1"},"x":{"Alias":"WiFi"}}}`,
		`{"errors":[{"error":196618,"description":"Intf not bound to any NetDev.Link","info":"veip0"},{"error":196639}]}`,
		`{"error":13,"description":"Permission denied","info":"Gpon"}`,
		`{"channelid":7,"events":[{"data":{"handler":"NMC","object":{"reason":"changed","attributes":{}}}}]}null`,
		`<html></html>`, `[]`, `{"errors":{}}`, `{"result":{"result":{}}}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := readReply(&http.Response{Body: io.NopCloser(bytes.NewReader(body))})
		if err != nil {
			if n.Exists() {
				t.Error("an error and a reply")
			}
			if len(err.Error()) > 300 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if !n.IsObject() {
			t.Error("a reply that is no object")
		}
		var found interfaces
		found.addFlags(n)
		found.addFriendly(n)
		var b Box
		found.fill(&b)
		for _, list := range [][]string{b.WAN, b.Radios, b.VAPs} {
			if len(list) > 3*maxInterfaces {
				t.Errorf("%d interfaces", len(list))
			}
			for _, name := range list {
				if strings.ContainsAny(name, "./ \n\"") || name == "" {
					t.Errorf("interface %q", name)
				}
			}
		}
		deliver(n.Get("events"), func(Event) {})
	})
}

func FuzzCookies(f *testing.F) {
	f.Add("e2c29097/sessid=abc; path=/", "e2c29097/sessid=; expires=Thu, 01-Jan-1970 00:00:01 GMT")
	f.Add("a=1", "a=2;")
	f.Add("=", ";=;")
	f.Add("a\r\nb=1", "\x00=\xff")
	f.Fuzz(func(t *testing.T, first, second string) {
		var s session
		s.addCookies([]string{first, second})
		s.addCookies([]string{second, first})
		if len(s.cookies) > maxCookies {
			t.Errorf("%d cookies", len(s.cookies))
		}
		h := http.Header{}
		s.show(h)
		for _, c := range h["Cookie"] {
			if strings.ContainsAny(c, "\r\n\x00") || c == "" {
				t.Errorf("Cookie: %q", c)
			}
		}
	})
}
