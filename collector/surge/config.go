package surge

import (
	"context"
	"time"

	"livebox-agent/collector/platform/kernel"
	"livebox-agent/collector/platform/tree"
)

// Sysbus asks a Livebox, as *sysbus.Client does.
type Sysbus interface {
	Call(ctx context.Context, object, method string, params any) (tree.Node, error)
}

// Model asks the data model of prplOS, as *ubus.Conn does.
type Model interface {
	Values(ctx context.Context, object, method string, params map[string]any) ([]tree.Node, error)
}

// A Config says where what is read is. The zero Config is the kernel that the
// program runs on, without a bus.
type Config struct {
	// Sys is where sysfs is mounted, Dev where the devices are; empty means
	// /sys and /dev.
	Sys, Dev string
	// Sysbus and Model are the box's software; nil is not there.
	Sysbus Sysbus
	Model  Model
	// Since is the time since boot before which messages of the kernel are
	// history: counted, not told.
	Since time.Duration
	// Protection are the names under which contacts of surge protection devices
	// are exported.
	Protection []string
	// Now gives the time since the kernel booted; nil: the kernel's.
	Now func() time.Duration
}

func (c Config) withDefaults() Config {
	if c.Sys == "" {
		c.Sys = "/sys"
	}
	if c.Dev == "" {
		c.Dev = "/dev"
	}
	if c.Now == nil {
		c.Now = kernel.SinceBoot
	}
	return c
}
