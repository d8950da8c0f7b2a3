package storage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"livebox-agent/agent/consent"
	"livebox-agent/agent/detect"
	"livebox-agent/agent/kept"
	"livebox-agent/agent/rollcall"
	"livebox-agent/collector/catalogue"
	"livebox-agent/testbench/faultdisk"
)

// A learntPromise is that a file of what was learnt has, from done on, what was
// written, and from began on may have it; done is never where that failed.
type learntPromise struct {
	began, done int
	file        string
	// has says what is there of the purposes that are granted.
	has func(consent.Set) string
	// traces of purposes are in the file.
	traces map[catalogue.Purpose]string
}

// A clearance is that, from done on, no trace is left of purposes that are not
// granted of what was learnt before: so many promises.
type clearance struct {
	done    int
	granted consent.Set
	learnt  int
}

// usualText is what of all is granted, for comparison.
func usualText(all []detect.Baseline, granted consent.Set) string {
	return fmt.Sprint(slices.DeleteFunc(slices.Clone(all), func(b detect.Baseline) bool {
		m, _ := catalogue.Lookup(b.Metric)
		return !granted.Has(m.Purpose)
	}))
}

// recall reads what was learnt before, as an agent does when it starts.
// Where leftovers could be swept and the rest written, no trace is left of what
// is not granted.
func (b *box) recall(granted consent.Set, swept bool) {
	b.usual, b.links = kept.Usual(b.root), kept.Links(b.root)
	usual, err := kept.RecallUsual(b.usual, granted.Has)
	if err == nil && swept {
		b.log.cleared = append(b.log.cleared, clearance{b.log.at(), granted, len(b.log.learnt)})
	}
	marks, _ := b.links.Read()
	b.recalled = map[string]string{"usual": usualText(usual, granted), "links": fmt.Sprint(marks)}
}

// learn keeps something new, as an agent does now and then.
func (b *box) learn() {
	traces := map[catalogue.Purpose]string{}
	var usual []detect.Baseline
	for p, metric := range map[catalogue.Purpose]catalogue.ID{
		catalogue.Essential: catalogue.LineDownAttenuation, catalogue.Personalised: catalogue.StationSignal,
	} {
		traces[p] = fmt.Sprintf("%x", b.random(8))
		usual = append(usual, detect.Baseline{Metric: metric, Instance: traces[p], Low: 1, Usual: 2, High: 3})
	}
	slices.SortFunc(usual, func(x, y detect.Baseline) int { return int(x.Metric) - int(y.Metric) })
	marks := []rollcall.Mark{{Metric: catalogue.PortCarrier, Instance: fmt.Sprintf("%x", b.random(8)), Value: 1}}
	note := func(file string, traces map[catalogue.Purpose]string, has func(consent.Set) string, write func() error) {
		l := learntPromise{began: b.log.at(), file: file, has: has, traces: traces}
		err := write()
		if l.done = b.log.at(); err != nil {
			l.done = never
		}
		b.log.learnt = append(b.log.learnt, l)
	}
	note("usual", traces, func(granted consent.Set) string { return usualText(usual, granted) },
		func() error { return b.usual.Write(usual) })
	note("links", nil, func(consent.Set) string { return fmt.Sprint(marks) },
		func() error { return b.links.Write(marks) })
}

// judgeLearnt checks that what was learnt is there: what was written last, or what
// was being written.
func (l *promises) judgeLearnt(v *Verdict, n int, b *box, granted consent.Set) {
	for file, got := range b.recalled {
		may := []string{fmt.Sprint([]int{})} // nothing
		for _, p := range l.learnt {
			switch {
			case p.file != file || p.began > n:
			case p.done <= n:
				may = []string{p.has(granted)}
			default:
				may = append(may, p.has(granted))
			}
		}
		if !slices.Contains(may, got) {
			v.problem("of %s there is %s; want one of %q", file, got, may)
		}
	}
}

// judgeWithdrawal starts once more, with less granted, and looks for what was
// learnt, or was being written, for the rest.
func (l *promises) judgeWithdrawal(v *Verdict, n int, dir string) {
	b := newBox(dir, smallConfig(), newPromises(func() int { return 0 }))
	b.kernel, b.now = 10, time20
	if err := errors.Join(b.start(fewPurposes), b.leave()); err != nil {
		v.problem("start after a withdrawal: %w", err)
	}
	left := faultdisk.Image{Files: map[string][]byte{}}
	entries, err := os.ReadDir(b.dir)
	for _, e := range entries {
		content, rerr := os.ReadFile(filepath.Join(b.dir, e.Name()))
		err = errors.Join(err, rerr)
		left.Files[e.Name()] = content
	}
	if err != nil {
		v.problem("look at what is left: %w", err)
	}
	began := len(l.learnt)
	for began > 0 && l.learnt[began-1].began > n {
		began--
	}
	l.noTrace(v, clearance{granted: fewPurposes, learnt: began}, left)
}

// judgeClearance looks for what was learnt for purposes that were withdrawn in
// every byte that is left.
func (l *promises) judgeClearance(v *Verdict, n int, left faultdisk.Image) {
	for _, c := range l.cleared {
		if c.done <= n {
			l.noTrace(v, c, left)
		}
	}
}

// noTrace looks for what c has cleared away.
func (l *promises) noTrace(v *Verdict, c clearance, left faultdisk.Image) {
	for _, p := range l.learnt[:c.learnt] {
		for purpose, trace := range p.traces {
			for name, content := range left.Files {
				if !c.granted.Has(purpose) && bytes.Contains(content, []byte(trace)) {
					v.problem("what was learnt for %v, which was withdrawn, is in %s", purpose, name)
				}
			}
		}
	}
}
