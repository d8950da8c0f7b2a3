package netfault

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"livebox-agent/testbench/cem"
	"livebox-agent/testbench/courier"
	"livebox-agent/testbench/faultproxy"
	"livebox-agent/testbench/lab"
	"livebox-agent/uplink"
)

// patience bounds each wait of a trial; a variable for the tests of trials that
// fail.
var patience = 90 * time.Second

const (
	ackEvery = 100 * time.Millisecond
	// atOnce is how many trials run side by side.
	atOnce = 20
)

// A Row is what one fault cost over its trials.
type Row struct {
	Fault  string
	Trials int
	// Made counts the reports, Lost those that the CEM never got, Duplicated
	// those that it counted twice. Again counts what was sent more than once:
	// the price of losing nothing.
	Made, Lost, Duplicated, Again uint64
	// Median and Longest are the times from the end of the fault until the CEM
	// had everything and the box knew.
	Median, Longest time.Duration
	// FlashBytes is what a trial wrote to flash, on average.
	FlashBytes int64
	// Untried is why the fault was not tried: this machine cannot.
	Untried string
}

// Options say how faults are tried.
type Options struct {
	// Dir is for all that is written.
	Dir string
	// Trials is how often each is tried.
	Trials int
	// Agent is the shipped program, which RunKernel runs.
	Agent string
	// Log receives what boxes say; nil discards it.
	Log *slog.Logger
	// Tell is told each row as it is there; nil: nobody.
	Tell func(Row)
	// Only, if not empty, names the faults to be tried.
	Only []string
}

// Run tries every fault and returns a row for each, in the order of Faults. The
// error joins what went wrong: a report lost or counted twice, or a fault that
// did not strike.
func Run(ctx context.Context, o Options) ([]Row, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l, err := lab.Start(lab.Config{Dir: filepath.Join(o.Dir, "lab"), AckEvery: ackEvery})
	if err != nil {
		return nil, err
	}
	faults := slices.DeleteFunc(faults(), func(f fault) bool {
		return len(o.Only) > 0 && !slices.Contains(o.Only, f.name)
	})
	rows := make([]Row, len(faults))
	errs := make([]error, len(faults))
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i, f := range faults {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			rows[i], errs[i] = try(ctx, o, l, f, i)
			if o.Tell != nil {
				o.Tell(rows[i])
			}
		})
	}
	wg.Wait()
	return rows, errors.Join(append(errs, l.Stop())...)
}

// Faults returns the names of the faults in the order of their rows.
func Faults() []string {
	var names []string
	for _, f := range faults() {
		names = append(names, f.name)
	}
	return names
}

// try has the trials of one fault.
func try(ctx context.Context, o Options, l *lab.Lab, f fault, number int) (Row, error) {
	row := Row{Fault: f.name}
	var took []time.Duration
	var errs []error
	for n := range o.Trials {
		t := &trial{lab: l, box: fmt.Sprintf("fault%02d-%d", number, n), log: o.Log}
		t.dir = filepath.Join(o.Dir, t.box)
		err := t.run(ctx, f)
		row.Trials++
		row.Made += t.made
		row.Lost += t.made - min(t.stored, t.made)
		row.Duplicated += t.counted - min(t.counted, t.stored)
		row.Again += t.again
		row.FlashBytes += t.flash
		took = append(took, t.took)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s, trial %d: %w", f.name, n+1, err))
		}
	}
	if n := len(took); n > 0 {
		slices.Sort(took)
		row.Median, row.Longest = took[n/2], took[n-1]
		row.FlashBytes /= int64(n)
	}
	if row.Lost+row.Duplicated > 0 {
		errs = append(errs, fmt.Errorf("%s: %d of %d reports lost, %d counted twice", f.name, row.Lost, row.Made, row.Duplicated))
	}
	return row, errors.Join(errs...)
}

// A trial is one box behind one proxy, and one fault.
type trial struct {
	lab    *lab.Lab
	box    string
	dir    string
	log    *slog.Logger
	proxy  *faultproxy.Proxy
	config courier.Config
	c      *courier.Courier
	names  *nameServer

	made, stored, counted, again uint64
	took                         time.Duration
	flash                        int64
}

// run strikes, mends and counts.
func (t *trial) run(ctx context.Context, f fault) (err error) {
	if err := t.prepare(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.proxy.Close(), t.names.close()) }()
	mend, err := f.strike(t)
	if err != nil {
		return err
	}
	if t.c, err = courier.Start(t.config); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.c.Stop()) }()
	if err := errors.Join(t.c.Windows(10), t.c.Event(20)); err != nil {
		return err
	}
	if err := until(ctx, func() bool { return f.struck(t) }); err != nil {
		return fmt.Errorf("the fault did not strike: %w: %+v, %+v", err, t.proxy.Counts(), t.c.Uplink())
	}
	if err := errors.Join(t.c.Windows(10), t.c.Event(20)); err != nil {
		return err
	}
	begin := time.Now()
	if err := mend(); err != nil {
		return err
	}
	err = until(ctx, t.delivered)
	t.took = time.Since(begin)
	t.count()
	t.flash = t.c.FlashWritten()
	if err != nil {
		return fmt.Errorf("not delivered: %w: %d left, %+v", err, t.c.Left(), t.c.Uplink())
	}
	return nil
}

// prepare makes a box whose line leads through a proxy that ends TLS.
func (t *trial) prepare() error {
	pair, err := t.lab.CA.Box(t.box)
	if err != nil {
		return err
	}
	own, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		return err
	}
	server, err := t.lab.CA.Server("127.0.0.1", "localhost")
	if err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(server.Cert, server.Key)
	if err != nil {
		return err
	}
	t.proxy, err = faultproxy.Start(faultproxy.Config{
		Target: t.lab.Broker.Addr(),
		Server: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, ClientCAs: t.lab.CA.Pool(), ClientAuth: tls.RequireAndVerifyClientCert},
		Client: &tls.Config{RootCAs: t.lab.CA.Pool(), Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS13},
	})
	if err != nil {
		return err
	}
	t.config = courier.Config{Box: t.box, Dir: t.dir, Uplink: courier.Eager("tls://" + t.proxy.Addr()), Log: t.log}
	u := &t.config.Uplink
	u.CAFile, u.CertFile, u.KeyFile = t.lab.CA.CAFile(), pair.Cert, pair.Key
	return os.MkdirAll(t.dir, 0o700)
}

// bytesOnly puts a proxy in place that passes on bytes and sees TLS's own
// messages.
func (t *trial) bytesOnly() error {
	if err := t.proxy.Close(); err != nil {
		return err
	}
	var err error
	t.proxy, err = faultproxy.Start(faultproxy.Config{Target: t.lab.Broker.Addr()})
	t.config.Uplink.Broker = "tls://" + t.proxy.Addr()
	return err
}

// delivered says whether the CEM has everything and the box knows.
func (t *trial) delivered() bool {
	t.count()
	return t.stored >= t.made && t.c.Left() == 0
}

// count looks at what the CEM has of the box.
func (t *trial) count() {
	t.made = t.c.Made()
	s, _ := t.lab.CEM.Box(t.box)
	t.stored = stored(s)
	t.counted, t.again = s.Reports, s.Duplicates
}

func stored(s cem.BoxState) (n uint64) {
	for _, r := range s.Runs {
		n += r.Events.Stored() + r.Windows.Stored()
	}
	return n
}

// failed says whether the uplink counted a failure of that class, twice: the
// second shows that it tried again.
func (t *trial) failed(c uplink.Class) bool { return t.c.Uplink().Failures[c] >= 2 }

// until waits until ok.
func until(ctx context.Context, ok func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return cmp.Or(context.Cause(ctx), ctx.Err())
		}
	}
	return nil
}
