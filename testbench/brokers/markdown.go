package brokers

import (
	"fmt"
	"io"
	"strings"
)

// heading opens BROKERS.md.
const heading = `# What brokers guarantee, and what the agent does about it

Measured by ` + "`make brokers`" + `, which runs each broker as a process with the configuration and rules in
[broker/shipped](broker/shipped), a CEM that knows no more than MQTT, and the agent's own buffer and uplink; it fails
where the agent loses a report, the CEM counts one twice, or a box reaches what is another's. ` + "`make brokers-table`" + `
writes this file anew. Rows marked * are a matter of timing; the table is not held to them.

NATS is the embedded server with JetStream, synced at each message; Mosquitto and RabbitMQ (with its MQTT plug-in) are
Debian's; mochi-mqtt runs as it comes, in memory: the stores of version 2.7.9 keep no packet identifiers, and a session
for which messages waited cannot connect again after a restart.

`

// WriteTable writes the results as a table in Markdown.
func WriteTable(w io.Writer, r Results) error {
	var b strings.Builder
	b.WriteString(heading)
	var kinds []Kind
	for _, k := range Kinds() {
		if r[k] != nil {
			kinds = append(kinds, k)
		}
	}
	b.WriteString("| what |")
	for _, k := range kinds {
		fmt.Fprintf(&b, " %s |", k)
	}
	b.WriteString(" the agent |\n|---|" + strings.Repeat("---|", len(kinds)) + "---|\n")
	for i, p := range Properties() {
		star := ""
		if p.Varies {
			star = " *"
		}
		fmt.Fprintf(&b, "| %s%s |", p.Name, star)
		for _, k := range kinds {
			text := "not reached"
			if i < len(r[k]) {
				text = r[k][i].Text
				if r[k][i].Err != nil {
					text = "FAILED"
				}
			}
			fmt.Fprintf(&b, " %s |", text)
		}
		fmt.Fprintf(&b, " %s |\n", p.Agent)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Compare says where a table in Markdown tells something else than the results,
// of the brokers that there are results of, but for the rows that vary.
func Compare(table string, r Results) []string {
	rows := make(map[string][]string)
	var columns []string
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if columns == nil {
			columns = cells
			continue
		}
		rows[strings.TrimSuffix(cells[0], " *")] = cells
	}
	var found []string
	for _, k := range Kinds() {
		if r[k] == nil {
			continue
		}
		at := -1
		for i, c := range columns {
			if c == string(k) {
				at = i
			}
		}
		for i, p := range Properties() {
			row := rows[p.Name]
			switch {
			case at < 0 || len(row) <= at:
				found = append(found, fmt.Sprintf("%s: %s: not in the table", k, p.Name))
			case i >= len(r[k]):
				found = append(found, fmt.Sprintf("%s: %s: not measured", k, p.Name))
			case !p.Varies && row[at] != r[k][i].Text:
				found = append(found, fmt.Sprintf("%s: %s: measured %q, the table says %q", k, p.Name, r[k][i].Text, row[at]))
			}
		}
	}
	return found
}
