package samples

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// A Result says what came of a file.
type Result string

// The results. Nothing and Unreadable are failures.
const (
	// Read: it gave metrics.
	Read Result = "read"
	// Nothing: it has decoders and holds values, and gave no metric.
	Nothing Result = "NOTHING"
	// Unreadable: it is no reply at all.
	Unreadable Result = "UNREADABLE"
	// Empty: it has decoders, and no value that they could read.
	Empty Result = "empty reply"
	// Refusal: the box answered with an error.
	Refusal Result = "error reply"
	// Shape: no capture, only the names in it are real.
	Shape Result = "shape"
	// Other: the agent uses it otherwise than for metrics.
	Other Result = "other use"
	// NoDecoder: the agent does not read it.
	NoDecoder Result = "no decoder"
)

// results in the order in which they are counted.
func results() []Result {
	return []Result{Read, Refusal, Empty, Shape, Other, NoDecoder, Nothing, Unreadable}
}

// failed says whether r is a failure.
func (r Result) failed() bool { return r == Nothing || r == Unreadable }

// A Count is what one decoder found in a file.
type Count struct {
	Decoder  string
	Readings int
}

// A File is one file of a folder.
type File struct {
	// Name is that of the file, without its folder.
	Name string
	// Box is the one that the name tells; empty if it tells none.
	Box      string
	Result   Result
	Decoders []Count
	// Readings are those of all decoders.
	Readings []sample.Reading
	// Remark says more of the result: the errors, or what else it is for.
	Remark string
}

// Metrics is the number of different metrics among the readings.
func (f File) Metrics() int {
	different := map[catalogue.ID]bool{}
	for _, r := range f.Readings {
		different[r.Metric] = true
	}
	return len(different)
}

// Folder reads every file of dir whose name ends in ".json", in the order of
// their names. The error says that there is none, or that dir cannot be read.
func Folder(dir string) ([]File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []File
	for _, e := range entries {
		if strings.EqualFold(filepath.Ext(e.Name()), ".json") {
			files = append(files, judge(root, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no file in %s has a name that ends in .json", dir)
	}
	return files, nil
}

// judge reads one file.
func judge(root *os.Root, name string) File {
	f := File{Name: name}
	stem := name[:len(name)-len(".json")]
	n, err := load(root, name)
	if err != nil {
		calls := callsOf(stem)
		if len(calls) > 0 {
			f.Box = calls[0].box
		}
		f.Result, f.Remark = Unreadable, err.Error()
		return f
	}
	failure := refusal(n)
	n = unwrap(n)
	if failure == "" {
		failure = refusal(n)
	}
	switch {
	case strings.HasPrefix(stem, "shape-"):
		f.Result = Shape
	case strings.HasPrefix(stem, "sysbus-error-") && failure == "":
		f.Result, f.Remark = Nothing, "no error of the bus in it"
	case strings.HasPrefix(stem, "sysbus-error-"):
		f.Result, f.Remark = Refusal, failure
	default:
		f.decode(stem, n, failure)
	}
	return f
}

// decode has the reply read by its decoders.
func (f *File) decode(stem string, n tree.Node, failure string) {
	calls := callsOf(stem)
	if len(calls) == 0 {
		f.Result, f.Remark = NoDecoder, "the name is not of the pattern platform-box-Object.method"
		return
	}
	c := calls[0]
	if i := slices.IndexFunc(calls, func(c call) bool { l, _ := find(c); return len(l) > 0 || otherUse(c) != "" }); i >= 0 {
		c = calls[i]
	}
	f.Box = c.box
	if failure != "" {
		f.Result, f.Remark = Refusal, failure
		return
	}
	list, sure := find(c)
	errs := f.ask(list, n, platform.Hint{Box: generation(c.box)}, sure)
	f.Remark = strings.Join(errs, "; ")
	switch use := otherUse(c); {
	case len(f.Readings) > 0:
		f.Result = Read
	case use != "":
		f.Result, f.Remark = Other, use
		if class, ok := n.Get("status", "ProductClass").Text(); ok {
			f.Remark += ", " + class
		}
	case !sure:
		f.Result, f.Remark = NoDecoder, "the agent does not read "+c.key()
	case !slices.ContainsFunc(list, func(d platform.Decoder) bool { return holdsFor(d, n) }):
		f.Result, f.Remark = Empty, "nothing in it"
	default:
		f.Result = Nothing
	}
}

// holdsFor says whether n has a value where d looks.
func holdsFor(d platform.Decoder, n tree.Node) bool {
	if d.Method == "getMIBs" && n.Get("status").IsObject() {
		return holdsMIB(n, d.Variant)
	}
	if d.Name == "line.metrics" {
		// Vectoring's error report blocks (G.993.5) are no metric, and come
		// alone where only they were asked for.
		found := false
		n.Each(func(key string, part tree.Node) { found = found || key != "erb" && holds(part) })
		return found
	}
	return holds(n)
}

// ask has each decoder of list read n, and returns their errors. That one has
// nothing to say beside others is no error. Those that are not the reply's
// own for sure do not count unless they find something.
func (f *File) ask(list []platform.Decoder, n tree.Node, hint platform.Hint, sure bool) []string {
	var errs, none []string
	for _, d := range list {
		b := sample.Batch{}
		err := d.Decode(n, hint, &b)
		if len(b.Readings) == 0 && !sure {
			continue
		}
		f.Decoders = append(f.Decoders, Count{d.Name, len(b.Readings)})
		f.Readings = append(f.Readings, b.Readings...)
		switch {
		case errors.Is(err, collector.ErrNoData):
			none = append(none, d.Name+": "+err.Error())
		case err != nil:
			errs = append(errs, d.Name+": "+err.Error())
		}
		if i := slices.IndexFunc(b.Readings, func(r sample.Reading) bool { return !slices.Contains(d.Metrics, r.Metric) }); i >= 0 {
			errs = append(errs, fmt.Sprintf("%s: metric %d is not among its own", d.Name, b.Readings[i].Metric))
		}
	}
	if len(f.Readings) == 0 {
		errs = append(errs, none...)
	}
	return errs
}

// Print writes a row for each file and a last line that counts them. With
// values, each reading follows its file. The error says how many failed.
func Print(w io.Writer, files []File, values bool) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "FILE\tBOX\tMETRICS\tREADINGS\tRESULT\tDECODERS AND THEIR READINGS; ERRORS")
	counts, failed, readings := map[Result]int{}, 0, 0
	for _, f := range files {
		counts[f.Result]++
		readings += len(f.Readings)
		if f.Result.failed() {
			failed++
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\n", printable(f.Name), printable(f.Box), f.Metrics(), len(f.Readings), f.Result, f.detail())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if values {
		for _, f := range files {
			printReadings(w, f)
		}
	}
	var parts []string
	for _, r := range results() {
		if counts[r] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", counts[r], r))
		}
	}
	if _, err := fmt.Fprintf(w, "\n%d files, %d readings: %s\n", len(files), readings, strings.Join(parts, ", ")); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d files gave nothing or could not be read", failed, len(files))
	}
	return nil
}

// detail is the last column of a row.
func (f File) detail() string {
	var parts []string
	for _, c := range f.Decoders {
		parts = append(parts, fmt.Sprintf("%s %d", c.Decoder, c.Readings))
	}
	text := strings.Join(parts, ", ")
	if f.Remark != "" && text != "" {
		text += "; "
	}
	return text + printable(f.Remark)
}

// printReadings writes the readings of f.
func printReadings(w io.Writer, f File) {
	if len(f.Readings) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", printable(f.Name))
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, r := range f.Readings {
		name, value := fmt.Sprintf("metric %d", r.Metric), fmt.Sprint(r.Value)
		if m, ok := catalogue.Lookup(r.Metric); ok {
			name, value = m.Name, m.Format(r.Value)
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\n", name, printable(r.Instance), value)
	}
	_ = t.Flush()
}

// printable replaces what would steer a terminal or break a row: names and
// words are those of a folder that anybody may have filled.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
