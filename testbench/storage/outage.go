package storage

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"livebox-agent/buffer"
	"livebox-agent/testbench/flash"
	"livebox-agent/uplink"
	"livebox-agent/uplink/wire"
)

// Outage is what came of days without the backend and of its return.
type Outage struct {
	// Made and Kept count windows, Events and KeptEvents events.
	Made, Kept, Events, KeptEvents int
	// Whole are the windows that were kept with their columns, ascending.
	Whole []uint64
	// FlashBytes were written in all, FileBytes is the size of the store.
	FlashBytes, FileBytes int64
	// Drained is the time from the connection until the CEM had everything.
	Drained time.Duration
	// Bytes is what was sent of reports meanwhile, Twice how many came twice.
	Bytes, Twice int
	// Windows are those that came, in the order in which they did; Newest is
	// the one that was the newest when the backend returned.
	Windows []uint64
	Newest  uint64
	// EventsAfter is how many windows came before the last event of the
	// outage.
	EventsAfter int
}

// outage passes so much time without the backend at the default configuration,
// and lets the uplink, at its own, deliver what is left. virtual runs it where
// time passes by itself: a day takes as long as the work that it holds.
func outage(d time.Duration, virtual func(func()) error) (o Outage, err error) {
	dir, err := os.MkdirTemp("", "outage")
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	verr := virtual(func() {
		// Its channels must be of the place where time is virtual.
		b := flash.NewBox(filepath.Join(dir, "buffer"), buffer.DefaultConfig())
		if err = b.Pass(d, false, true); err == nil {
			o.weigh(b)
			err = o.drain(b)
		}
		err = errors.Join(err, b.Close())
	})
	return o, errors.Join(err, verr)
}

// weigh counts what survived.
func (o *Outage) weigh(b *flash.Box) {
	st := b.Stats()
	o.Made, o.Events = int(st.Appended), 0
	o.FlashBytes, o.FileBytes = st.FlashWritten, st.FileBytes
	for _, lane := range []buffer.Lane{buffer.Events, buffer.Windows} {
		var after buffer.Key
		for {
			r, ok := b.Next(lane, after)
			if !ok {
				break
			}
			after = r.Key
			switch {
			case lane == buffer.Events:
				o.KeptEvents++
			case len(r.Sections) == 6:
				o.Whole = append(o.Whole, r.Key.Sequence)
				fallthrough
			default:
				o.Kept++
			}
		}
		switch lane {
		case buffer.Events:
			o.Events = int(after.Sequence)
		case buffer.Windows:
			o.Newest = after.Sequence
			o.Made = int(after.Sequence)
		}
	}
}

// drain delivers until the CEM has what there was.
func (o *Outage) drain(b *flash.Box) error {
	backlog := o.Kept + o.KeptEvents
	far := &farSide{out: o, has: map[uplink.Key]bool{}, backlog: backlog, done: make(chan struct{})}
	cfg := uplink.DefaultConfig()
	cfg.Broker = "tcp://192.0.2.1:1883"
	u, err := uplink.New(cfg, uplink.Options{
		Log: slog.New(slog.DiscardHandler), Box: "box1", Queue: queue{b}, Warm: true,
		Status: func(bool) []byte { return wire.AppendStatus(nil, wire.Status{Box: "box1"}) },
		Will:   wire.AppendStatus(nil, wire.Status{Box: "box1"}),
		Dial:   far.dial,
	})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- u.Run(ctx) }()
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for n, over := 0, false; !over && err == nil; n++ {
		select {
		case <-far.done:
			over = true
		case <-minute.C:
			err = b.Pass(time.Minute, false, true)
			if n > 24*60 {
				err = errors.Join(err, fmt.Errorf("a day after the return %d of %d had arrived", len(far.has), backlog))
			}
		}
	}
	cancel()
	return errors.Join(err, <-ended)
}

// A queue shows a store to the uplink, as the agent does.
type queue struct{ box *flash.Box }

// Next implements uplink.Queue.
func (q queue) Next(lane wire.Lane, after uplink.Key) (uplink.Item, bool) {
	r, ok := q.box.Next(buffer.Lane(lane), buffer.Key{Run: buffer.Run(after.Run), Lane: buffer.Lane(lane), Sequence: after.Sequence})
	return item(r), ok
}

// Last implements uplink.Queue.
func (q queue) Last(lane wire.Lane) (uplink.Item, bool) {
	k, ok := q.box.Last(buffer.Lane(lane))
	if !ok {
		return uplink.Item{}, false
	}
	k.Sequence--
	r, ok := q.box.Next(buffer.Lane(lane), k)
	return item(r), ok
}

// Appended implements uplink.Queue.
func (q queue) Appended() <-chan struct{} { return q.box.Appended() }

// Ack implements uplink.Queue.
func (q queue) Ack(run uint64, lane wire.Lane, upTo uint64, ranges []wire.Range) int {
	rs := make([]buffer.Range, len(ranges))
	for i, r := range ranges {
		rs[i] = buffer.Range(r)
	}
	return q.box.Ack(run, buffer.Lane(lane), upTo, rs)
}

// item is a report as it travels: summaries only where the columns are gone.
func item(r buffer.Report) uplink.Item {
	k := uplink.Key{Run: wire.Run(r.Key.Run), Lane: wire.Lane(r.Key.Lane), Sequence: r.Key.Sequence}
	return uplink.Item{Key: k, Payload: func(dst []byte) ([]byte, error) {
		dst = wire.AppendBox(dst, "box1")
		dst = append(dst, wire.AppendHeader(nil, wire.Header{Run: k.Run, Lane: k.Lane, Sequence: k.Sequence, Opened: r.Opened, Sealed: r.Sealed})...)
		for _, s := range r.Sections {
			if s.Fidelity != buffer.Summary || len(r.Sections) == 3 {
				dst = wire.AppendSection(dst, s.Purpose, wire.Fidelity(s.Fidelity), s.Body)
			}
		}
		return dst, nil
	}}
}

// A farSide is broker and CEM: it stores what comes and says so once a minute.
type farSide struct {
	out     *Outage
	backlog int
	done    chan struct{}

	mu    sync.Mutex // guards what follows, and out
	has   map[uplink.Key]bool
	began time.Time
}

func (f *farSide) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	f.mu.Lock()
	if f.began.IsZero() {
		f.began = time.Now()
	}
	f.mu.Unlock()
	answers := make(chan packets.ControlPacket, 64)
	quit := make(chan struct{})
	go func() {
		defer far.Close()
		for {
			select {
			case p := <-answers:
				if p.Write(far) != nil {
					return
				}
			case <-quit:
				return
			}
		}
	}()
	go func() {
		defer close(quit)
		for {
			p, err := packets.ReadPacket(far)
			if err != nil {
				return
			}
			f.answer(p, answers)
		}
	}()
	go f.acknowledge(answers, quit)
	return near, nil
}

// answer does what a broker does.
func (f *farSide) answer(p packets.ControlPacket, answers chan<- packets.ControlPacket) {
	switch m := p.(type) {
	case *packets.ConnectPacket:
		answers <- packets.NewControlPacket(packets.Connack)
	case *packets.SubscribePacket:
		a := packets.NewControlPacket(packets.Suback).(*packets.SubackPacket)
		a.MessageID, a.ReturnCodes = m.MessageID, make([]byte, len(m.Topics))
		for i := range a.ReturnCodes {
			a.ReturnCodes[i] = 1
		}
		answers <- a
	case *packets.PingreqPacket:
		answers <- packets.NewControlPacket(packets.Pingresp)
	case *packets.PublishPacket:
		a := packets.NewControlPacket(packets.Puback).(*packets.PubackPacket)
		a.MessageID = m.MessageID
		answers <- a
		if m.TopicName != "cem/v1/box1/status" {
			f.store(m.Payload)
		}
	}
}

// store takes in a report.
func (f *farSide) store(payload []byte) {
	r, err := wire.ParseReport(payload)
	if err != nil {
		return // missed in the end
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	k := uplink.Key{Run: r.Run, Lane: r.Lane, Sequence: r.Sequence}
	if f.has[k] {
		f.out.Twice++
		return
	}
	f.has[k] = true
	f.out.Bytes += len(payload)
	if r.Lane == wire.Windows {
		f.out.Windows = append(f.out.Windows, r.Sequence)
	} else if r.Sequence <= uint64(f.out.Events) {
		f.out.EventsAfter = len(f.out.Windows)
	}
	if r.Lane == wire.Events && r.Sequence > uint64(f.out.Events) || r.Lane == wire.Windows && r.Sequence > f.out.Newest {
		return // of after the outage
	}
	if f.backlog--; f.backlog == 0 {
		f.out.Drained = time.Since(f.began)
		close(f.done)
	}
}

// acknowledge tells once a minute what is stored.
func (f *farSide) acknowledge(answers chan<- packets.ControlPacket, quit <-chan struct{}) {
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for {
		select {
		case <-quit:
			return
		case <-minute.C:
		}
		m := packets.NewControlPacket(packets.Publish).(*packets.PublishPacket)
		m.TopicName, m.Payload = "cem/v1/box1/ack", wire.AppendAck(nil, f.stored())
		select {
		case answers <- m:
		case <-quit:
			return
		}
	}
}

func (f *farSide) stored() (a wire.Ack) {
	f.mu.Lock()
	defer f.mu.Unlock()
	type lane struct {
		run  uint64
		lane wire.Lane
	}
	most := map[lane]uint64{}
	for k := range f.has {
		l := lane{k.Run.ID, k.Lane}
		most[l] = max(most[l], k.Sequence)
	}
	for l, last := range most {
		la := wire.LaneAck{RunID: l.run, Lane: l.lane}
		for seq := uint64(1); seq <= last; seq++ {
			k := uplink.Key{Run: wire.Run{ID: 1, Counter: 1, KernelBoot: 1}, Lane: l.lane, Sequence: seq}
			n := len(la.Ranges)
			switch {
			case !f.has[k]:
			case n == 0 && la.Contiguous == seq-1:
				la.Contiguous = seq
			case n > 0 && la.Ranges[n-1].Last == seq-1:
				la.Ranges[n-1].Last = seq
			default:
				la.Ranges = append(la.Ranges, wire.Range{First: seq, Last: seq})
			}
		}
		a.Lanes = append(a.Lanes, la)
	}
	return a
}
