package probe

import (
	"encoding/binary"
	"encoding/hex"
	"testing"

	"livebox-agent/collector/probe/stamp"
)

func TestEchoRequestsAreThoseOfTheStandards(t *testing.T) {
	for _, tt := range []struct {
		m    echoMethod
		size int
		want string
	}{
		{echoMethod{id: 0x1234}, 16, "0800e5c5" + "12340005" + "0000000000000001"},
		{echoMethod{id: 0x1234, ipv6: true}, 16, "80000000" + "12340005" + "0000000000000001"},
		{echoMethod{}, 20, "0800f7f9" + "00000005" + "0000000000000001" + "00000000"},
	} {
		b := tt.m.request([]byte("x"), 5, 1, tt.size)[1:]
		if got := hex.EncodeToString(b); got != tt.want {
			t.Errorf("%+v: %s; want %s", tt.m, got, tt.want)
		}
		if !tt.m.ipv6 && checksum(b) != 0 {
			t.Errorf("%+v: checksum does not verify", tt.m)
		}
	}
	if got := checksum([]byte{0xff, 0xff, 0x01}); got != ^uint16(0x0100) {
		t.Errorf("checksum of an odd length %04x; want %04x", got, ^uint16(0x0100))
	}
}

func TestEchoRepliesAreToldFromOtherMessages(t *testing.T) {
	reply := func(typ, code byte, id uint16) []byte {
		b := echoMethod{id: id}.request(nil, 7, 99, 44)
		b[0], b[1] = typ, code
		return b
	}
	for _, tt := range []struct {
		name string
		m    echoMethod
		b    []byte
		ok   bool
	}{
		{"reply", echoMethod{id: 3}, reply(0, 0, 4), true}, // the kernel's id
		{"reply over IPv6", echoMethod{ipv6: true}, reply(129, 0, 4), true},
		{"reply to this id", echoMethod{id: 4, checkID: true}, reply(0, 0, 4), true},
		{"reply to another program", echoMethod{id: 3, checkID: true}, reply(0, 0, 4), false},
		{"our own request", echoMethod{}, reply(8, 0, 0), false},
		{"of the other protocol", echoMethod{}, reply(129, 0, 0), false},
		{"with a code", echoMethod{}, reply(0, 1, 0), false},
		{"short", echoMethod{}, reply(0, 0, 0)[:15], false},
		{"empty", echoMethod{}, nil, false},
	} {
		a, ok := tt.m.answer(tt.b)
		if ok != tt.ok || ok && (a != answer{sequence: 7, nonce: 99}) {
			t.Errorf("%s: %+v, %t", tt.name, a, ok)
		}
	}
}

func TestNonceIsATimestampThatCannotBeGuessed(t *testing.T) {
	low, high := stampMethod{}.nonce(0), stampMethod{}.nonce(^uint64(0))
	if low&0xfff != 0 || high&0xfff != 0xfff {
		t.Errorf("%x and %x; want random low bits", low, high)
	}
	if high-low > 1<<32 {
		t.Errorf("%x and %x are more than a second apart", low, high)
	}
	b := stampMethod{}.request(nil, 9, high, 44)
	r, err := stamp.ParseRequest(b)
	if err != nil || r.Sequence != 9 || uint64(r.Timestamp) != high || r.ErrorEstimate&0xff == 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// Whatever arrives, a method either makes an answer of it that it can have
// asked for, or none.
func FuzzAnswer(f *testing.F) {
	f.Add(stamp.Reply{SenderSequence: 3, SenderTimestamp: 5}.Append(nil, 44))
	f.Add(echoMethod{}.request(nil, 3, 5, 44))
	f.Add([]byte{0, 0, 0, 0, 0, 4, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9})
	f.Add([]byte{129, 0, 0, 0, 0, 4, 0, 7, 0, 0, 0, 0, 0, 0, 0, 9})
	f.Fuzz(func(t *testing.T, data []byte) {
		if a, ok := (stampMethod{}).answer(data); ok {
			if a.turnaround < 0 || binary.BigEndian.Uint32(data[24:]) != uint32(a.sequence) {
				t.Fatalf("%+v", a)
			}
		}
		for _, m := range []echoMethod{{}, {ipv6: true}, {id: 4, checkID: true}} {
			if a, ok := m.answer(data); ok && (a.turnaround != 0 || binary.BigEndian.Uint16(data[6:]) != a.sequence) {
				t.Fatalf("%+v", a)
			}
		}
	})
}
