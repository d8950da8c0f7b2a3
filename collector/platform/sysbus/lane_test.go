package sysbus_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/platform/tree"
)

// wire is a client of a box that answers every request with the bytes that
// answer gives for the count of requests so far, from 1, and says how many
// connections there were.
func wire(t *testing.T, answer func(request int, w io.Writer) (keep bool)) (c *sysbus.Client, conns *int) {
	t.Helper()
	config := sysbus.DefaultConfig()
	config.URL = "http://box.test:8080/"
	conns = new(int)
	var requests atomic.Int32
	c, err := sysbus.New(config, sysbus.Options{Dial: func(_ context.Context, network, address string) (net.Conn, error) {
		if network != "tcp" || address != "box.test:8080" {
			t.Errorf("dialled %s %s", network, address)
		}
		*conns++
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			in := bufio.NewReader(server)
			for {
				req, err := http.ReadRequest(in)
				if err != nil {
					return
				}
				if req.Host != "box.test:8080" || req.URL.Path != "/ws" {
					t.Errorf("request for %s%s", req.Host, req.URL.Path)
				}
				_, _ = io.Copy(io.Discard, req.Body)
				if !answer(int(requests.Add(1)), server) {
					return
				}
			}
		}()
		return client, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, conns
}

const good = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"status\":1}"

func TestFormsOfHTTP(t *testing.T) {
	for _, tt := range []struct {
		name, wire string
		keep       bool // the box keeps the connection open
		conns      int  // for two calls
		want       error
	}{
		{name: "length", wire: good, keep: true, conns: 1},
		{name: "chunks", wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{\"statu\r\n5\r\ns\":1}\r\n0\r\n\r\n", keep: true, conns: 1},
		{name: "until the end", wire: "HTTP/1.0 200 OK\r\n\r\n{\"status\":1}", conns: 2},
		{name: "to be closed", wire: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 12\r\n\r\n{\"status\":1}", keep: true, conns: 2},
		{name: "after 100 Continue", wire: "HTTP/1.1 100 Continue\r\n\r\n" + good, keep: true, conns: 1},
		{name: "100 Continue for ever", wire: strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100), conns: 2, want: tree.ErrMalformed},
		{name: "another protocol", wire: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", conns: 2, want: tree.ErrMalformed},
		{name: "length that is a lie", wire: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{}", conns: 2, want: tree.ErrMalformed},
		{name: "header cut short", wire: "HTTP/1.1 200 OK\r\nContent-Type: x\r\n", conns: 2, want: io.ErrUnexpectedEOF},
		{name: "nothing", wire: "", conns: 2, want: io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, conns := wire(t, func(_ int, w io.Writer) bool {
				_, err := io.WriteString(w, tt.wire)
				return err == nil && tt.keep
			})
			for range 2 {
				n, err := c.Call(t.Context(), "NMC", "get", nil)
				if !errors.Is(err, tt.want) {
					t.Fatalf("Call = %v; want %v", err, tt.want)
				}
				if v, _ := n.Get("status").Int(); (v == 1) != (tt.want == nil) {
					t.Errorf("status = %d", v)
				}
			}
			if *conns != tt.conns {
				t.Errorf("%d connections for two calls; want %d", *conns, tt.conns)
			}
		})
	}
}

func TestAHeaderWithoutEndIsCutOff(t *testing.T) {
	var written atomic.Int64
	c, _ := wire(t, func(_ int, w io.Writer) bool {
		_, err := io.WriteString(w, "HTTP/1.1 200 OK\r\n")
		for i := 0; err == nil; i++ {
			_, err = fmt.Fprintf(w, "X-Header-%d: %s\r\n", i, strings.Repeat("x", 1000))
			written.Add(1000)
		}
		return false
	})
	if _, err := c.Call(t.Context(), "NMC", "get", nil); err == nil {
		t.Error("a header without end was taken")
	}
	if n := written.Load(); n > tree.MaxBytes+1<<20 {
		t.Errorf("%d bytes were read", n)
	}
}

func TestWhatCameUnaskedIsNoReply(t *testing.T) {
	c, conns := wire(t, func(request int, w io.Writer) bool {
		// Two replies for one request: the second would be taken for that to
		// the next.
		_, err := io.WriteString(w, strings.Replace(good, ":1", fmt.Sprint(":", request), 1)+strings.Replace(good, ":1", ":9", 1))
		return err == nil
	})
	for i := 1; i <= 3; i++ {
		n, err := c.Call(t.Context(), "NMC", "get", nil)
		if v, _ := n.Get("status").Int(); err != nil || v != int64(i) {
			t.Errorf("call %d: status %d, %v", i, v, err)
		}
	}
	if *conns != 3 {
		t.Errorf("%d connections; want 3", *conns)
	}
}

func TestARequestIsSentTwiceAtMost(t *testing.T) {
	var requests atomic.Int32
	c, conns := wire(t, func(request int, w io.Writer) bool {
		requests.Add(1)
		if request == 1 {
			_, err := io.WriteString(w, good)
			return err == nil
		}
		return false
	})
	if _, err := c.Call(t.Context(), "NMC", "get", nil); err != nil {
		t.Fatal(err)
	}
	_, err := c.Call(t.Context(), "NMC", "get", nil)
	if !errors.Is(err, io.ErrUnexpectedEOF) || requests.Load() != 3 || *conns != 2 {
		t.Errorf("Call = %v after %d requests on %d connections; want 3 on 2", err, requests.Load(), *conns)
	}
}

func TestACallThatIsGivenUpDoesNotLeaveItsReplyToTheNext(t *testing.T) {
	slow := make(chan struct{})
	c, conns := wire(t, func(request int, w io.Writer) bool {
		if request == 1 {
			close(slow)
			<-t.Context().Done()
			return false
		}
		_, err := io.WriteString(w, good)
		return err == nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-slow; cancel() }()
	if _, err := c.Call(ctx, "NMC", "get", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Call = %v; want context canceled", err)
	}
	if _, err := c.Call(t.Context(), "NMC", "get", nil); err != nil || *conns != 2 {
		t.Errorf("the next call: %v on %d connections; want another connection", err, *conns)
	}
}
