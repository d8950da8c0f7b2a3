package budget

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"livebox-agent/agent"
	"livebox-agent/agent/config"
)

// maxHeap is the budget of live heap in MB: with Go's default of collecting at
// twice what is live, more would not fit into the budget of anonymous memory.
const maxHeap = 2.0

// heap runs the agent's library in a process of its own (the program self,
// which calls Heap) and returns the bytes that were live after a collection.
func heap(ctx context.Context, b *bench, self string) (int64, error) {
	cfg, err := b.box("heap", self, here())
	if err != nil {
		return 0, err
	}
	if err := cfg.Write(); err != nil {
		return 0, fmt.Errorf("measure heap: %w", err)
	}
	var out, log bytes.Buffer
	cmd := exec.CommandContext(ctx, self, "-heap", cfg.File())
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return 0, fmt.Errorf("measure heap: %w\n%s", err, tail(log.String(), 20))
	}
	n, err := strconv.ParseInt(strings.TrimSpace(out.String()), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("measure heap: %w", err)
	}
	return n, nil
}

// Heap runs the agent in this process with the configuration file until it has
// had reports acknowledged, and writes to w how many bytes of heap were live
// then that were not before.
func Heap(ctx context.Context, w io.Writer, file string) error {
	cfg, err := load(file)
	if err != nil {
		return err
	}
	before := reachable()
	a, err := agent.New(cfg, agent.Options{Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Version: "heap"})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	var ran error
	go func() {
		defer close(ended)
		ran = a.Run(ctx)
	}()
	err = awaitStart(ctx, cfg.Box.RunDir, ended)
	after := reachable()
	stop()
	<-ended
	switch {
	case err != nil:
		return err
	case ran != nil:
		return ran
	}
	_, err = fmt.Fprintln(w, int64(after)-int64(before))
	return err
}

// reachable returns how many bytes of the heap are reachable.
func reachable() uint64 {
	// The second collection frees what finalizers of the first let go.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// load reads the configuration as the agent does.
func load(file string) (config.Config, error) {
	var names []string
	for _, s := range agent.Sources(agent.Env{}) {
		names = append(names, s.Describe().Name)
	}
	return config.Load(file, names)
}
