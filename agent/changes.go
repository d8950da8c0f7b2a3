package agent

import (
	"context"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/sysbus"
	"livebox-agent/collector/sample"
)

// changes is the watcher that has sources asked when a Livebox tells that its
// connection changed. What it is now, they see: the bodies of such events are
// documented nowhere.
type changes struct {
	box    *sysbus.Client
	hasten func(names ...string)
}

func (changes) Watch() collector.Watch {
	return collector.Watch{Name: "changes", Purpose: catalogue.Essential}
}

func (c changes) Run(ctx context.Context, _ func(sample.Sign)) error {
	return c.box.Events(ctx, []string{"NMC"}, func(sysbus.Event) { c.hasten("line", "optics", "wan") })
}
