package cem

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"livebox-agent/collector/catalogue"
	"livebox-agent/testbench/broker"
	"livebox-agent/testbench/pki"
	"livebox-agent/uplink/wire"
)

const (
	benchRows    = 30 // 5 min, a reading each 10 s
	benchColumns = 60
	benchBoxes   = 100
)

// fullWindow is a window of 60 columns over 5 min.
func fullWindow(box string, seq uint64) []byte {
	opened := time.Duration(seq-1) * 5 * time.Minute
	table := wire.Table{}
	for i := range benchRows {
		table.Times = append(table.Times, opened+time.Duration(i)*10*time.Second)
	}
	for c := range benchColumns {
		column := wire.Column{Metric: catalogue.PortErrorsReceived, Instance: fmt.Sprintf("eth%d", c)}
		for i := range benchRows {
			column.Values = append(column.Values, int64(seq)*1000+int64(i*c%17)+int64(i*c))
		}
		table.Columns = append(table.Columns, column)
	}
	var e wire.Encoder
	w := window(run1, seq)
	w.Box, w.Opened, w.Sealed = box, opened, opened+5*time.Minute
	w.Sections = []wire.Section{{
		Purpose: catalogue.Essential, Fidelity: wire.Columns,
		Body: e.AppendColumns(nil, []wire.Table{table}, true),
	}}
	return encode(w)
}

func rate(b *testing.B, reports int) {
	b.Helper()
	perSecond := float64(reports) / b.Elapsed().Seconds()
	b.ReportMetric(perSecond, "reports/s")
	b.ReportMetric(perSecond*benchRows*benchColumns, "readings/s")
}

// What the state costs, without the stream.
func BenchmarkFold(b *testing.B) {
	b.ReportAllocs()
	bx := newBox("box1")
	payloads := make([][]byte, 64)
	for i := range payloads {
		payloads[i] = fullWindow("box1", uint64(i+1))
	}
	n := 0
	for b.Loop() {
		if n%len(payloads) == 0 {
			bx = newBox("box1") // or all further ones were duplicates
		}
		bx.fold(message{subject: "cem.v1.box1.telemetry", payload: payloads[n%len(payloads)]})
		n++
	}
	if bx.totals.Readings == 0 || bx.totals.Rejected+bx.totals.UndecodableReports > 0 {
		b.Fatalf("totals %+v; want everything decoded", bx.totals)
	}
	rate(b, n)
}

// What a CEM takes in from a stream that lies ready, on one processor for the
// broker, the CEM and the decoding together.
func BenchmarkIngest(b *testing.B) {
	ca, err := pki.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	server, err := ca.Server("127.0.0.1")
	if err != nil {
		b.Fatal(err)
	}
	br, err := broker.Start(broker.Config{
		Dir: b.TempDir(), CAFile: ca.CAFile(), CertFile: server.Cert, KeyFile: server.Key,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer br.Stop()
	const reports = 2000
	fill(b, br, reports)
	n := 0
	for b.Loop() {
		conn, err := br.InProcess()
		if err != nil {
			b.Fatal(err)
		}
		c := New(Options{Conn: conn})
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		<-c.CaughtUp()
		cancel()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
		conn.Close()
		if len(c.boxes) != benchBoxes {
			b.Fatalf("%d boxes; want %d", len(c.boxes), benchBoxes)
		}
		n += reports
	}
	rate(b, n)
}

// fill stores windows of many boxes.
func fill(b *testing.B, br *broker.Broker, reports int) {
	b.Helper()
	conn, err := br.InProcess()
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		b.Fatal(err)
	}
	for i := range reports {
		box := fmt.Sprintf("box%d", i%benchBoxes)
		if _, err := js.PublishAsync("cem.v1."+box+".telemetry", fullWindow(box, uint64(i/benchBoxes+1))); err != nil {
			b.Fatal(err)
		}
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		b.Fatal("the stream does not take the reports")
	}
}
