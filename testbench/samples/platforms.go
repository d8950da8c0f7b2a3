package samples

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/netdev"
	"livebox-agent/collector/optics"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/probe"
	"livebox-agent/collector/sensors"
	"livebox-agent/collector/surge"
	"livebox-agent/collector/vitals"
	"livebox-agent/collector/wifi"
)

// Columns of the table, in their order.
const (
	columnSysbus = iota
	columnOpenWrt
	columnPrplOS
	columnKernel
	numColumns
)

// columnNames are the heads of the columns.
func columnNames() [numColumns]string {
	return [numColumns]string{"sysbus", "OpenWrt ubus", "prplOS data model", "kernel"}
}

// A Row says from where each platform gives one metric.
type Row struct {
	Metric catalogue.Metric
	// From has the names of the decoders, or of the sources of the kernel, of
	// each column.
	From [numColumns][]string
}

// Given says whether any platform gives the metric.
func (r Row) Given() bool {
	return slices.ContainsFunc(r.From[:], func(l []string) bool { return len(l) > 0 })
}

// Platforms returns a row for every metric of the catalogue, in its order.
func Platforms() ([]Row, error) {
	given := map[catalogue.ID]*[numColumns][]string{}
	add := func(column int, name string, metrics []catalogue.ID) {
		for _, id := range metrics {
			if given[id] == nil {
				given[id] = new([numColumns][]string)
			}
			if l := &given[id][column]; !slices.Contains(*l, name) {
				*l = append(*l, name)
			}
		}
	}
	for _, d := range decoders() {
		add(column(d), d.Name, d.Metrics)
	}
	// What hostapd notifies of is no reply, and has no decoder.
	add(columnOpenWrt, "joins", []catalogue.ID{catalogue.RadioAssociationFailures})
	sources, err := kernelSources()
	if err != nil {
		return nil, err
	}
	for _, s := range sources {
		d := s.Describe()
		add(columnKernel, d.Name, slices.DeleteFunc(slices.Clone(d.Metrics), func(id catalogue.ID) bool {
			return slices.Contains(busOnly(), id)
		}))
	}
	rows := make([]Row, 0, len(catalogue.All()))
	for _, m := range catalogue.All() {
		r := Row{Metric: m}
		if from := given[m.ID]; from != nil {
			r.From = *from
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// column returns the column of a decoder. The objects of the data model are
// written with a capital; those of OpenWrt are not.
func column(d platform.Decoder) int {
	switch {
	case d.Platform == platform.Sysbus:
		return columnSysbus
	case d.Platform == platform.Kernel:
		return columnKernel
	case unicode.IsUpper(rune(d.Object[0])):
		return columnPrplOS
	}
	return columnOpenWrt
}

// kernelSources returns the sources that ask the kernel, none of which is
// asked here.
func kernelSources() ([]collector.Source, error) {
	active, err := probe.New(probe.DefaultConfig(), probe.Options{})
	if err != nil {
		return nil, err
	}
	return []collector.Source{
		vitals.NewSystem(""), vitals.NewLoad(""), sensors.New(""),
		sensors.NewAlarms("", nil), surge.NewRestarts(surge.Config{}), surge.NewKernel(surge.Config{}),
		surge.NewLightning(surge.Config{}), surge.NewProtection(surge.Config{}),
		netdev.NewPorts(netdev.Config{}), netdev.NewTraffic(netdev.Config{}),
		optics.New(optics.Config{}), wifi.NewRadios(wifi.Dial, nil), wifi.NewStations(wifi.Dial, func([6]byte) string { return "" }),
		active,
	}, nil
}

// busOnly are the metrics that a source with both ways describes, and the
// kernel's way does not have: what the network tells the modem of itself is
// in no module's memory (SFF-8472), and nl80211_sta_info has no noise.
func busOnly() []catalogue.ID {
	return []catalogue.ID{
		catalogue.OpticState, catalogue.OpticMode, catalogue.OpticDownRate, catalogue.OpticUpRate,
		catalogue.OpticRogueEvents, catalogue.StationNoise, catalogue.StationSNR,
		catalogue.Restarts, catalogue.WatchdogRestarts, catalogue.ColdRestarts, catalogue.WarmRestarts, catalogue.VersionRestarts,
	}
}

// WritePlatforms writes the table for a terminal.
func WritePlatforms(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	heads := columnNames()
	fmt.Fprintf(t, "METRIC\t%s\n", strings.ToUpper(strings.Join(heads[:], "\t")))
	var counts [numColumns]int
	for _, r := range rows {
		fmt.Fprint(t, r.Metric.Name)
		for i, l := range r.From {
			counts[i] += min(len(l), 1)
			fmt.Fprint(t, "\t", cell(l))
		}
		fmt.Fprintln(t)
	}
	fmt.Fprintf(t, "%d metrics", len(rows))
	for _, n := range counts {
		fmt.Fprintf(t, "\t%d", n)
	}
	fmt.Fprintln(t)
	return t.Flush()
}

// cell joins the names of one cell.
func cell(names []string) string {
	if len(names) == 0 {
		return "-"
	}
	return strings.Join(names, ", ")
}

// WritePlatformsMarkdown writes the table of the documentation, and what each
// decoder asks for.
func WritePlatformsMarkdown(w io.Writer, rows []Row) error {
	var b strings.Builder
	heads := columnNames()
	fmt.Fprintf(&b, `# Which platform gives which metric

Written by "testbench platforms --markdown"; the source is what the decoders
and the sources say of themselves. A cell names what reads the metric: a
decoder of the second table, or a source that asks the kernel. A Livebox is
asked by sysbus, then by the kernel; prplOS has the calls of OpenWrt too. What
a box gives of it depends on its generation, its line and its drivers; the
agent says it under "capabilities".

| name below Device. | unit | %s |
|---|---|%s
`, strings.Join(heads[:], " | "), strings.Repeat("---|", numColumns))
	for _, r := range rows {
		fmt.Fprintf(&b, "| `%s` | %s ", r.Metric.Name, r.Metric.Unit)
		for _, l := range r.From {
			fmt.Fprintf(&b, "| %s ", cell(l))
		}
		b.WriteString("|\n")
	}
	b.WriteString("\n## What the decoders read\n\n| decoder | platform | object | method | of |\n|---|---|---|---|---|\n")
	for _, d := range decoders() {
		fmt.Fprintf(&b, "| %s | %s | `%s` | `%s` | %s |\n", d.Name, heads[column(d)], d.Object, d.Method, d.Variant)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
