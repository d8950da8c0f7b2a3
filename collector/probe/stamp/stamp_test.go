package stamp_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"testing"
	"time"

	"livebox-agent/collector/probe/stamp"
)

// The fields are at the offsets of RFC 8762, figures 2 and 4.
func TestPacketsAreThoseOfTheStandard(t *testing.T) {
	request := stamp.Request{Sequence: 0x01020304, Timestamp: 0x1112131415161718, ErrorEstimate: 0x2122}
	want := "01020304" + "1112131415161718" + "2122" + "000000000000000000000000000000000000000000000000000000000000"
	if got := hex.EncodeToString(request.Append(nil, 0)); got != want {
		t.Errorf("request\n%s; want\n%s", got, want)
	}
	reply := stamp.Reply{
		Sequence: 0x01020304, Timestamp: 0x1112131415161718, ErrorEstimate: 0x2122, Received: 0x3132333435363738,
		SenderSequence: 0x41424344, SenderTimestamp: 0x5152535455565758, SenderErrorEstimate: 0x6162, SenderTTL: 0x71,
	}
	want = "01020304" + "1112131415161718" + "2122" + "0000" + "3132333435363738" + "41424344" + "5152535455565758" + "6162" + "0000" + "71" + "000000"
	if got := hex.EncodeToString(reply.Append(nil, 0)); got != want {
		t.Errorf("reply\n%s; want\n%s", got, want)
	}
}

func TestWhateverAppendWritesParseReadsBack(t *testing.T) {
	request := stamp.Request{Sequence: math.MaxUint32, Timestamp: stamp.NTP(time.Now()), ErrorEstimate: stamp.Synchronised | 3}
	reply := stamp.Reply{
		Sequence: 7, Timestamp: 8, Received: 9, ErrorEstimate: 10,
		SenderSequence: 11, SenderTimestamp: 12, SenderErrorEstimate: 13, SenderTTL: 64,
	}
	for _, size := range []int{0, 44, 47, 48, 49, 1232} {
		prefix := []byte("before")
		b := request.Append(prefix, size)
		if got, err := stamp.ParseRequest(b[len(prefix):]); got != request || err != nil {
			t.Errorf("%d bytes: %+v, %v; want %+v", size, got, err, request)
		}
		c := reply.Append(prefix, size)
		if got, err := stamp.ParseReply(c[len(prefix):]); got != reply || err != nil {
			t.Errorf("%d bytes: %+v, %v; want %+v", size, got, err, reply)
		}
		want := stamp.Size
		if size >= 48 {
			want = size
		}
		if len(b) != len(prefix)+want || len(c) != len(b) || !bytes.HasPrefix(b, prefix) {
			t.Errorf("%d and %d bytes for %d; want %d", len(b)-len(prefix), len(c)-len(prefix), size, want)
		}
	}
}

func TestPaddingIsATLV(t *testing.T) {
	b := stamp.Request{}.Append(nil, 304)
	if got := hex.EncodeToString(b[44:48]); got != "80010100" || len(b) != 304 {
		t.Errorf("%d bytes, padding begins with %s; want 304 and 80010100", len(b), got)
	}
}

func TestShortPacketsAreErrors(t *testing.T) {
	for n := range 64 {
		_, err := stamp.ParseRequest(make([]byte, n))
		if got, want := errors.Is(err, stamp.ErrShort), n < 14; got != want {
			t.Errorf("request of %d bytes: %v", n, err)
		}
		_, err = stamp.ParseReply(make([]byte, n))
		if got, want := errors.Is(err, stamp.ErrShort), n < 41; got != want {
			t.Errorf("reply of %d bytes: %v", n, err)
		}
	}
}

func TestTimestamps(t *testing.T) {
	for _, tt := range []struct {
		at       time.Time
		ntp, ptp stamp.Timestamp
	}{
		{time.Unix(0, 0), 0x83aa7e80_00000000, 0},
		{time.Unix(0, 500_000_000), 0x83aa7e80_80000000, 500_000_000},
		{time.Unix(-1, 0), 0x83aa7e7f_00000000, 0xffffffff_00000000},
		// The first second of NTP's second era.
		{time.Date(2036, 2, 7, 6, 28, 16, 1, time.UTC), 0x00000000_00000004, 0x7c55_8180_00000001},
	} {
		if got := stamp.NTP(tt.at); got != tt.ntp {
			t.Errorf("NTP of %v is %016x; want %016x", tt.at, uint64(got), uint64(tt.ntp))
		}
		if got := stamp.PTP(tt.at); got != tt.ptp {
			t.Errorf("PTP of %v is %016x; want %016x", tt.at, uint64(got), uint64(tt.ptp))
		}
	}
}

func TestTurnaround(t *testing.T) {
	at := time.Unix(1_780_000_000, 999_999_000)
	era := time.Date(2036, 2, 7, 6, 28, 15, 999_000_000, time.UTC)
	for _, tt := range []struct {
		name       string
		in, out    time.Time
		want       time.Duration
		impossible bool
	}{
		{name: "at once", in: at, out: at},
		{name: "over a second", in: at, out: at.Add(2 * time.Microsecond), want: 2 * time.Microsecond},
		{name: "a minute", in: at, out: at.Add(time.Minute), want: time.Minute},
		{name: "backwards", in: at, out: at.Add(-time.Millisecond), impossible: true},
		{name: "for hours", in: at, out: at.Add(time.Hour), impossible: true},
		{name: "over NTP's era", in: era, out: era.Add(3 * time.Millisecond), want: 3 * time.Millisecond},
	} {
		for name, r := range map[string]stamp.Reply{
			"NTP": {Received: stamp.NTP(tt.in), Timestamp: stamp.NTP(tt.out), ErrorEstimate: stamp.Unknown},
			"PTP": {Received: stamp.PTP(tt.in), Timestamp: stamp.PTP(tt.out), ErrorEstimate: stamp.PTPFormat | stamp.Synchronised | 1},
		} {
			got, ok := r.Turnaround()
			if ok == tt.impossible || ok && (got-tt.want).Abs() > 2 {
				t.Errorf("%s, %s: %v, %t; want %v, %t", tt.name, name, got, ok, tt.want, !tt.impossible)
			}
		}
	}
	noTime := stamp.Reply{Received: 0xffffffff, Timestamp: 0xffffffff, ErrorEstimate: stamp.PTPFormat | 1}
	if d, ok := noTime.Turnaround(); ok {
		t.Errorf("nanoseconds beyond a second give %v", d)
	}
}

func FuzzReply(f *testing.F) {
	f.Add(stamp.Reply{Sequence: 1, Timestamp: 2, Received: 1, ErrorEstimate: stamp.Unknown}.Append(nil, 60))
	f.Add(stamp.Reply{ErrorEstimate: stamp.PTPFormat, Timestamp: math.MaxUint64}.Append(nil, 0))
	f.Add([]byte("short"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := stamp.ParseReply(data)
		if err != nil {
			if r != (stamp.Reply{}) || !errors.Is(err, stamp.ErrShort) {
				t.Fatalf("%+v and %v", r, err)
			}
			return
		}
		if d, ok := r.Turnaround(); ok && (d < 0 || d > time.Minute) {
			t.Fatalf("turnaround of %v", d)
		}
		again, err := stamp.ParseReply(r.Append(nil, 0))
		if err != nil || again != r {
			t.Fatalf("%+v, %v; want %+v", again, err, r)
		}
	})
}

func FuzzRequest(f *testing.F) {
	f.Add(stamp.Request{Sequence: 1, Timestamp: 2, ErrorEstimate: stamp.Unknown}.Append(nil, 60))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := stamp.ParseRequest(data)
		if err != nil {
			return
		}
		again, err := stamp.ParseRequest(r.Append(nil, len(data)%2000))
		if err != nil || again != r {
			t.Fatalf("%+v, %v; want %+v", again, err, r)
		}
	})
}
