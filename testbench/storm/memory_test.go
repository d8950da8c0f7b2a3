package storm

import (
	"context"
	"net"
	"sync"

	"github.com/eclipse/paho.mqtt.golang/packets"
)

// A broker answers as MQTT 3.1.1 has it, over a connection in memory. What is
// set is sent to each box that subscribes, and then its connection is cut.
type broker struct {
	dismiss func(box string) []byte
}

// dial connects to it without a network.
func (b broker) dial(context.Context, string, string) (net.Conn, error) {
	near, away := net.Pipe()
	go b.serve(away)
	return near, nil
}

func (b broker) serve(c net.Conn) {
	var writers sync.WaitGroup
	defer writers.Wait()
	defer c.Close()
	box := ""
	// Both ends of a pipe wait for each other: who reads must not write.
	send := make(chan packets.ControlPacket, 64)
	defer close(send)
	writers.Go(func() {
		for p := range send {
			_ = p.Write(c) // the reader notices
		}
	})
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
			p.MessageID, p.ReturnCodes = m.MessageID, []byte{1}
			send <- p
		case *packets.PublishPacket:
			p := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
			p.MessageID = m.MessageID
			send <- p
			if b.dismiss == nil {
				continue
			}
			if payload := b.dismiss(box); payload != nil {
				p := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
				p.TopicName, p.Payload = "cem/v1/"+box+"/ack", payload
				send <- p
			}
		case *packets.PingreqPacket:
			send <- packets.NewControlPacket(packets.Pingresp)
		case *packets.DisconnectPacket:
			return
		}
	}
}
