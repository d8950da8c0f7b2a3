package budget

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// A State says how a row stands to its budget.
type State string

// The states of a row.
const (
	// Within: measured, and at most the budget.
	Within State = "within"
	// Over: measured, and more than the budget.
	Over State = "over"
	// Missed: measured, and more than the budget: by a clock that a busy machine
	// moves, or a goal that is not reached yet. It is shown, and fails nothing.
	Missed State = "missed"
	// Informative: measured, without a budget of its own.
	Informative State = "informative"
	// NotMeasured: How says why.
	NotMeasured State = "not measured"
)

// A Row is one thing measured.
type Row struct {
	Name string `json:"name"`
	// Unit of Value and Budget: "MB" is 10^6 bytes.
	Unit   string  `json:"unit"`
	Value  float64 `json:"value"`
	Budget float64 `json:"budget,omitzero"`
	State  State   `json:"state"`
	// How says how it was measured, or why it was not.
	How string `json:"how"`
}

// measured makes a row with a budget.
func measured(name, unit string, value, budget float64, how string) Row {
	r := Row{Name: name, Unit: unit, Value: value, Budget: budget, State: Within, How: how}
	// Not value > budget: what is no number at all is not within.
	if !(value <= budget) {
		r.State = Over
	}
	return r
}

// goal makes a row whose budget is not met everywhere: what is over it is shown
// as missed, and does not fail the whole.
func goal(name, unit string, value, budget float64, how string) Row {
	r := measured(name, unit, value, budget, how)
	if r.State == Over {
		r.State = Missed
	}
	return r
}

// informative makes a row that has no budget.
func informative(name, unit string, value float64, how string) Row {
	return Row{Name: name, Unit: unit, Value: value, State: Informative, How: how}
}

// unmeasured makes a row of what could not be measured.
func unmeasured(name, unit string, budget float64, why string) Row {
	return Row{Name: name, Unit: unit, Budget: budget, State: NotMeasured, How: why}
}

// A Report is all rows.
type Report struct {
	Version string `json:"version"`
	Rows    []Row  `json:"rows"`
}

// ErrOver says that at least one row is over its budget.
var ErrOver = errors.New("over budget")

// Err returns nil, or ErrOver with the names of the rows that are over.
func (r Report) Err() error {
	var over []error
	for _, row := range r.Rows {
		if row.State == Over {
			over = append(over, fmt.Errorf("%w: %s: %s %s, budget %s",
				ErrOver, row.Name, number(row.Value), row.Unit, number(row.Budget)))
		}
	}
	return errors.Join(over...)
}

// Count returns how many rows are in state s.
func (r Report) Count(s State) int {
	n := 0
	for _, row := range r.Rows {
		if row.State == s {
			n++
		}
	}
	return n
}

// WriteText writes the table for a person.
func (r Report) WriteText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "livebox-agent %s\tmeasured\tbudget\tunit\tstate\thow\n", r.Version)
	for _, row := range r.Rows {
		value, limit := number(row.Value), "-"
		if row.State == NotMeasured {
			value = "-"
		}
		if row.Budget != 0 || row.State == Within || row.State == Over || row.State == Missed {
			limit = number(row.Budget)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", row.Name, value, limit, row.Unit, row.State, row.How)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%d within budget, %d over, %d missed, %d not measured, %d for information\n",
		r.Count(Within), r.Count(Over), r.Count(Missed), r.Count(NotMeasured), r.Count(Informative))
	return err
}

// WriteJSON writes the report for a machine.
func (r Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Report
		Within      int `json:"within"`
		Over        int `json:"over"`
		Missed      int `json:"missed"`
		NotMeasured int `json:"not_measured"`
	}{r, r.Count(Within), r.Count(Over), r.Count(Missed), r.Count(NotMeasured)})
}

// number writes v with three significant digits, whole numbers in full.
func number(v float64) string {
	if v >= 100 || v <= -100 || v == float64(int64(v)) {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
