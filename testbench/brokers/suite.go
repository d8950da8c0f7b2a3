package brokers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// Options say how the suite runs.
type Options struct {
	// Dir is for all that is written.
	Dir string
	// Agent is the agent's program.
	Agent string
	// Kinds are the brokers; nil stands for all.
	Kinds []Kind
	// Log receives what boxes and CEM say; nil discards it.
	Log *slog.Logger
	// Tell is told each answer as it comes; nil: nobody.
	Tell func(Kind, Property, Answer)
}

// A Property is one thing that is asked of every broker.
type Property struct {
	// Name is the row of the table.
	Name string
	// Agent is what the agent does about it.
	Agent string
	// Varies says that the answer is a matter of timing: it is printed, and the
	// committed table is not held to it.
	Varies bool

	measure func(ctx context.Context, b *bench) (string, error)
}

// An Answer is what was measured. An error says that the agent lost something,
// or a box reached what it must not.
type Answer struct {
	Text string
	Err  error
}

// Results hold the answers of each broker, in the order of Properties.
type Results map[Kind][]Answer

// Err returns every error.
func (r Results) Err() error {
	var errs []error
	for _, k := range Kinds() {
		for i, a := range r[k] {
			if a.Err != nil {
				errs = append(errs, fmt.Errorf("%s: %s: %w", k, Properties()[i].Name, a.Err))
			}
		}
	}
	return errors.Join(errs...)
}

// Run measures the brokers side by side.
func Run(ctx context.Context, o Options) (Results, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Kinds == nil {
		o.Kinds = Kinds()
	}
	var (
		mu      sync.Mutex // guards what follows
		results = Results{}
		errs    []error
		wg      sync.WaitGroup
	)
	for _, k := range o.Kinds {
		wg.Go(func() {
			answers, err := run(ctx, o, k)
			mu.Lock()
			defer mu.Unlock()
			results[k] = answers
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", k, err))
			}
		})
	}
	wg.Wait()
	return results, errors.Join(errs...)
}

// run measures one broker.
func run(ctx context.Context, o Options, k Kind) (answers []Answer, err error) {
	b, err := newBench(ctx, o, k)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for _, p := range Properties() {
		if ctx.Err() != nil {
			return answers, ctx.Err()
		}
		if b.broker == nil { // the property before failed half way
			if err := b.brokerUp(ctx, ""); err != nil {
				return answers, err
			}
		}
		if b.ended == nil {
			if err := b.cemUp(ctx, "journal"); err != nil {
				return answers, err
			}
		}
		var a Answer
		a.Text, a.Err = p.measure(ctx, b)
		answers = append(answers, a)
		if o.Tell != nil {
			o.Tell(k, p, a)
		}
	}
	return answers, nil
}

// Properties lists what is asked, in the order in which it is asked.
func Properties() []Property {
	return []Property{
		{"client without a certificate, or of another CA", "has no say in it", false, strangers},
		{"box that calls itself by another's client identifier", "takes its own name from its certificate", false, takeover},
		{"publish to another box's topic (MQTT 3.1.1 has no refusal)", "never publishes there; trusts no PUBACK", false, deniedPublish},
		{"subscribe to another box's topics, or to all", "subscribes to its own alone", false, deniedSubscribe},
		{"reports at QoS 1, acknowledged by the CEM over the broker", "forgets a report at the CEM's word alone", false, delivers},
		{"last will, retained, for a CEM that comes later", "sets it at each connection", false, will},
		{"report of 64 kB; largest packet tried that was taken", "sends none longer than 64 kB", false, large},
		{"the shipped agent, stopped, killed and started again", "keeps reports on flash", false, agentRestarts},
		{"20 connections reset while reports are made", "waits, jittered, and sends again what is not acknowledged", false, reconnects},
		{"broker stopped and started: a kept session's messages", "sends again what is not acknowledged", false, restart},
		{"broker killed (SIGKILL) while the agent delivers: lost", "sends again what is not acknowledged", false, kill},
		{"answered with PUBACK, then killed, CEM away: gone for good", "keeps it until the CEM has it", true, forgets},
		{"1500 messages for a CEM that is away: kept", "sends again what is not acknowledged", false, queue},
		{"rules that deny the box's own events", "not_stored or uplink_down; delivers when the rules are mended", false, denied},
	}
}
