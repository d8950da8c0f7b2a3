// Package fault is the table of what was done to the agent and what that cost:
// rows that the packages which do it contribute.
package fault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"livebox-agent/testbench/table"
)

// A Row is one kind of fault.
type Row struct {
	// Trial is the name of the trial that made it; Run fills it in.
	Trial string `json:"trial"`
	// Fault says what was done.
	Fault string `json:"fault"`
	// Trials is how often.
	Trials int `json:"trials"`
	// Lost are reports that were promised to be kept and neither arrived nor
	// were told as lost; Duplicated were counted more than once.
	Lost       int `json:"lost"`
	Duplicated int `json:"duplicated"`
	// Recovered is the longest time until all was as before, 0 where that was
	// not measured; Virtual says that it passed on a simulated clock.
	Recovered time.Duration `json:"recovered_ns"`
	Virtual   bool          `json:"virtual"`
	// FlashBytes were written, of many trials of the same by the one that wrote
	// most; 0 where that was not measured.
	FlashBytes int64 `json:"flash_bytes"`
	// Note is what else there is to say.
	Note string `json:"note"`
	// Untried is why it was not tried: this machine cannot.
	Untried string `json:"untried,omitempty"`
}

// A Lab is what trials may use.
type Lab struct {
	// Dir is for their files.
	Dir string
	// Agent builds the agent's program, once, and returns its name.
	Agent func() (string, error)
	// Long trials take hours instead of minutes.
	Long bool
	// Seed is of what is drawn by lot.
	Seed uint64
	// Log gets what happens, for people.
	Log func(format string, a ...any)
}

// A Trial makes rows. It returns those that it has also with an error.
type Trial struct {
	// Name selects it on the command line.
	Name string
	Run  func(ctx context.Context, lab Lab) ([]Row, error)
}

// ErrBroken says that a promise was broken; the table has said which.
var ErrBroken = errors.New("reports were lost or duplicated")

// Run runs the trials in order and returns their rows. A trial that fails does
// not keep the others from running.
func Run(ctx context.Context, trials []Trial, lab Lab) (rows []Row, err error) {
	for _, t := range trials {
		if ctx.Err() != nil {
			return rows, errors.Join(err, ctx.Err())
		}
		lab.Log("%s", t.Name)
		got, terr := t.Run(ctx, lab)
		for i := range got {
			got[i].Trial = t.Name
		}
		rows = append(rows, got...)
		if terr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", t.Name, terr))
		}
	}
	for _, r := range rows {
		if r.Lost+r.Duplicated > 0 && !errors.Is(err, ErrBroken) {
			err = errors.Join(err, ErrBroken)
		}
	}
	return rows, err
}

// header is over the columns of cells.
var header = []string{"trial", "fault", "trials", "lost", "duplicated", "recovered in", "flash bytes", "and"}

// cells are a row as people read it.
func (r Row) cells() []string {
	recovered, flash := "-", "-"
	if r.Untried != "" {
		return []string{r.Trial, r.Fault, "0", "-", "-", recovered, flash, "not tried: " + r.Untried}
	}
	if r.Recovered > 0 {
		recovered = r.Recovered.Round(time.Millisecond).String()
	}
	if r.Recovered > time.Minute {
		recovered = r.Recovered.Round(time.Second).String()
	}
	if r.Virtual && r.Recovered > 0 {
		recovered += " (simulated)"
	}
	if r.FlashBytes > 0 {
		flash = table.Group(uint64(r.FlashBytes))
	}
	return []string{
		r.Trial, r.Fault, table.Group(uint64(r.Trials)), table.Group(uint64(r.Lost)), table.Group(uint64(r.Duplicated)), recovered, flash, r.Note,
	}
}

// Print writes the table for a person.
func Print(w io.Writer, rows []Row) error {
	lines := [][]string{make([]string, len(header))}
	for i, name := range header {
		lines[0][i] = strings.ToUpper(name)
	}
	for _, r := range rows {
		lines = append(lines, r.cells())
	}
	for _, line := range table.Align(lines, map[int]bool{2: true, 3: true, 4: true, 5: true, 6: true}) {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// PrintMarkdown writes the table for a page.
func PrintMarkdown(w io.Writer, rows []Row) error {
	cell := strings.NewReplacer("|", `\|`, "\n", " ")
	lines := [][]string{header, {"---", "---", "--:", "--:", "--:", "--:", "--:", "---"}}
	for _, r := range rows {
		lines = append(lines, r.cells())
	}
	for _, line := range lines {
		cells := make([]string, len(line))
		for i, c := range line {
			cells[i] = cell.Replace(c)
		}
		if _, err := fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | ")); err != nil {
			return err
		}
	}
	return nil
}

// PrintJSON writes the table for machines.
func PrintJSON(w io.Writer, rows []Row) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(rows)
}
