package netlink

import (
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair returns a socket and the other end of it.
func pair(t *testing.T) (*socket, *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSocket(fds[0])
	if err != nil {
		t.Fatal(err)
	}
	other := os.NewFile(uintptr(fds[1]), "other")
	t.Cleanup(func() { _, _ = s.Close(), other.Close() })
	return s, other
}

func write(t *testing.T, f *os.File, text string) {
	t.Helper()
	if _, err := f.WriteString(text); err != nil {
		t.Error(err)
	}
}

// TestWhatIsThereIsReadWithoutATimer gives a deadline that has passed: a file
// that had it would read nothing.
func TestWhatIsThereIsReadWithoutATimer(t *testing.T) {
	s, other := pair(t)
	p := make([]byte, 16)
	for _, text := range []string{"first", "second"} {
		write(t, other, text)
		if err := s.SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Read(p); err != nil || string(p[:n]) != text {
			t.Errorf("Read = %q, %v; want %q", p[:n], err, text)
		}
		if _, err := s.Read(p); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Read of nothing after the deadline = %v; want that it is over", err)
		}
	}
}

func TestReadWaitsForWhatIsNotThere(t *testing.T) {
	s, other := pair(t)
	if err := s.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	go write(t, other, "late")
	p := make([]byte, 16)
	if n, err := s.Read(p); err != nil || string(p[:n]) != "late" {
		t.Errorf("Read = %q, %v; want what came late", p[:n], err)
	}
	closed := make(chan error)
	go func() {
		_, err := s.Read(p)
		closed <- err
	}()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-closed; err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read of what was closed = %v; want that it is", err)
	}
}

// reflected is a kernel that answers a request with its own text, and no more.
type reflected struct{ answer []byte }

func (r *reflected) Write(p []byte) (int, error) {
	f, _, err := CutFrame(p)
	if err != nil {
		return 0, err
	}
	done := Frame{Message: Message{Type: unix.NLMSG_DONE, Flags: unix.NLM_F_MULTI, Data: make([]byte, 4)}, Sequence: f.Sequence, Port: f.Port}
	r.answer = AppendFrame(AppendFrame(nil, Frame{Message: Message{Type: 16, Flags: unix.NLM_F_MULTI, Data: f.Data}, Sequence: f.Sequence, Port: f.Port}), done)
	return len(p), nil
}

func (r *reflected) Read(p []byte) (int, error)    { return copy(p, r.answer), nil }
func (*reflected) SetReadDeadline(time.Time) error { return nil }
func (*reflected) Close() error                    { return nil }

// TestExchangesAtOnceShareNoMemory asks on one connection while the reply of
// another is read.
func TestExchangesAtOnceShareNoMemory(t *testing.T) {
	var seen []string
	ask := func(text string, each func()) {
		c := New(&reflected{}, 1)
		request := Message{Type: 16, Flags: unix.NLM_F_DUMP, Data: []byte(text)}
		if err := c.Execute(t.Context(), request, func(m Message) error {
			each()
			seen = append(seen, string(m.Data))
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	ask("leaves its memory", func() {})
	seen = nil
	ask("one.", func() { ask("two.", func() { ask("three...", func() {}) }) })
	if want := []string{"three...", "two.", "one."}; !slices.Equal(seen, want) {
		t.Errorf("replies %q; want %q", seen, want)
	}
}
