// Package pipebroker answers boxes as MQTT 3.1.1 has it, over connections in
// memory, which leave the time of a synctest bubble virtual.
package pipebroker

import (
	"context"
	"net"
	"sync"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// A Broker grants every subscription, acknowledges every message, and keeps
// none.
type Broker struct {
	// Published is told of every message; what it returns is sent to the box as
	// an acknowledgement of the CEM's, nothing where it is nil.
	Published func(box, topic string, payload []byte) (ack []byte)
}

// Dial connects to the broker, as uplink.Options.Dial.
func (b Broker) Dial(context.Context, string, string) (net.Conn, error) {
	near, away := net.Pipe()
	go b.Serve(away)
	return near, nil
}

// Serve answers one box until it leaves or c is closed.
func (b Broker) Serve(c net.Conn) {
	var writer sync.WaitGroup
	defer writer.Wait()
	defer c.Close()
	// Both ends of a pipe wait for each other: who reads must not write.
	send := make(chan packets.ControlPacket, 64)
	defer close(send)
	writer.Go(func() {
		for p := range send {
			_ = p.Write(c) // the reader notices
		}
	})
	box := ""
	for {
		in, err := packets.ReadPacket(c)
		if err != nil {
			return
		}
		switch m := in.(type) {
		case *packets.ConnectPacket:
			box = m.ClientIdentifier
			send <- packets.NewControlPacket(packets.Connack)
		case *packets.SubscribePacket:
			p := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
			p.MessageID, p.ReturnCodes = m.MessageID, m.Qoss
			send <- p
		case *packets.PublishPacket:
			b.published(box, m, send)
		case *packets.PingreqPacket:
			send <- packets.NewControlPacket(packets.Pingresp)
		case *packets.DisconnectPacket:
			return
		}
	}
}

func (b Broker) published(box string, m *packets.PublishPacket, send chan<- packets.ControlPacket) {
	if m.Qos > 0 {
		p := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		p.MessageID = m.MessageID
		send <- p
	}
	if b.Published == nil {
		return
	}
	if ack := b.Published(box, m.TopicName, m.Payload); ack != nil {
		p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		p.TopicName, p.Payload = "cem/v1/"+box+"/ack", ack
		send <- p
	}
}
