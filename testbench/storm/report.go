package storm

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"livebox-agent/testbench/chart"
	"livebox-agent/testbench/table"
)

// Study runs the cases one after the other and writes a table of each to w as
// it is done, and the pictures into dir, which is made where it is missing;
// without dir there are none.
func Study(ctx context.Context, w io.Writer, dir string, cases []Case) error {
	if dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, c := range cases {
		if err := ctx.Err(); err != nil {
			return err
		}
		results := c.Run()
		if _, err := io.WriteString(w, c.table(results)); err != nil {
			return err
		}
		if dir == "" || !c.Pictures {
			continue
		}
		for _, p := range c.pictures(results) {
			if err := os.WriteFile(filepath.Join(dir, p.file), p.chart.SVG(), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// table is the case in Markdown.
func (c Case) table(results []*Result) string {
	var b strings.Builder
	sc := c.Scenario
	fmt.Fprintf(&b, "### %s\n\n%s boxes, a broker of %s connects a second", c.Title,
		table.Group(uint64(sc.Boxes)), table.Group(uint64(sc.Broker.Rate)))
	if sc.Broker.Down > 0 {
		fmt.Fprintf(&b, ", dead for %s", span(sc.Broker.Down))
	}
	fmt.Fprintf(&b, "; at best all are back in %s. Seed %d, %s simulated.\n\n",
		span(time.Duration(float64(sc.Boxes)/sc.Broker.Rate*float64(time.Second))), sc.Seed, span(sc.Horizon))
	b.WriteString("| policy | most tries in a second | over capacity | while dead | refusing | 50 % back | 99 % back | last back | tries per box: mean, p50, p99, most | Gini of the wait | not back |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range results {
		f := r.Figures()
		fmt.Fprintf(&b, "| %s | %s | %.1f × | %s | %d s | %s | %s | %s | %.1f, %d, %d, %d | %.2f | %s |\n",
			r.Policy, table.Group(uint64(f.Peak)), float64(f.Peak)/sc.Broker.Rate, table.Group(uint64(f.PeakDown)), f.Busy,
			span(f.Half), span(f.Most), span(f.All),
			float64(f.Attempts)/float64(f.Boxes), f.TriesHalf, f.TriesMost, f.TriesAll, f.Gini, table.Group(uint64(f.Never)))
	}
	b.WriteString("\n")
	return b.String()
}

// span writes a time as a person says it; 0 is never.
func span(d time.Duration) string {
	switch {
	case d == 0:
		return "never"
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.1f min", d.Minutes())
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}

type picture struct {
	file  string
	chart chart.Chart
}

// columns is how many points a curve has at most.
const columns = 240

// pictures are the attempts of each second and the share of the boxes that are
// back, over time.
func (c Case) pictures(results []*Result) []picture {
	sc := c.Scenario
	from := max(0, sc.Broker.Down-10*time.Minute)
	tries := chart.Chart{
		Title: c.Title + ": attempts to connect", X: axis(from), Y: "attempts in a second (the most of each point)", LogY: true,
		Marks: []chart.Mark{{Name: "the broker's capacity", Y: sc.Broker.Rate}},
	}
	back := chart.Chart{Title: c.Title + ": who is back", X: axis(from), Y: "% of the boxes"}
	for _, r := range results {
		tries.Curves = append(tries.Curves, chart.Curve{Name: r.Policy, Points: r.tryCurve(from)})
		back.Curves = append(back.Curves, chart.Curve{Name: r.Policy, Points: r.backCurve(from)})
	}
	return []picture{{c.Name + "-attempts.svg", tries}, {c.Name + "-back.svg", back}}
}

func axis(from time.Duration) string {
	if from == 0 {
		return "minutes"
	}
	return fmt.Sprintf("minutes, from %s on", span(from))
}

// tryCurve is the most attempts in a second of each point, from a time on for
// at most an hour.
func (r *Result) tryCurve(from time.Duration) []chart.Point {
	return r.curve(from, func(first, last int) float64 {
		most := int32(0)
		for _, n := range r.offered[first:last] {
			most = max(most, n)
		}
		return float64(most)
	})
}

// backCurve is the percentage of the boxes that are back.
func (r *Result) backCurve(from time.Duration) []chart.Point {
	sum, next := int64(0), 0
	return r.curve(from, func(_, last int) float64 {
		for ; next < last; next++ {
			sum += int64(r.back[next])
		}
		return 100 * float64(sum) / float64(r.Scenario.Boxes)
	})
}

// curve asks of for each point, which stands for the seconds from first to
// before last.
func (r *Result) curve(from time.Duration, of func(first, last int) float64) []chart.Point {
	begin := int(from / time.Second)
	end := min(len(r.offered), begin+int(time.Hour/time.Second))
	wide := max(1, (end-begin+columns-1)/columns)
	var points []chart.Point
	for first := begin; first < end; first += wide {
		last := min(first+wide, end)
		points = append(points, chart.Point{X: float64(first-begin) / 60, Y: of(first, last)})
	}
	return points
}
