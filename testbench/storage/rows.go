package storage

import (
	"context"
	"fmt"
	"time"

	"livebox-agent/testbench/fault"
	"livebox-agent/testbench/faultdisk"
)

// Trials are what this package has for the table of faults.
func Trials() []fault.Trial {
	return []fault.Trial{
		{Name: "cuts", Run: cutRows},
		{Name: "failing", Run: failRows},
		{Name: "full", Run: fullRows},
		{Name: "damage", Run: damageRows},
		{Name: "limits", Run: limitRows},
		{Name: "outage", Run: outageRows},
	}
}

func cutRows(context.Context, fault.Lab) (rows []fault.Row, err error) {
	for _, w := range workloads() {
		log, trace, err := recorded(w)
		if err != nil {
			return rows, err
		}
		c, err := log.cutFrom(0, trace, 20)
		if err != nil {
			return rows, err
		}
		rows = append(rows, fault.Row{
			Fault: "power cut after each operation: " + w.name, Trials: c.Left, Lost: c.Lost, Duplicated: c.Duplicated,
			FlashBytes: trace.Written(), Note: fmt.Sprintf("%d operations, %d writes, %d syncs", c.Operations, c.Writes, c.Syncs),
		})
		if err := c.err(); err != nil {
			return rows, err
		}
	}
	log, trace, err := recorded(workloads()[0])
	if err != nil {
		return rows, err
	}
	lie, err := log.cutFrom(0, trace.Lying(0, true, true), 20)
	if err == nil && len(lie.Problems) == 0 {
		err = fmt.Errorf("a disk that lies about syncs was not found out in %d states", lie.Left)
	}
	return rows, err
}

func failRows(_ context.Context, lab fault.Lab) (rows []fault.Row, err error) {
	d, err := faultdisk.New()
	if err != nil {
		return nil, err
	}
	defer d.Close()
	all := failings()
	if lab.Long {
		all = append(all, longFailings()...)
	}
	for _, f := range all {
		got, err := failEach(d, f)
		if err != nil {
			return rows, err
		}
		rows = append(rows, fault.Row{
			Fault: f.name, Trials: got.Runs, Lost: got.Lost, Duplicated: got.Duplicated,
			Recovered: got.Recovered, Virtual: true, FlashBytes: got.Written,
			Note: fmt.Sprintf("and %d states after a power cut", got.Left),
		})
		if err := got.err(); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

func damageRows(context.Context, fault.Lab) ([]fault.Row, error) {
	d, err := damageAll()
	if err != nil {
		return nil, err
	}
	return []fault.Row{{
		Fault: "store damaged: each page, cut off, foreign", Trials: d.Stores, Lost: d.Lost, Duplicated: d.Duplicated, Recovered: d.Slowest,
		Note: fmt.Sprintf("of %d reports %d salvaged, %d told as lost, %d of stores that nobody can read, %d with the last commit, %d unnoticed; %d sections gone from others",
			d.Reports, d.Salvaged, d.Told, d.Unknown, d.Recent, d.Unnoticed, d.Reduced),
	}}, d.err()
}

func limitRows(context.Context, fault.Lab) (rows []fault.Row, err error) {
	for _, s := range shortages() {
		r, err := runShort(s)
		if err != nil {
			return rows, err
		}
		rows = append(rows, fault.Row{Fault: s.name, Trials: r.Made, Lost: r.Lost, Duplicated: r.Duplicated, FlashBytes: r.FlashBytes, Note: r.String()})
		if err := r.err(); err != nil {
			return rows, err
		}
	}
	return rows, nil
}

func outageRows(ctx context.Context, _ fault.Lab) ([]fault.Row, error) {
	o, err := outageApart(ctx, 72*time.Hour)
	if err != nil {
		return nil, err
	}
	return []fault.Row{{
		Fault: "72 h without the backend, defaults", Trials: o.Made + o.Events, Lost: o.Made + o.Events - o.Kept - o.KeptEvents,
		Recovered: o.Drained, Virtual: true, FlashBytes: o.FlashBytes,
		Note: fmt.Sprintf("%d of %d windows, %d with columns, %d of %d events; %d bytes sent at the capped rate, window %d first, then from the oldest; %d came twice",
			o.Kept, o.Made, len(o.Whole), o.KeptEvents, o.Events, o.Bytes, o.Windows[0], o.Twice),
	}}, nil
}
