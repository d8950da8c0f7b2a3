package netfault

import (
	"context"
	"errors"
	"net"
	"testing"
)

func TestNameServerAnswersAsItIsTold(t *testing.T) {
	n, err := startNameServer(false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.close() })
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", n.conn.LocalAddr().String())
	}}
	_, err = r.LookupHost(t.Context(), brokerName)
	if e, ok := errors.AsType[*net.DNSError](err); !ok || !e.IsNotFound {
		t.Errorf("before: %v; want that there is no such name", err)
	}
	n.answer()
	addrs, err := r.LookupHost(t.Context(), brokerName)
	if err != nil || len(addrs) != 1 || addrs[0] != "127.0.0.1" {
		t.Errorf("after: %v, %v; want 127.0.0.1", addrs, err)
	}
}

func TestWhatIsNoQuestionIsNotAnswered(t *testing.T) {
	good := []byte{1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'x', 0, 0, 1, 0, 1}
	if respond(good, true) == nil {
		t.Fatal("a question is not answered")
	}
	for cut := range good {
		if r := respond(good[:cut], true); r != nil {
			t.Errorf("%d bytes of a question are answered % x", cut, r)
		}
	}
}
