package sysbus

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"livebox-agent/collector/platform/tree"
)

// readWire reads one reply.
func readWire(wire string) (head, []byte, error) { return readKnown(wire, 0) }

// readKnown reads one reply of which a body like it had known bytes.
func readKnown(wire string, known int) (head, []byte, error) {
	in := bufio.NewReader(strings.NewReader(wire))
	left := maxHeader
	h, err := readHead(in, &left)
	if err != nil {
		return head{}, nil, err
	}
	body, err := h.readBody(in, known)
	return h, body, err
}

func TestHeadersOfAReply(t *testing.T) {
	h, body, err := readWire("HTTP/1.1 200\r\n" +
		"content-TYPE: text/html\r\n" +
		"Set-Cookie: a/b=c;\r\n\t path=/ \r\n" +
		"X-Strange~Name:\x01\xff\r\n" +
		"Empty:\n" +
		"SET-COOKIE:d=e\n" +
		"Content-Length: 2\r\nContent-Length: 2\r\n" +
		"\r\n{}rest")
	if err != nil || string(body) != "{}" {
		t.Fatalf("body %q, %v", body, err)
	}
	if h.status != 200 || h.contentType != "text/html" || h.last || len(h.cookies) != 2 ||
		h.cookies[0] != "a/b=c; path=/" || h.cookies[1] != "d=e" {
		t.Errorf("head %+v", h)
	}
}

func TestWhetherTheConnectionLivesOn(t *testing.T) {
	for wire, last := range map[string]bool{
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":                                                    false,
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: upgrade, Close\r\n\r\n":                      true,
		"HTTP/1.1 200 OK\r\n\r\n":                                                                         true,
		"HTTP/1.1 204 No Content\r\n\r\n":                                                                 false,
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n":                                                    true,
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n":                          false,
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n":     true,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0\r\n\r\n":                                  false,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n":             true,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000;x=y\r\nTrailer: x\r\nNone: y\r\n\r\n": false,
	} {
		h, body, err := readWire(wire)
		if err != nil || len(body) != 0 || h.last != last {
			t.Errorf("%q: last = %v, body %q, %v; want last = %v", wire, h.last, body, err, last)
		}
	}
}

func TestRepliesThatAreNoHTTP(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	chunks := ok + "Transfer-Encoding: chunked\r\n\r\n"
	for name, wire := range map[string]string{
		"another protocol":         "SSH-2.0-dropbear\r\n\r\n",
		"a version to come":        "HTTP/2.0 200 OK\r\n\r\n",
		"no status":                "HTTP/1.1 \r\n\r\n",
		"a status of two digits":   "HTTP/1.1 20 OK\r\n\r\n",
		"a status below 100":       "HTTP/1.1 099 OK\r\n\r\n",
		"a status of letters":      "HTTP/1.1 2x0 OK\r\n\r\n",
		"a page":                   "<html>\r\n</html>\r\n\r\n",
		"no colon":                 ok + "Content-Length\r\n\r\n",
		"a space before the colon": ok + "Content-Length : 2\r\n\r\n{}",
		"no name":                  ok + ": 2\r\n\r\n{}",
		"continues nothing":        ok + " Content-Length: 2\r\n\r\n{}",
		"two lengths":              ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
		"a list of lengths":        ok + "Content-Length: 2, 2\r\n\r\n{}",
		"a length with a sign":     ok + "Content-Length: +2\r\n\r\n{}",
		"a length below nothing":   ok + "Content-Length: -1\r\n\r\n{}",
		"no length":                ok + "Content-Length:\r\n\r\n{}",
		"a length of 65 bits":      ok + "Content-Length: 18446744073709551618\r\n\r\n{}",
		"a length that is a lie":   ok + "Content-Length: 2097153\r\n\r\n{}",
		"compressed":               ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"chunked twice":            ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"chunks in HTTP/1.0":       "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"a chunk without size":     chunks + "\r\n{}\r\n0\r\n\r\n",
		"a size with a sign":       chunks + "+2\r\n{}\r\n0\r\n\r\n",
		"a size that is none":      chunks + "0x2\r\n{}\r\n0\r\n\r\n",
		"a size of 32 bits":        chunks + "80000000\r\n{}\r\n0\r\n\r\n",
		"chunks that are too much": chunks + "1\r\n{\r\n200000\r\n",
		"a chunk that is longer":   chunks + "2\r\n{}}\r\n0\r\n\r\n",
		"a line without end":       ok + "X: " + strings.Repeat("x", maxHeader) + "\r\n\r\n",
		"headers without end":      ok + strings.Repeat("X: y\r\n", maxHeader/6),
		"a trailer without end":    chunks + "0\r\n" + strings.Repeat("X: y\r\n", maxHeader/6+1),
		"a body without end":       ok + "\r\n" + strings.Repeat(" ", tree.MaxBytes+1),
	} {
		if h, body, err := readWire(wire); !errors.Is(err, tree.ErrMalformed) || len(err.Error()) > 200 {
			t.Errorf("%s: %+v, %d bytes, %.300v; want a short ErrMalformed", name, h, len(body), err)
		}
	}
}

func TestRepliesThatBreakOff(t *testing.T) {
	for _, wire := range []string{
		"HTTP/1.1 200 OK\r\nSet-Cookie: a/b=c\r\nContent-Length: 12\r\n\r\n{\"status\":1}",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"a\":\r\n2;x\r\n1}\r\n0\r\nX: y\r\n\r\n",
	} {
		if _, _, err := readWire(wire); err != nil {
			t.Fatal(err)
		}
		for n := range len(wire) {
			if _, _, err := readWire(wire[:n]); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%q: %v; want unexpected EOF", wire[:n], err)
			}
		}
	}
}

func TestAnnouncedLengthTakesNoMemory(t *testing.T) {
	for _, came := range []int{0, 1, atOnce, 5 * atOnce} {
		b := body{most: tree.MaxBytes}
		in := bufio.NewReader(strings.NewReader(strings.Repeat("x", came)))
		if err := b.read(in, tree.MaxBytes); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes: %v; want unexpected EOF", came, err)
		}
		if most := max(atOnce, 2*came); cap(b.bytes) > most {
			t.Errorf("%d of %d bytes came and take %d; want at most %d", came, tree.MaxBytes, cap(b.bytes), most)
		}
	}
}

func TestBodyOfAKnownLengthIsTakenAtOnce(t *testing.T) {
	text := strings.Repeat("x", 100_000)
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(text)/4, text[:len(text)/4])
	for name, wire := range map[string]string{
		"length": fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text),
		"chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat(chunk, 4) + "0\r\n\r\n",
		"end":    "HTTP/1.1 200 OK\r\n\r\n" + text,
	} {
		const known = 101_000
		want := known
		if name == "length" {
			want = len(text) // it is told exactly
		}
		if _, got, err := readKnown(wire, known); err != nil || string(got) != text || cap(got) != want {
			t.Errorf("%s: %d bytes in %d, %v; want %d in %d", name, len(got), cap(got), err, len(text), want)
		}
		// What was known may be wrong.
		for _, known := range []int{0, 1, len(text) / 2, tree.MaxBytes} {
			if _, got, err := readKnown(wire, known); err != nil || string(got) != text {
				t.Errorf("%s, %d bytes known: %d bytes, %v; want %d", name, known, len(got), err, len(text))
			}
		}
	}
}

func TestLengthsAreRememberedByCall(t *testing.T) {
	config := DefaultConfig()
	config.URL = "http://box.test/"
	reply := `{"status":"` + strings.Repeat("x", 1590) + `"}`
	c, err := New(config, Options{Dial: func(context.Context, string, string) (net.Conn, error) {
		return played{Reader: strings.NewReader("HTTP/1.1 200 OK\r\n\r\n" + reply)}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 * maxLengths {
		if _, err := c.Call(t.Context(), "NMC", "get", map[string]int{"i": i}); err != nil {
			t.Fatal(err)
		}
		if n := c.lengths[fmt.Sprintf(`{"service":"NMC","method":"get","parameters":{"i":%d}}`, i)]; n != len(reply)+len(reply)/16 {
			t.Fatalf("after a reply of %d bytes, %d are expected", len(reply), n)
		}
	}
	if len(c.lengths) > maxLengths {
		t.Errorf("%d lengths are remembered; want at most %d", len(c.lengths), maxLengths)
	}
}

// FuzzAsNetHTTP holds what a reply is taken for against what the reader of
// net/http takes it for: what is read here is read the same there. The other
// way round it need not be: that reader takes more.
func FuzzAsNetHTTP(f *testing.F) {
	for _, wire := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: a\r\n\r\n{}rest",
		"HTTP/1.1 200\nSet-Cookie: a/b=c\n  d\n\n",
		"HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\nContent-Length:0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: x,close\r\n\r\n5;x\r\n{\"a\":\r\n2\r\n1}\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 304 x\r\nContent-Length: 7\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n:x\r\n\r\n",
	} {
		f.Add([]byte(wire))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		h, body, err := readWire(string(wire))
		if _, same, failed := readKnown(string(wire), len(wire)/3); (err == nil) != (failed == nil) || !bytes.Equal(same, body) {
			t.Errorf("body %q, %v; with a length known %q, %v", body, err, same, failed)
		}
		if err != nil {
			return
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(wire)), nil)
		if err != nil {
			if takesLess(wire, err) {
				return
			}
			t.Fatalf("read as %+v; net/http: %v", h, err)
		}
		defer resp.Body.Close()
		want, err := io.ReadAll(resp.Body)
		if err != nil && !takesLess(wire, err) || err == nil && !bytes.Equal(body, want) {
			t.Errorf("body %q; net/http: %q, %v", body, want, err)
		}
		if h.status != resp.StatusCode || !h.last && resp.Close || len(h.cookies) != len(resp.Header["Set-Cookie"]) {
			t.Errorf("read as %+v; net/http: %d, close %v, %q", h, resp.StatusCode, resp.Close, resp.Header)
		}
	})
}

// takesLess says whether net/http refuses what does no harm here: bytes in a
// value that is not looked at, and line ends of chunks without a return.
func takesLess(wire []byte, err error) bool {
	text := err.Error()
	return strings.Contains(text, "malformed MIME header") || strings.Contains(text, "chunk") ||
		strings.Contains(text, "malformed HTTP") && bytes.Contains(wire, []byte("  ")) ||
		strings.Contains(text, "trailer")
}
