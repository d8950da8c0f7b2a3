package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"livebox-agent/agent"
	"livebox-agent/agent/clock"
	"livebox-agent/agent/config"
	"livebox-agent/agent/consent"
	"livebox-agent/buffer"
	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
)

const (
	longRun = `Measure the box, buffer what was measured and deliver it, until SIGTERM or an
interrupt; then store what is left and end. Sampling goes on whatever happens to
the network, the backend or the store.`
	longSample = `Ask every source of this box once, show what it gives, and say of the others
why they give nothing. Nothing is sent or stored. Only sources whose purpose is
granted are asked: by the configuration, or by --grant in a laboratory. --sysbus
and --ubus ask another box than this, such as an emulated one.`
	longCheck = `Read the configuration and the certificates that it names, and report every
problem in them, each with its key. Exit status 0 means that the configuration has
no error. Notes say what the agent starts without, but what may keep it from its
broker: certificates that are absent, unfit or out of date. The agent itself also
runs with keys that it does not know, and says so; any other problem keeps it from
starting.`
	longStatus = `Ask the running agent what it does: what it measures, holds and has delivered,
and which states are not as they should be.`
	longRecord = `Have the running agent make an event of every reading of the last ten minutes,
of the purposes that are granted, the newest 48 KiB at most. The event goes to the backend before any window
and is on flash when the command ends, where there is flash. It may be asked for four times, and then once each
six hours.`
	longBuffer = `Show what the store of reports holds, without changing it. The agent must not be
running: it has the store open.`
	longCatalogue = `Print every metric that the agent can report: number, name, unit, resolution,
kind, purpose of consent and default interval.`
)

// load reads the configuration for a command that can go without the keys that
// the agent does not know, and says which these are.
func load(e env, file string) (config.Config, error) {
	cfg, err := config.Load(file, agent.SourceNames())
	if _, ok := errors.AsType[*config.UnknownKeysError](err); ok {
		fmt.Fprintf(e.stderr, "warning: going on without what is not known: %v\n", err)
		return cfg, nil
	}
	return cfg, err
}

func cmdRun(ctx context.Context, e env, fs *flag.FlagSet, args []string) error {
	file := fs.String("config", defaultConfig, "configuration `file`")
	if err := parse(fs, args); err != nil {
		return err
	}
	cfg, err := load(e, *file)
	if err != nil {
		return err
	}
	if err := clock.Check(); err != nil {
		return err
	}
	if os.Getenv("GOMAXPROCS") == "" {
		// One processor is plenty for the agent, and costs a quarter less time
		// than handing work around.
		runtime.GOMAXPROCS(1)
	}
	log := slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: cfg.Log.Level}))
	a, err := agent.New(cfg, agent.Options{Log: log, Version: version})
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

func cmdCheckConfig(_ context.Context, e env, fs *flag.FlagSet, args []string) error {
	file := fs.String("config", defaultConfig, "configuration `file`")
	if err := parse(fs, args); err != nil {
		return err
	}
	cfg, err := config.Load(*file, agent.SourceNames())
	if err != nil {
		return err
	}
	notes, verdict := cfg.Notes(time.Now()), "is good"
	if len(notes) > 0 {
		verdict = "has no error, but its broker may not be reached, see the notes"
	}
	fmt.Fprintf(e.stdout, "%s %s: consent %s, a report every %v, %d B of memory and %d B of flash for reports\n",
		*file, verdict, cfg.Consent.Set(), cfg.Sampling.Window, cfg.Buffer.RAMBytes, cfg.Buffer.FlashBytes)
	for _, n := range notes {
		fmt.Fprintln(e.stdout, "note:", n)
	}
	return nil
}

// jsonOutcome is one source as sample --json prints it.
type jsonOutcome struct {
	Source   string        `json:"source"`
	Purpose  string        `json:"purpose"`
	State    string        `json:"state"`
	Reason   string        `json:"reason,omitempty"`
	TookMS   float64       `json:"took_ms"`
	Readings []jsonReading `json:"readings"`
}

type jsonReading struct {
	ID       catalogue.ID `json:"id"`
	Metric   string       `json:"metric"`
	Instance string       `json:"instance,omitempty"`
	Value    int64        `json:"value"`
	Exponent int          `json:"exponent"`
	Unit     string       `json:"unit"`
	Text     string       `json:"text"`
}

func cmdSample(ctx context.Context, e env, fs *flag.FlagSet, args []string) error {
	fs.Bool("once", true, "ask once and end; there is no other way")
	asJSON := fs.Bool("json", false, "print JSON")
	file := fs.String("config", defaultConfig, "configuration `file` that says what is granted; without the file, essential is")
	grant := fs.String("grant", "", "`purposes` to grant in place of the configuration's, separated by commas, or \"all\"")
	url := fs.String("sysbus", "", "`URL` of a Livebox's web service, in place of the configuration's")
	password := fs.String("sysbus-password", "", "`file` with the password of its user, in place of the configuration's")
	bus := fs.String("ubus", "", "`socket` of OpenWrt's bus, in place of the configuration's")
	if err := parse(fs, args); err != nil {
		return err
	}
	granted, cfg, err := grants(e, *grant, *file)
	if err != nil {
		return err
	}
	cfg.Sysbus.URL = cmp.Or(*url, cfg.Sysbus.URL)
	cfg.Sysbus.PasswordFile = cmp.Or(*password, cfg.Sysbus.PasswordFile)
	cfg.Ubus.Socket = cmp.Or(*bus, cfg.Ubus.Socket)
	if err := cfg.Sysbus.Validate(); err != nil {
		return fmt.Errorf("--sysbus: %w", err)
	}
	outcomes, err := agent.SampleOnce(ctx, granted, cfg)
	if err != nil {
		return err
	}
	if *asJSON {
		return printJSON(e.stdout, jsonOutcomes(outcomes))
	}
	return printOutcomes(e.stdout, outcomes)
}

// grants returns the purposes that sample may use, and the configuration.
func grants(e env, list, file string) (consent.Set, config.Config, error) {
	cfg, err := load(e, file)
	if errors.Is(err, fs.ErrNotExist) && file == defaultConfig {
		cfg, err = config.Default(), nil
		cfg.Box.StateDir = os.TempDir()
	}
	switch {
	case err != nil:
		return 0, cfg, err
	case list == "":
		return cfg.Consent.Set(), cfg, nil
	case list == "all":
		return consent.Of(catalogue.Purposes()...), cfg, nil
	}
	s, err := consent.Parse(strings.Split(list, ","))
	if err != nil {
		return 0, cfg, fmt.Errorf("--grant: %w", err)
	}
	return s, cfg, nil
}

func jsonOutcomes(outcomes []collector.Outcome) []jsonOutcome {
	all := []jsonOutcome{}
	for _, o := range outcomes {
		j := jsonOutcome{
			Source: o.Description.Name, Purpose: o.Description.Purpose.String(), State: o.State.String(), Reason: o.Reason,
			TookMS: float64(o.Took.Microseconds()) / 1000, Readings: []jsonReading{},
		}
		for _, r := range o.Readings {
			m, _ := catalogue.Lookup(r.Metric)
			j.Readings = append(j.Readings, jsonReading{r.Metric, m.Name, r.Instance, r.Value, m.Exponent, m.Unit, m.Format(r.Value)})
		}
		all = append(all, j)
	}
	return all
}

func printOutcomes(w io.Writer, outcomes []collector.Outcome) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "SOURCE\tPURPOSE\tSTATE\tREADINGS\tTOOK\tREASON")
	n := 0
	for _, o := range outcomes {
		fmt.Fprintf(tw, "%s\t%v\t%v\t%d\t%v\t%s\n", o.Description.Name, o.Description.Purpose, o.State, len(o.Readings), o.Took.Round(10*time.Microsecond), o.Reason)
		n += len(o.Readings)
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	if n == 0 {
		_, err := fmt.Fprintln(w, "\nno source of this box gave a reading")
		return err
	}
	fmt.Fprintln(w)
	fmt.Fprintln(tw, "METRIC\tINSTANCE\tVALUE")
	for _, o := range outcomes {
		for _, r := range o.Readings {
			m, _ := catalogue.Lookup(r.Metric)
			fmt.Fprintf(tw, "%s\t%s\t%s\n", m.Name, r.Instance, m.Format(r.Value))
		}
	}
	return tw.Flush()
}

func cmdStatus(ctx context.Context, e env, fs *flag.FlagSet, args []string) error {
	file := fs.String("config", defaultConfig, "configuration `file` of the running agent")
	asJSON := fs.Bool("json", false, "print JSON")
	if err := parse(fs, args); err != nil {
		return err
	}
	cfg, err := load(e, *file)
	if err != nil {
		return err
	}
	s, err := agent.Ask(ctx, cfg.Box.RunDir)
	if err != nil {
		return fmt.Errorf("%w (is the agent running with this configuration?)", err)
	}
	if *asJSON {
		return printJSON(e.stdout, s)
	}
	return s.Print(e.stdout)
}

func cmdRecord(ctx context.Context, e env, fs *flag.FlagSet, args []string) error {
	file := fs.String("config", defaultConfig, "configuration `file` of the running agent")
	reason := fs.String("reason", "asked for on the box", "`text` that the event carries: who asks, and why")
	if err := parse(fs, args); err != nil {
		return err
	}
	cfg, err := load(e, *file)
	if err != nil {
		return err
	}
	r, err := agent.Record(ctx, cfg.Box.RunDir, *reason)
	if _, many := errors.AsType[*agent.TooManyError](err); many {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w (is the agent running with this configuration?)", err)
	}
	if r.Sequence == 0 {
		return errors.New("the event was not kept: the agent's log says why")
	}
	_, err = fmt.Fprintf(e.stdout, "event %d has %d sections of readings, %d B\n", r.Sequence, r.Sections, r.Bytes)
	return err
}

func cmdBuffer(_ context.Context, e env, flags *flag.FlagSet, args []string) error {
	file := flags.String("config", defaultConfig, "configuration `file`")
	dir := flags.String("state-dir", "", "state `directory`, in place of the configuration's")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := parse(flags, args); err != nil {
		return err
	}
	if *dir == "" {
		cfg, err := load(e, *file)
		if err != nil {
			return err
		}
		*dir = cfg.Box.StateDir
	}
	c, err := buffer.Inspect(*dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: no report was ever stored there", err)
	}
	if err != nil {
		return err
	}
	if *asJSON {
		return printJSON(e.stdout, c)
	}
	return printContents(e.stdout, c)
}

func cmdCatalogue(_ context.Context, e env, fs *flag.FlagSet, args []string) error {
	asJSON := fs.Bool("json", false, "print the JSON that the backend loads")
	asMarkdown := fs.Bool("markdown", false, "print the table of the documentation")
	if err := parse(fs, args); err != nil {
		return err
	}
	switch {
	case *asJSON:
		return catalogue.WriteJSON(e.stdout)
	case *asMarkdown:
		return catalogue.WriteMarkdown(e.stdout)
	}
	return catalogue.WriteTable(e.stdout)
}

func printContents(w io.Writer, c buffer.Contents) error {
	fmt.Fprintf(w, "file %d B, %d B of it in use; %d B written to flash since the store was made\n\n", c.FileBytes, c.UsedBytes, c.FlashTotal)
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "LANE\tRUN\tSTART\tREPORTS\tTHINNED\tFIRST\tLAST\tBYTES")
	for _, r := range c.Runs {
		fmt.Fprintf(tw, "%v\t%016x\t%d\t%d\t%d\t%d\t%d\t%d\n", r.Lane, r.Run.ID, r.Run.Counter, r.Reports, r.Thinned, r.First, r.Last, r.Bytes)
	}
	for _, l := range c.Losses {
		fmt.Fprintf(tw, "\nlost: %d of %v %d to %d of run %016x, %v", l.Count, l.Lane, l.First, l.Last, l.Run, l.Reason)
	}
	for _, k := range c.Damaged {
		fmt.Fprintf(tw, "\ndamaged: %v %d of run %016x", k.Lane, k.Sequence, k.Run.ID)
	}
	if len(c.Losses)+len(c.Damaged) > 0 {
		fmt.Fprintln(tw)
	}
	return tw.Flush()
}

func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
