package freeport

import (
	"net"
	"strconv"
	"testing"
)

func TestAddressIsFreeAndNotOfConnections(t *testing.T) {
	above, err := firstOfConnections("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for range 20 {
		address, err := Address()
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, text, _ := net.SplitHostPort(address)
		if port, _ := strconv.Atoi(text); port < lowest || port >= above || seen[address] {
			t.Errorf("%s: want a port from %d up to %d that is not taken", address, lowest, above-1)
		}
		seen[address] = true
	}
	if _, err := firstOfConnections("/dev/null"); err == nil {
		t.Error("a kernel that does not say which ports it gives is believed")
	}
}
