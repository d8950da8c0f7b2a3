package box

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestMisbehavioursAreWhatTheySay(t *testing.T) {
	b, err := New(Config{Model: "livebox7"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(b.Handler())
	defer server.Close()
	client := server.Client()
	redirects := 0
	client.CheckRedirect = func(*http.Request, []*http.Request) error {
		redirects++
		if redirects == 5 {
			return http.ErrUseLastResponse
		}
		return nil
	}
	ask := func() (status int, body string, err error) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/ws",
			strings.NewReader(`{"service":"DeviceInfo","method":"get","parameters":{}}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", typeBare)
		resp, err := client.Do(r)
		if err != nil {
			return 0, "", err
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(io.LimitReader(resp.Body, mostOfReply))
		return resp.StatusCode, string(text), err
	}
	for name, kind := range Misbehaviours() {
		b.Misbehave(kind)
		status, body, err := ask()
		if kind == RedirectLoop && redirects != 5 {
			t.Errorf("%d redirects", redirects)
		}
		if !isAs(kind, status, body, err) {
			t.Errorf("%q: %d, %v, %.80q", name, status, err, body)
		}
	}
	b.Misbehave(Behave)
	if status, body, err := ask(); !isAs(Behave, status, body, err) {
		t.Errorf("well again: %d, %v, %.80q", status, err, body)
	}
}

// mostOfReply is what the asker of isAs reads of a reply.
const mostOfReply = 1 << 20

// isAs says whether the reply of DeviceInfo.get is what a box of this kind
// gives.
func isAs(kind Misbehaviour, status int, body string, err error) bool {
	var v struct {
		Status struct {
			UpTime any
		} `json:"status"`
	}
	valid := json.Unmarshal([]byte(body), &v) == nil
	number, isNumber := v.Status.UpTime.(float64)
	switch kind {
	case Behave:
		return err == nil && status == http.StatusOK && isNumber
	case Truncated:
		return err == nil && strings.HasPrefix(body, `{"status":`) && !valid
	case HTML:
		return status == http.StatusOK && strings.HasPrefix(body, "<!DOCTYPE html>")
	case Endless:
		return len(body) == mostOfReply
	case WrongTypes:
		return v.Status.UpTime == "not a number"
	case RedirectLoop:
		return status == http.StatusTemporaryRedirect
	case NotUTF8:
		return err == nil && body != "" && !utf8.ValidString(body)
	case Empty:
		return err == nil && body == "" && status == http.StatusOK
	case ServerError:
		return status == http.StatusInternalServerError
	case HangUp:
		return err != nil
	case Deep:
		return strings.Count(body, "{") == 5000
	case HugeNumbers:
		return isNumber && number == -1e25
	}
	return false
}

func TestTreeShowsTheModel(t *testing.T) {
	b, clock := newTestBox(t, Config{Model: "openwrt-sfp"})
	dir := t.TempDir()
	if err := b.WriteTree(dir); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(string(text), "\n")
	}
	number := func(name string) int64 {
		n, err := strconv.ParseInt(read(name), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := number("sys/class/net/eth1/statistics/rx_bytes")
	open, err := os.Open(filepath.Join(dir, "sys/class/net/eth1/statistics/rx_bytes"))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	b.Traffic(1e8, 1e6)
	clock.pass(time.Minute)
	b.BendFibre(3)
	if err := b.WriteTree(dir); err != nil {
		t.Fatal(err)
	}
	after := number("sys/class/net/eth1/statistics/rx_bytes")
	if after <= before || uint64(after) != b.Truth().WANReceived {
		t.Errorf("rx_bytes from %d to %d, truth %d", before, after, b.Truth().WANReceived)
	}
	// Who has the file open sees it, too.
	if text, err := io.ReadAll(open); err != nil || strings.TrimSpace(string(text)) != strconv.FormatInt(after, 10) {
		t.Errorf("by the open file: %q, %v", text, err)
	}
	for name, want := range map[string]string{
		"sys/class/hwmon/hwmon0/name": "sfp", "sys/class/hwmon/hwmon0/power2_label": "RX_power",
		"sys/class/hwmon/hwmon0/temp1_input": "44000", "sys/class/hwmon/hwmon0/in0_input": "3301",
		"sys/class/hwmon/hwmon0/curr1_input": "12",
		// 14.5 µW less 3 dB is 7.3 µW: whole microwatts.
		"sys/class/hwmon/hwmon0/power2_input": "7", "sys/class/hwmon/hwmon0/power1_input": "1995",
		"sys/class/net/eth1/operstate": "up", "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
	} {
		if got := read(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if up := strings.Fields(read("proc/uptime"))[0]; up != "259260.00" {
		t.Errorf("uptime %s", up)
	}
	if dev := read("proc/net/dev"); !strings.Contains(dev, "eth1: "+strconv.FormatInt(after, 10)) {
		t.Errorf("proc/net/dev:\n%s", dev)
	}
	if err := b.WriteTree(filepath.Join(dir, "proc/uptime")); err == nil {
		t.Error("a tree in a file")
	}
}

func TestLinkThatIsDownShowsInTheTree(t *testing.T) {
	b, _ := newTestBox(t, Config{Model: "openwrt"})
	b.Retrain()
	dir := t.TempDir()
	if err := b.WriteTree(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"carrier": "0", "operstate": "down", "speed": "-1", "carrier_up_count": "1", "carrier_down_count": "1", "carrier_changes": "2",
	} {
		text, err := os.ReadFile(filepath.Join(dir, "sys/class/net/dsl0", name))
		if err != nil || strings.TrimSpace(string(text)) != want {
			t.Errorf("%s is %q, %v, want %q", name, text, err, want)
		}
	}
}

func TestLinesOfTextDriveTheBox(t *testing.T) {
	b, clock := newTestBox(t, Config{Model: "livebox7", Stations: -1})
	mac, err := b.Do("add 6GHz 3 2e6 1e5")
	if err != nil || mac == "" {
		t.Fatal(mac, err)
	}
	do := func(line string) string {
		out, err := b.Do(line)
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
		return out
	}
	if out := do("list"); out != mac {
		t.Errorf("list %q", out)
	}
	near := b.Truth().Signal[mac]
	do("move " + mac + " 12")
	if far := b.Truth().Signal[mac]; far >= near {
		t.Errorf("moved from %d to %d dBm", near, far)
	}
	do("bend 3")
	do("heat 10")
	if truth := b.Truth(); truth.RxDBm > -19.5 || truth.ModuleCelsius != 57 || truth.BiasMilliamps < 20 {
		t.Errorf("after bend and heat: %+v", truth)
	}
	do("wan down")
	if b.Truth().WANUp || !b.Truth().LinkUp {
		t.Error("wan down")
	}
	do("wan up")
	do("traffic 1e9 1e6")
	clock.pass(time.Minute)
	if got := b.Truth().WANReceived; got < 1e9 {
		t.Errorf("%d bytes", got)
	}
	do("remove " + mac)
	do("noise 1")
	do("retrain")
	do("slow 0s")
	do("misbehave html")
	if w := b.post(t, "/ws", typeBare, `{"service":"NMC","method":"getWANStatus"}`, nil); !strings.HasPrefix(w.Body.String(), "<!DOCTYPE") {
		t.Errorf("misbehave: %s", w.Body)
	}
	do("misbehave")
	do("reboot TR069 reboot")
	clock.pass(time.Second)
	do("crash")
	do("dip 1s")
	if b.Truth().Uptime != 0 || !strings.Contains(do("truth"), "WANUp") {
		t.Errorf("uptime %v", b.Truth().Uptime)
	}
	do("")
	for _, line := range []string{
		"nonsense", "add 5GHz x", "add 5GHz 1 1 1 1", "move", "move 02:00:00:00:00:01 3", "move " + mac + " -1", "wan", "slow",
		"slow 3", "misbehave nonsense", "bend one", "retrain now", "traffic x", "list all", "crash hard", "truth or dare",
	} {
		if out, err := b.Do(line); err == nil {
			t.Errorf("%q gives %q", line, out)
		}
	}
	for line := range strings.Lines(Commands) {
		word := strings.Fields(line)[0]
		if strings.HasPrefix(line, "    ") {
			continue // the line before goes on
		}
		if _, err := b.Do(word + " ? ? ? ? ? ?"); err != nil && strings.Contains(err.Error(), "no such command") {
			t.Errorf("%s is explained but unknown", word)
		}
	}
}
