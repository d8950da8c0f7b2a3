package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"livebox-agent/testbench/broker"
	"livebox-agent/testbench/pki"
)

// A Message is one that the broker stored.
type Message struct {
	// Topic is as MQTT spells it.
	Topic string
	// Sequence counts the messages of the stream.
	Sequence uint64
	Stored   time.Time
	Payload  []byte
}

// Stored returns the last reports, at most last of them (0: all), that the
// broker of the lab in dir has stored, oldest first. The lab may be running: a
// copy is read. What is written meanwhile may be missing.
func Stored(ctx context.Context, dir string, last uint64) ([]Message, error) {
	return stored(ctx, dir, broker.StreamTelemetry, last)
}

// Statuses returns the last status of each box, in the order of their topics,
// that the broker of the lab in dir has stored; as Stored does, of a copy.
func Statuses(ctx context.Context, dir string) ([]Message, error) {
	all, err := stored(ctx, dir, broker.StreamStatus, 0)
	if err != nil {
		return nil, err
	}
	newest := make(map[string]Message)
	for _, m := range all {
		newest[m.Topic] = m
	}
	return slices.SortedFunc(maps.Values(newest), func(a, b Message) int { return strings.Compare(a.Topic, b.Topic) }), nil
}

// stored returns the last messages of a stream of the lab in dir.
func stored(ctx context.Context, dir, stream string, last uint64) ([]Message, error) {
	from := filepath.Join(dir, "broker")
	if _, err := os.Stat(from); err != nil {
		return nil, fmt.Errorf("no lab has run in %s: %w", dir, err)
	}
	temp, err := os.MkdirTemp("", "livebox-agent-streams")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	if err := os.CopyFS(filepath.Join(temp, "broker"), os.DirFS(from)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("copy streams: %w", err)
	}
	ca, err := pki.Open(filepath.Join(temp, "pki"))
	if err != nil {
		return nil, err
	}
	server, err := ca.Server("127.0.0.1")
	if err != nil {
		return nil, err
	}
	b, err := broker.Start(broker.Config{
		Dir: filepath.Join(temp, "broker"), CAFile: ca.CAFile(), CertFile: server.Cert, KeyFile: server.Key,
	})
	if err != nil {
		return nil, fmt.Errorf("open copy of streams: %w", err)
	}
	defer b.Stop()
	conn, err := b.InProcess()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return read(ctx, conn, stream, last)
}

// read returns the last messages of the stream of that name.
func read(ctx context.Context, conn *nats.Conn, name string, last uint64) ([]Message, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("open JetStream: %w", err)
	}
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open stream: %w", err)
	}
	state := stream.CachedInfo().State
	first := state.FirstSeq
	if last > 0 && state.LastSeq >= last {
		first = max(first, state.LastSeq-last+1)
	}
	var messages []Message
	for seq := first; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		m, err := stream.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read message %d: %w", seq, err)
		}
		messages = append(messages, Message{
			Topic: broker.Topic(m.Subject), Sequence: m.Sequence, Stored: m.Time, Payload: m.Data,
		})
	}
	return messages, nil
}
