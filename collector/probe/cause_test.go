package probe

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"
)

func TestNoErrorHoldsAnAddress(t *testing.T) {
	home := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 40000}
	resolver := &net.DNSError{Err: "server misbehaving", Name: "reflector.example", Server: "192.0.2.53:53"}
	for _, err := range []error{
		fmt.Errorf("receive answer: %w", &net.OpError{Op: "write", Net: "udp", Source: home, Addr: home, Err: syscall.ENETUNREACH}),
		&net.OpError{Op: "dial", Net: "udp", Err: resolver},
		resolver,
	} {
		got := cause(err)
		if strings.Contains(got.Error(), "192.0.2") {
			t.Errorf("%v still has an address", got)
		}
		if errors.Is(err, syscall.ENETUNREACH) != errors.Is(got, syscall.ENETUNREACH) {
			t.Errorf("cause(%v) = %v lost its kind", err, got)
		}
	}
	if plain := errors.New("no answer"); !errors.Is(cause(plain), plain) {
		t.Error("an error without an address is changed")
	}
}
