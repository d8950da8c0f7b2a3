package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"livebox-agent/testbench/box"
)

const longBox = `Runs an emulated box until Ctrl-C: a Livebox answers on --listen as a real one
does, an OpenWrt router on --ubus. To log in to a Livebox as its web page does:

  curl -si http://127.0.0.1:8081/ws -H 'Authorization: X-Sah-Login' \
    -H 'Content-Type: application/x-sah-ws-4-call+json' \
    -d '{"service":"sah.Device.Information","method":"createContext",
      "parameters":{"applicationName":"webui","username":"admin",
      "password":"Emulated"}}'

and to ask it, with the contextID and the first cookie (its name has a slash)
of that reply:

  curl -s http://127.0.0.1:8081/ws -H 'X-Context: CONTEXTID' \
    -H 'Cookie: XXXXXXXX/sessid=VALUE' \
    -H 'Content-Type: application/x-sah-ws-4-call+json' \
    -d '{"service":"NeMo.Intf.lan","method":"getMIBs",
      "parameters":{"mibs":"base wlanradio wlanvap"}}'

NMC.getWANStatus and DeviceInfo.get need no login. The agent asks it by

  (umask 077; echo Emulated > /tmp/password)
  livebox-agent sample --grant all --sysbus http://127.0.0.1:8081 \
    --sysbus-password /tmp/password

and a router by --ubus PATH. Lines on the standard input drive the box:

` + box.Commands

// treeEvery is how often the files of --tree are written.
const treeEvery = time.Second

func cmdBox(ctx context.Context, e env, fs *flag.FlagSet, args []string) error {
	models := strings.Join(box.Models(), ", ")
	model := fs.String("model", "livebox5", "the kind of box: "+models)
	listen := fs.String("listen", "127.0.0.1:8081", "`address` of the web service")
	password := fs.String("password", box.DefaultPassword, "password of the user admin")
	seed := fs.Uint64("seed", 1, "makes one box differ from another")
	stations := fs.Int("stations", 3, "devices on the Wi-Fi")
	uptime := fs.Duration("uptime", 72*time.Hour, "how long the box has been running")
	boot := fs.Duration("boot-time", 0, "how long a restart takes")
	slow := fs.Duration("slow", 0, "how long getMIBs takes, at most 25s on real boxes")
	bus := fs.String("ubus", "", "`path` of the bus's socket, of a router")
	tree := fs.String("tree", "", "`directory` to write the kernel's files sys and proc into, every second")
	dev := fs.String("dev", "", "`directory` to make the box's devices in: kmsg and the lightning sensor")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *stations <= 0 {
		*stations = -1
	}
	b, err := box.New(box.Config{
		Model: *model, Seed: *seed, Password: *password, Stations: *stations, Uptime: *uptime, BootTime: *boot,
		Epoch: time.Now(),
	})
	if err != nil {
		return usage(fs, "%v", err)
	}
	b.Slow(*slow)
	if *bus != "" {
		server, err := b.ServeUbus(*bus)
		if err != nil {
			return err
		}
		defer server.Close()
		fmt.Fprintf(e.stdout, "%s on the bus %s\n", *model, *bus)
	}
	if *dev != "" {
		stop, err := b.ServeDevices(*dev)
		if err != nil {
			return err
		}
		defer func() { _ = stop() }()
	}
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(e.stdout, "%s at http://%s, user admin, password %s\n", *model, l.Addr(), *password)
	server := &http.Server{Handler: b.Handler(), ReadHeaderTimeout: 10 * time.Second}
	ended := make(chan error, 2)
	go func() { ended <- server.Serve(l) }()
	if *tree != "" {
		go func() { ended <- writeTrees(ctx, b, *tree) }()
	}
	// It may read on when everything else has ended: nothing can stop it.
	go driveBox(b, e.stdin, e.stdout)
	select {
	case <-ctx.Done():
		err = server.Close()
	case err = <-ended:
		_ = server.Close()
	}
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// writeTrees writes the kernel's files until ctx ends.
func writeTrees(ctx context.Context, b *box.Box, dir string) error {
	every := time.NewTicker(treeEvery)
	defer every.Stop()
	for {
		if err := b.WriteTree(dir); err != nil {
			return err
		}
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// driveBox does what the lines of r say.
func driveBox(b *box.Box, r io.Reader, w io.Writer) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		out, err := b.Do(lines.Text())
		switch {
		case err != nil:
			fmt.Fprintln(w, "error:", err)
		case out != "":
			fmt.Fprintln(w, out)
		default:
			fmt.Fprintln(w, "ok")
		}
	}
}
