package island

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func TestPortHasALinkThatTheKernelTellsOf(t *testing.T) {
	Need(t)
	p := AddPort(t, "lan1")
	sys := "/sys/class/net/lan1/"
	if c, s := read(t, sys+"carrier"), read(t, sys+"speed"); c != "1" || s != "1000" {
		t.Errorf("carrier %s, speed %s", c, s)
	}
	before := read(t, sys+"carrier_down_count")
	p.SetLink(t, false)
	if c, after := read(t, sys+"carrier"), read(t, sys+"carrier_down_count"); c != "0" || after == before {
		t.Errorf("carrier %s, %s times down, then %s", c, before, after)
	}
	p.SetSpeed(t, 100)
	p.SetLink(t, true)
	if c, s := read(t, sys+"carrier"), read(t, sys+"speed"); c != "1" || s != "100" {
		t.Errorf("carrier %s, speed %s", c, s)
	}
}

func TestIslandHasItsOwnInterfacesAndTheLoopback(t *testing.T) {
	Need(t)
	ifs, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range ifs {
		if i.Name != "lo" && !strings.HasPrefix(i.Name, "ifb") && !strings.HasPrefix(i.Name, "lan") {
			t.Errorf("interface %s is here", i.Name)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestTreeIsWhereTheAgentLooks(t *testing.T) {
	Need(t)
	dir := t.TempDir()
	for name, text := range map[string]string{
		"sys/class/hwmon/hwmon0/in0_input": "3300", "sys/class/net/lan9/carrier": "1",
		"sys/fs/pstore/dmesg-ramoops-0": "Oops", "dev/kmsg": "6,1,1,-;hello",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("shown", func(t *testing.T) {
		ShowTree(t, dir)
		if v, o, k := read(t, "/sys/class/hwmon/hwmon0/in0_input"), read(t, "/sys/fs/pstore/dmesg-ramoops-0"), read(t, "/dev/kmsg"); v != "3300" || o != "Oops" || k != "6,1,1,-;hello" {
			t.Errorf("%q, %q, %q", v, o, k)
		}
		if _, err := os.Stat("/sys/class/net/lan9"); err == nil {
			t.Error("an interface of the tree is shown: the island has its own")
		}
	})
	if _, err := os.Stat("/sys/class/hwmon/hwmon0"); err == nil {
		t.Error("still shown after the test")
	}
}

func TestBootChangesTheIdentityOfTheKernel(t *testing.T) {
	Need(t)
	const name = "/proc/sys/kernel/random/boot_id"
	first := read(t, name)
	Boot(t)
	second := read(t, name)
	Boot(t)
	if third := read(t, name); first == second || second == third {
		t.Errorf("boots %s, %s, %s", first, second, third)
	}
}
