package pipebroker_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"livebox-agent/testbench/pipebroker"
)

func TestEveryPacketOfABoxIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard []string
		b := pipebroker.Broker{Published: func(box, topic string, payload []byte) []byte {
			heard = append(heard, fmt.Sprintf("%s %s %s", box, topic, payload))
			if topic == "cem/v1/box-1/status" {
				return nil
			}
			return append([]byte("ack of "), payload...)
		}}
		c, err := b.Dial(t.Context(), "tcp", "anything")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		send := func(p packets.ControlPacket) {
			t.Helper()
			if err := p.Write(c); err != nil {
				t.Fatal(err)
			}
		}
		connect := packets.NewControlPacket(packets.Connect).(*packets.ConnectPacket)
		connect.ProtocolName, connect.ProtocolVersion, connect.ClientIdentifier = "MQTT", 4, "box-1"
		send(connect)
		receive[*packets.ConnackPacket](t, c)

		subscribe := packets.NewControlPacket(packets.Subscribe).(*packets.SubscribePacket)
		subscribe.MessageID, subscribe.Topics, subscribe.Qoss = 7, []string{"a", "b"}, []byte{0, 1}
		send(subscribe)
		if p := receive[*packets.SubackPacket](t, c); p.MessageID != 7 || !slices.Equal(p.ReturnCodes, []byte{0, 1}) {
			t.Errorf("%v; want both as they were asked for", p)
		}

		publish := func(topic, payload string, qos byte) {
			t.Helper()
			p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
			p.TopicName, p.Payload, p.Qos, p.MessageID = topic, []byte(payload), qos, 8
			send(p)
		}
		publish("cem/v1/box-1/status", "online", 1)
		if p := receive[*packets.PubackPacket](t, c); p.MessageID != 8 {
			t.Errorf("%v; want message 8", p)
		}
		publish("cem/v1/box-1/telemetry", "report", 0)
		if p := receive[*packets.PublishPacket](t, c); p.TopicName != "cem/v1/box-1/ack" || string(p.Payload) != "ack of report" {
			t.Errorf("%v; want the acknowledgement alone", p)
		}
		send(packets.NewControlPacket(packets.Pingreq))
		receive[*packets.PingrespPacket](t, c)
		if want := []string{"box-1 cem/v1/box-1/status online", "box-1 cem/v1/box-1/telemetry report"}; !slices.Equal(heard, want) {
			t.Errorf("heard %q; want %q", heard, want)
		}

		send(packets.NewControlPacket(packets.Disconnect))
		if p, err := packets.ReadPacket(c); !errors.Is(err, io.EOF) {
			t.Errorf("%v, %v after the box left; want the end", p, err)
		}
	})
}

// receive reads a packet, which must be a P.
func receive[P packets.ControlPacket](t *testing.T, r io.Reader) P {
	t.Helper()
	in, err := packets.ReadPacket(r)
	if err != nil {
		t.Fatal(err)
	}
	p, ok := in.(P)
	if !ok {
		t.Fatalf("%T: %v; want %T", in, in, p)
	}
	return p
}
