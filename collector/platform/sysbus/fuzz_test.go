package sysbus

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"

	"livebox-agent/collector/platform/tree"
)

// A played is a connection that answers whatever is sent with the same bytes,
// then ends.
type played struct {
	net.Conn
	io.Reader
}

func (p played) Read(b []byte) (int, error)  { return p.Reader.Read(b) }
func (p played) Write(b []byte) (int, error) { return len(b), nil }
func (p played) Close() error                { return nil }

// FuzzHTTP takes any bytes for what a box sends back.
func FuzzHTTP(f *testing.F) {
	for _, wire := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"status\":1}",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2\r\n1}\r\n0\r\n\r\n",
		"HTTP/1.0 200 OK\r\nSet-Cookie: a/b=c\r\n\r\n{}null",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nLocation: /\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}",
		"HTTP/1.1 204 No Content\r\n\r\n", "SSH-2.0\r\n", "",
	} {
		f.Add([]byte(wire))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		l := &lane{dial: func(context.Context, string, string) (net.Conn, error) {
			return played{Reader: bytes.NewReader(wire)}, nil
		}}
		for range 2 {
			r, err := l.roundTrip(t.Context(), []byte("x"))
			if err == nil && (r.status < 200 || len(r.body) > tree.MaxBytes) || err != nil && l.conn != nil {
				t.Errorf("roundTrip = status %d, %d bytes, %v", r.status, len(r.body), err)
			}
		}
	})
}

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
		n, err := reply{body: body}.parse()
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
		head := string(s.show(nil))
		if strings.Count(head, "\n") != min(len(s.cookies), 1) || strings.ContainsRune(head, 0) {
			t.Errorf("head %q of %q", head, s.cookies)
		}
	})
}
