package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"livebox-agent/testbench/box"
)

// running is the command box, which a test asks and then ends.
type running struct {
	lines *bufio.Scanner // of its standard output
	input io.WriteCloser
	end   context.CancelFunc
	code  chan int
}

func runBox(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, stdout := io.Pipe()
	stdin, input := io.Pipe()
	r := &running{bufio.NewScanner(out), input, cancel, make(chan int, 1)}
	go func() {
		r.code <- run(ctx, env{stdin, stdout, stdout, func(string) string { return "" }}, append([]string{"box"}, args...))
		_ = stdout.Close()
	}()
	t.Cleanup(func() {
		cancel()
		_ = out.Close()
		_ = input.Close()
	})
	return r
}

// line returns the next line that the command prints.
func (r *running) line(t *testing.T) string {
	t.Helper()
	if !r.lines.Scan() {
		t.Fatalf("no more output: %v", r.lines.Err())
	}
	return r.lines.Text()
}

func TestBoxCanBeAskedAndDriven(t *testing.T) {
	tree := t.TempDir()
	r := runBox(t, "--model", "livebox7", "--listen", "127.0.0.1:0", "--tree", tree, "--stations", "0")
	first := r.line(t)
	_, rest, _ := strings.Cut(first, " at ")
	url, _, _ := strings.Cut(rest, ",")
	if !strings.HasPrefix(url, "http://127.0.0.1:") || !strings.HasSuffix(first, "password "+box.DefaultPassword) {
		t.Fatalf("it says %q", first)
	}
	ask := func() string {
		resp, err := http.Post(url+"/ws", "application/x-sah-ws-4-call+json", strings.NewReader(`{"service":"NMC","method":"getWANStatus"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if body := ask(); !strings.Contains(body, `"WanState":"up"`) {
		t.Errorf("asked: %s", body)
	}
	for _, c := range []struct{ in, out string }{
		{"wan down", "ok"}, {"nonsense", "error: nonsense: no such command"}, {"add 5GHz", "02:EB:"},
	} {
		if _, err := io.WriteString(r.input, c.in+"\n"); err != nil {
			t.Fatal(err)
		}
		if got := r.line(t); !strings.HasPrefix(got, c.out) {
			t.Errorf("%s: %q, want %q", c.in, got, c.out)
		}
	}
	if body := ask(); !strings.Contains(body, `"WanState":"down"`) {
		t.Errorf("after wan down: %s", body)
	}
	r.end()
	if code := <-r.code; code != exitOK {
		t.Errorf("exit code %d", code)
	}
	if _, err := os.Stat(filepath.Join(tree, "sys/class/net/veip0/statistics/rx_bytes")); err != nil {
		t.Error(err)
	}
}

func TestRoutersBusIsServed(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "ubus.sock")
	r := runBox(t, "--model", "openwrt", "--listen", "127.0.0.1:0", "--ubus", socket)
	if got := r.line(t); got != "openwrt on the bus "+socket {
		t.Errorf("it says %q", got)
	}
	if info, err := os.Stat(socket); err != nil || info.Mode().Type() != os.ModeSocket {
		t.Errorf("socket: %v, %v", info, err)
	}
	r.line(t)
	r.end()
	if code := <-r.code; code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

func TestBoxRefusesWhatItCannotBe(t *testing.T) {
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--model", "livebox8"}, exitUsage, "there are livebox3, livebox4,"},
		{[]string{"more"}, exitUsage, "unexpected argument"},
		{[]string{"--listen", "nowhere:1:2"}, exitFailure, "nowhere"},
		{[]string{"--ubus", "/nowhere/ubus.sock"}, exitFailure, "a box of the kind livebox5 has none"},
	} {
		var out strings.Builder
		code := run(t.Context(), env{strings.NewReader(""), &out, &out, func(string) string { return "" }},
			append([]string{"box"}, tt.args...))
		if code != tt.code || !strings.Contains(out.String(), tt.says) {
			t.Errorf("%v: %d, %.300s", tt.args, code, out.String())
		}
	}
}
