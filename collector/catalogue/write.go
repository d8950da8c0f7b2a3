package catalogue

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteJSON writes the catalogue as the backend loads it: an object with the
// hash, in the eight hexadecimal digits that reports carry as a number, the
// rows, and the thresholds, which the hash does not cover.
func WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(struct {
		Hash       string      `json:"hash"`
		Metrics    []Metric    `json:"metrics"`
		Thresholds []Threshold `json:"thresholds"`
	}{fmt.Sprintf("%08x", Hash()), metrics, thresholds})
}

// WriteTable writes the catalogue for a terminal.
func WriteTable(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "ID\tNAME\tINSTANCE\tUNIT\tRESOLUTION\tKIND\tPURPOSE\tINTERVAL")
	for _, m := range metrics {
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\t%v\t%v\t%v\n",
			m.ID, m.Name, m.Instance, m.Unit, decimal(m.Resolution, m.Exponent), m.Kind, m.Purpose, m.Interval)
	}
	fmt.Fprintf(tw, "\n%d metrics, hash %08x\n", len(metrics), Hash())
	return tw.Flush()
}

// WriteMarkdown writes the table of the documentation.
func WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, `# Catalogue of metrics

Written by "livebox-agent catalogue --markdown"; the source is metrics.go. A
reading is an integer; it stands for that number × 10^exponent of the unit
(UCUM spelling). Names are of TR-181 Device:2; what TR-181 does not have is
under %s. Hash of this catalogue: %08x.

| id | name below Device. | instance | unit | exponent | resolution | kind | purpose | interval | what it is |
|---|---|---|---|---|---|---|---|---|---|
`, "`"+VendorPrefix+"`", Hash())
	for _, m := range metrics {
		what := m.Description
		if len(m.States) > 0 {
			var s []string
			for i, name := range m.States {
				s = append(s, fmt.Sprintf("%d %s", i, name))
			}
			what += " Values: " + strings.Join(s, ", ") + "."
		}
		fmt.Fprintf(&b, "| %d | `%s` | %s | %s | %d | %s | %v | %v | %v | %s |\n",
			m.ID, m.Name, m.Instance, m.Unit, m.Exponent, decimal(m.Resolution, m.Exponent), m.Kind, m.Purpose, m.Interval, what)
	}
	b.WriteString(`
## Thresholds

From when on values are worth an event, unless the box is configured otherwise;
the source is thresholds.go. How they are judged is in the documentation of the
package agent/detect.

| id | name below Device. | worth an event | within or for | can be | source |
|---|---|---|---|---|---|
`)
	for _, t := range thresholds {
		m, _ := Lookup(t.Metric)
		span := ""
		if t.Least != 0 || t.Most != 0 {
			span = m.Format(t.Least) + " to " + m.Format(t.Most)
		}
		fmt.Fprintf(&b, "| %d | `%s` | %s | %v | %s | %s |\n", t.Metric, m.Name, t.what(m), t.Stay, span, t.Source)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
