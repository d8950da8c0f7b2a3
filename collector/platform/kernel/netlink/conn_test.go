package netlink_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/platform/kernel/netlink"
	"livebox-agent/collector/platform/kernel/netlink/netlinktest"
)

var dumpRequest = netlink.Message{Type: unix.RTM_GETLINK, Flags: unix.NLM_F_DUMP}

// letters returns messages whose data is one letter each.
func letters(text string) []netlink.Message {
	var ms []netlink.Message
	for _, r := range text {
		ms = append(ms, netlink.Message{Type: unix.RTM_NEWLINK, Data: []byte(string(r))})
	}
	return ms
}

// read carries out the request and returns the letters of the answer.
func read(ctx context.Context, c *netlink.Conn, request netlink.Message) (string, error) {
	var b strings.Builder
	err := c.Execute(ctx, request, func(m netlink.Message) error {
		b.Write(m.Data)
		return nil
	})
	return b.String(), err
}

func TestAnswersOfEveryLengthArrive(t *testing.T) {
	text := "abcdefghijklmnopqrstuvwxyz"
	for n := range len(text) + 1 {
		for _, request := range []netlink.Message{{Type: unix.RTM_GETLINK}, dumpRequest} {
			c := netlinktest.New(func(netlink.Message) ([]netlink.Message, error) { return letters(text[:n]), nil })
			for range 2 {
				if got, err := read(t.Context(), c, request); got != text[:n] || err != nil {
					t.Errorf("answer of %d messages to %+v = %q, %v; want %q", n, request, got, err, text[:n])
				}
			}
		}
	}
}

func TestKernelSeesTheRequest(t *testing.T) {
	var got netlink.Message
	c := netlinktest.New(func(m netlink.Message) ([]netlink.Message, error) {
		got = netlink.Message{Type: m.Type, Flags: m.Flags, Data: slices.Clone(m.Data)}
		return nil, nil
	})
	if _, err := read(t.Context(), c, netlink.Message{Type: 77, Data: []byte("xyz")}); err != nil {
		t.Fatal(err)
	}
	if got.Type != 77 || string(got.Data) != "xyz" || got.Flags != unix.NLM_F_REQUEST|unix.NLM_F_ACK {
		t.Errorf("request = %+v; want type 77, xyz, to be acknowledged", got)
	}
	if _, err := read(t.Context(), c, dumpRequest); err != nil {
		t.Fatal(err)
	}
	if got.Flags != unix.NLM_F_REQUEST|unix.NLM_F_DUMP {
		t.Errorf("flags of a dump = %#x; want no acknowledgement asked for", got.Flags)
	}
}

func TestRefusalComesBackWithItsErrno(t *testing.T) {
	for _, request := range []netlink.Message{{Type: unix.RTM_GETLINK}, dumpRequest} {
		var err error
		c := netlinktest.New(func(netlink.Message) ([]netlink.Message, error) { return nil, err })
		for _, errno := range []unix.Errno{unix.EPERM, unix.ENODEV, unix.EOPNOTSUPP, unix.EINTR} {
			err = fmt.Errorf("wrapped: %w", errno)
			_, got := read(t.Context(), c, request)
			if _, ok := errors.AsType[*netlink.OpError](got); !ok || !errors.Is(got, errno) {
				t.Errorf("Execute = %v; want an OpError with %v", got, errno)
			}
		}
		err = nil
		if _, got := read(t.Context(), c, request); got != nil {
			t.Errorf("Execute after refusals = %v", got)
		}
	}
	c := netlinktest.New(func(netlink.Message) ([]netlink.Message, error) { return nil, unix.EPERM })
	_, err := read(t.Context(), c, dumpRequest)
	if want := "netlink request 18: " + unix.EPERM.Error(); err == nil || err.Error() != want {
		t.Errorf("Execute = %v; want %s", err, want)
	}
}

func TestDumpThatFailsHalfWayGivesWhatCameAndTheErrno(t *testing.T) {
	c := netlinktest.New(func(netlink.Message) ([]netlink.Message, error) { return letters("abcd"), unix.EMSGSIZE })
	if got, err := read(t.Context(), c, dumpRequest); got != "abcd" || !errors.Is(err, unix.EMSGSIZE) {
		t.Errorf("Execute = %q, %v; want abcd and EMSGSIZE", got, err)
	}
}

func TestErrorOfTheCallerEndsItsCallsButNotTheConnection(t *testing.T) {
	c := netlinktest.New(func(netlink.Message) ([]netlink.Message, error) { return letters("abcdefgh"), nil })
	stop := errors.New("stop")
	calls := 0
	err := c.Execute(t.Context(), dumpRequest, func(netlink.Message) error {
		calls++
		return stop
	})
	if calls != 1 || err != stop { //nolint:errorlint // it is promised as it is
		t.Errorf("Execute = %v after %d calls; want the caller's error after one", err, calls)
	}
	if got, err := read(t.Context(), c, dumpRequest); got != "abcdefgh" || err != nil {
		t.Errorf("Execute afterwards = %q, %v; want all letters", got, err)
	}
}

// interrupted answers with a dump that is marked inconsistent so many times.
func interrupted(times int) *netlink.Conn {
	return netlinktest.New(func(netlink.Message) ([]netlink.Message, error) {
		ms := letters("abcdef")
		if times > 0 {
			times--
			ms = letters("abc")
			ms[2].Flags = unix.NLM_F_DUMP_INTR
		}
		return ms, nil
	})
}

func TestInterruptedDumpIsNotTakenForAWholeOne(t *testing.T) {
	if got, err := read(t.Context(), interrupted(1), dumpRequest); got != "abc" || !errors.Is(err, netlink.ErrInterrupted) {
		t.Errorf("Execute = %q, %v; want abc and ErrInterrupted", got, err)
	}
}

func TestInterruptedDumpIsRepeatedOnce(t *testing.T) {
	for _, tt := range []struct {
		times      int
		wantBegins int
		want       string
		wantErr    error
	}{
		{0, 1, "abcdef", nil},
		{1, 2, "abcdef", nil},
		{2, 2, "abc", netlink.ErrInterrupted},
	} {
		var got []byte
		begins := 0
		err := netlink.Dump(t.Context(), interrupted(tt.times), netlink.Message{Type: unix.RTM_GETLINK},
			func() { got, begins = got[:0], begins+1 },
			func(m netlink.Message) error {
				got = append(got, m.Data...)
				return nil
			})
		if string(got) != tt.want || begins != tt.wantBegins || !errors.Is(err, tt.wantErr) {
			t.Errorf("Dump interrupted %d times = %q, %v after %d attempts; want %q, %v after %d",
				tt.times, got, err, begins, tt.want, tt.wantErr, tt.wantBegins)
		}
	}
}

func TestOtherErrorsOfADumpAreNotRepeated(t *testing.T) {
	calls := 0
	c := netlinktest.New(func(netlink.Message) ([]netlink.Message, error) {
		calls++
		return nil, unix.ENODEV
	})
	err := netlink.Dump(t.Context(), c, netlink.Message{}, func() {}, func(netlink.Message) error { return nil })
	if calls != 1 || !errors.Is(err, unix.ENODEV) {
		t.Errorf("Dump = %v after %d requests; want ENODEV after one", err, calls)
	}
}

func TestExchangeEnds(t *testing.T) {
	silent := func(netlink.Message) ([]netlink.Message, error) { return nil, netlinktest.ErrSilent }
	t.Run("at the deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 1300*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, err := read(ctx, netlinktest.New(silent), dumpRequest)
			if took := time.Since(start); took != 1300*time.Millisecond || !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Execute = %v after %v; want the deadline after 1.3s", err, took)
			}
		})
	})
	t.Run("without a deadline", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			_, err := read(t.Context(), netlinktest.New(silent), dumpRequest)
			if took := time.Since(start); took != netlink.DefaultTimeout || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Execute = %v after %v; want the deadline after %v", err, took, netlink.DefaultTimeout)
			}
		})
	})
	t.Run("on cancellation", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			start := time.Now()
			_, err := read(ctx, netlinktest.New(silent), dumpRequest)
			if took := time.Since(start); took > 1250*time.Millisecond || !errors.Is(err, context.Canceled) {
				t.Errorf("Execute = %v after %v; want context.Canceled within 1.25s", err, took)
			}
		})
	})
	t.Run("when closed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := netlinktest.New(silent)
			time.AfterFunc(time.Second, func() { _ = c.Close() })
			if _, err := read(t.Context(), c, dumpRequest); !errors.Is(err, os.ErrClosed) {
				t.Errorf("Execute = %v; want os.ErrClosed", err)
			}
		})
	})
	t.Run("before it begins", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c := netlinktest.New(func(netlink.Message) ([]netlink.Message, error) {
			t.Error("a request of a cancelled context was sent")
			return nil, nil
		})
		if _, err := read(ctx, c, dumpRequest); !errors.Is(err, context.Canceled) {
			t.Errorf("Execute = %v; want context.Canceled", err)
		}
	})
}

func TestUnfinishedExchangeLeavesTheConnectionUseless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := netlinktest.ErrSilent
		c := netlinktest.New(func(netlink.Message) ([]netlink.Message, error) { return letters("abc"), answer })
		_, first := read(t.Context(), c, dumpRequest)
		answer = nil
		got, err := read(t.Context(), c, dumpRequest)
		if got != "" || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("Execute after %v = %q, %v; want its error again", first, got, err)
		}
	})
}

func TestSocketThatBreaksIsAnOpError(t *testing.T) {
	broken := errors.New("no buffer space")
	c := netlinktest.New(func(netlink.Message) ([]netlink.Message, error) { return nil, broken })
	_, err := read(t.Context(), c, dumpRequest)
	if want := "netlink send: no buffer space"; !errors.Is(err, broken) || err.Error() != want {
		t.Errorf("Execute = %v; want %s", err, want)
	}
}

// A script is a transport that has its datagrams ready.
type script struct {
	datagrams [][]byte
	deadline  time.Time
}

func (s *script) Write(p []byte) (int, error)       { return len(p), nil }
func (s *script) SetReadDeadline(d time.Time) error { s.deadline = d; return nil }
func (s *script) Close() error                      { return nil }
func (s *script) Read(p []byte) (int, error) {
	if len(s.datagrams) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, s.datagrams[0])
	s.datagrams = s.datagrams[1:]
	return n, nil
}

const port = 99

// frame is a reply to the first request of a connection.
func frame(typ uint16, data string) netlink.Frame {
	return netlink.Frame{Message: netlink.Message{Type: typ, Data: []byte(data)}, Sequence: 1, Port: port}
}

func datagram(fs ...netlink.Frame) (b []byte) {
	for _, f := range fs {
		b = netlink.AppendFrame(b, f)
	}
	return b
}

func TestMessagesThatAreNotTheAnswerArePassedOver(t *testing.T) {
	stale, foreign, notice := frame(20, "stale"), frame(20, "foreign"), frame(20, "notice")
	stale.Sequence, foreign.Port, notice.Sequence, notice.Port = 7, 98, 0, 0
	staleEnd := frame(unix.NLMSG_DONE, "\x00\x00\x00\x00")
	staleEnd.Sequence = 7
	c := netlink.New(&script{datagrams: [][]byte{
		datagram(stale, staleEnd),
		datagram(notice, frame(20, "a"), foreign),
		datagram(frame(unix.NLMSG_NOOP, "noop"), frame(20, "b")),
		datagram(frame(unix.NLMSG_DONE, "\x00\x00\x00\x00"), frame(20, "after the end")),
	}}, port)
	if got, err := read(t.Context(), c, dumpRequest); got != "ab" || err != nil {
		t.Errorf("Execute = %q, %v; want ab", got, err)
	}
}

func TestTruncatedMessageIsRefused(t *testing.T) {
	whole := datagram(frame(20, "a"), frame(20, "bcdefgh"))
	for _, tt := range []struct {
		name     string
		datagram []byte
		want     error
	}{
		{"cut in the data", whole[:len(whole)-2], netlink.ErrMalformed},
		{"cut in the header", whole[:len(whole)-12], netlink.ErrMalformed},
		{"as long as the buffer", datagram(frame(20, strings.Repeat("x", 32<<10-16))), netlink.ErrMalformed},
		{"longer than the buffer", datagram(frame(20, strings.Repeat("x", 33<<10))), netlink.ErrMalformed},
		{"error without its number", datagram(frame(unix.NLMSG_ERROR, "")), netlink.ErrMalformed},
		{"overrun", datagram(frame(unix.NLMSG_OVERRUN, "")), nil},
		{"end of the socket", nil, io.ErrUnexpectedEOF},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{}
			if tt.datagram != nil {
				s.datagrams = append(s.datagrams, tt.datagram)
			}
			_, err := read(t.Context(), netlink.New(s, port), dumpRequest)
			if _, ok := errors.AsType[*netlink.OpError](err); !ok || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Execute = %v; want an OpError with %v", err, tt.want)
			}
		})
	}
}

func TestFamily(t *testing.T) {
	reply := func(fill func([]byte) []byte) []netlink.Message {
		return []netlink.Message{{Type: unix.GENL_ID_CTRL, Data: fill(netlink.AppendGeneric(nil, unix.CTRL_CMD_NEWFAMILY, 2))}}
	}
	for _, tt := range []struct {
		name    string
		answer  []netlink.Message
		err     error
		want    uint16
		wantErr error
	}{
		{name: "known", want: 28, answer: reply(func(b []byte) []byte {
			b = netlink.AppendText(b, unix.CTRL_ATTR_FAMILY_NAME, "nl80211")
			return netlink.AppendUint16(b, unix.CTRL_ATTR_FAMILY_ID, 28)
		})},
		{name: "unknown", err: unix.ENOENT, wantErr: os.ErrNotExist},
		{name: "no number", wantErr: netlink.ErrMalformed, answer: reply(func(b []byte) []byte { return b })},
		{name: "no reply", wantErr: netlink.ErrMalformed},
		{name: "number of a control message", wantErr: netlink.ErrMalformed, answer: reply(func(b []byte) []byte {
			return netlink.AppendUint16(b, unix.CTRL_ATTR_FAMILY_ID, unix.NLMSG_DONE)
		})},
		{name: "number of another length", wantErr: netlink.ErrMalformed, answer: reply(func(b []byte) []byte {
			return netlink.AppendUint32(b, unix.CTRL_ATTR_FAMILY_ID, 28)
		})},
		{name: "no header", wantErr: netlink.ErrMalformed, answer: []netlink.Message{{Type: unix.GENL_ID_CTRL, Data: []byte{1}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := netlinktest.New(func(m netlink.Message) ([]netlink.Message, error) {
				command, attributes, err := netlink.CutGeneric(m.Data)
				a := netlink.NewAttributes(attributes)
				if err != nil || command != unix.CTRL_CMD_GETFAMILY || !a.Next() || string(a.Text()) != "nl80211" {
					t.Errorf("request %d %q, %v; want GETFAMILY nl80211", command, a.Text(), err)
				}
				return tt.answer, tt.err
			})
			got, err := netlink.Family(t.Context(), c, "nl80211")
			if got != tt.want || !errors.Is(err, tt.wantErr) {
				t.Errorf("Family = %d, %v; want %d, %v", got, err, tt.want, tt.wantErr)
			}
		})
	}
}

func TestSteadyExchangeAllocatesNothing(t *testing.T) {
	answer := letters("abcdefghij")
	c := netlinktest.New(func(netlink.Message) ([]netlink.Message, error) { return answer, nil })
	seen := 0
	each := func(m netlink.Message) error {
		if len(m.Data) != 1 {
			return fmt.Errorf("reply %q", m.Data)
		}
		seen++
		return nil
	}
	begin := func() {}
	if n := testing.AllocsPerRun(100, func() {
		if err := netlink.Dump(t.Context(), c, dumpRequest, begin, each); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("an exchange allocates %v times; want 0", n)
	}
	if seen == 0 {
		t.Error("no message was seen")
	}
}
