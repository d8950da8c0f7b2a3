package uplink

import (
	"encoding/binary"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"livebox-agent/uplink/wire"
)

// publishOf returns a PUBLISH of that QoS whose packet has so many bytes behind
// its header.
func publishOf(qos byte, topic string, length int) []byte {
	b := []byte{0x30 | qos<<1, byte(length&0x7f | 0x80), byte(length>>7&0x7f | 0x80), byte(length >> 14)}
	b = binary.BigEndian.AppendUint16(b, uint16(len(topic)))
	b = append(b, topic...)
	return append(b, make([]byte, length-2-len(topic))...)
}

// heap returns the bytes that are held.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A broker may send the longest message that is taken as often as it likes: the
// box holds no more than those that may wait.
func TestFloodOfLongMessagesIsHeldWithinBounds(t *testing.T) {
	for _, topic := range []string{"cem/v1/box1/ack", "cem/v1/box1/command", "somewhere/else"} {
		t.Run(topic, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const messages, most = 1500, (maxPendingAcks + 16) * maxInbound
				packet := publishOf(0, topic, maxInbound)
				var before, peak uint64
				sent := 0
				r := newRig(t, labConfig(), func(int) script {
					return script{publish: func(p *peer, m *packets.PublishPacket) {
						p.puback(m.MessageID)
						if sent > 0 {
							return
						}
						before = heap()
						for ; sent < messages; sent++ {
							if _, err := p.Write(packet); err != nil {
								t.Errorf("message %d: %v; want all of them taken off the line", sent, err)
								return
							}
							if sent%100 == 0 {
								peak = max(peak, heap())
							}
						}
					}}
				}, nil)
				r.run()
				after(time.Minute)
				if held := int64(peak) - int64(before); sent != messages || held > most {
					t.Errorf("%d bytes held while %d messages of %d bytes came; want at most %d", held, sent, maxInbound, most)
				}
				if s := r.u.Stats(); s.AcksIgnored != messages || s.Connects != 1 {
					t.Errorf("Stats() = %+v; want %d messages ignored on one connection", s, messages)
				}
				r.end()
			})
		})
	}
}

// Messages of QoS 1 would each keep a goroutine that waits to write its PUBACK to
// a broker that does not read. The box has subscribed to none.
func TestFloodThatAsksForAnswersEndsTheConnection(t *testing.T) {
	for _, topic := range []string{"cem/v1/box1/ack", "somewhere/else"} {
		t.Run(topic, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const messages, most = 1500, 4 * maxInbound
				packet := publishOf(1, topic, maxInbound)
				var before, peak uint64
				sent := 0
				r := newRig(t, labConfig(), func(n int) script {
					if n > 1 {
						return script{}
					}
					return script{publish: func(p *peer, m *packets.PublishPacket) {
						p.puback(m.MessageID)
						before = heap()
						for ; sent < messages; sent++ {
							if _, err := p.Write(packet); err != nil {
								return
							}
							if sent%100 == 0 {
								peak = max(peak, heap())
							}
						}
					}}
				}, nil)
				r.q.add(windows(1, 3)...)
				r.run()
				after(10 * time.Minute)
				if held := int64(peak) - int64(before); sent > 0 || held > most {
					t.Errorf("%d messages of %d bytes taken, %d bytes held; want none, and at most %d", sent, maxInbound, held, most)
				}
				if s := r.u.Stats(); s.Failures[ClassProtocol] != 1 || s.Connects != 2 || r.q.left() > 0 {
					t.Errorf("failures %v, %d connections, %d reports left; want protocol once, and all delivered on the second",
						s.Failures, s.Connects, r.q.left())
				}
				r.end()
			})
		})
	}
}

// One byte more than the longest Ack and its topic ends the connection before
// the library makes room for it.
func TestMessageLongerThanAnAckEndsTheConnection(t *testing.T) {
	if maxInbound < wire.MaxAckBytes || maxInbound > wire.MaxAckBytes+2048 {
		t.Errorf("maxInbound = %d; want room for an Ack of %d bytes and its topic, no more", maxInbound, wire.MaxAckBytes)
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, labConfig(), func(int) script {
			return script{connect: func(p *peer) {
				p.connack(0)
				p.raw(publishOf(0, "cem/v1/box1/ack", maxInbound+1)...)
			}}
		}, nil)
		r.run()
		after(time.Second)
		if s := r.u.Stats(); s.Failures[ClassProtocol] == 0 {
			t.Errorf("failures %v; want protocol", s.Failures)
		}
		r.end()
	})
}
