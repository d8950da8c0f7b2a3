// Package freeport finds addresses for servers that go and come again.
//
// A port that the kernel chose is one that it also gives to outgoing
// connections: while a server is away, a connection of anybody may take it, even
// one to that very address, which then is connected to itself.
package freeport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"syscall"
)

// lowest is the first port that may be found, tries how many are tried.
const (
	lowest = 10_000
	tries  = 100
)

// Address returns an address of the loopback that nobody listens on, with a
// port that the kernel gives to no connection (ip(7), ip_local_port_range).
func Address() (string, error) {
	above, err := firstOfConnections("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return "", err
	}
	if above <= lowest {
		return "", fmt.Errorf("no port for a server: the kernel gives those from %d on to connections", above)
	}
	for range tries {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(lowest+rand.IntN(above-lowest)))
		l, err := net.Listen("tcp", address)
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
		case err != nil:
			return "", err
		default:
			return address, l.Close()
		}
	}
	return "", fmt.Errorf("no port from %d to %d is free", lowest, above)
}

func firstOfConnections(name string) (int, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	var first, last int
	if _, err := fmt.Sscan(string(text), &first, &last); err != nil {
		return 0, fmt.Errorf("%s: %w", name, err)
	}
	return first, nil
}
