package budget

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"livebox-agent/testbench/arch"
	"livebox-agent/testbench/build"
)

// Budgets of a binary in MB: ARM code is denser than MIPS code.
const (
	maxBinaryARM  = 7.5
	maxBinaryMIPS = 8.5
	maxPacked     = 2.2
)

const mega = 1e6

// binaries builds the agent for the processors of the boxes and measures what
// each takes on flash.
func binaries(ctx context.Context, root, scratch string) ([]Row, error) {
	var rows []Row
	for _, t := range build.Targets() {
		limit := maxBinaryARM
		switch {
		case t.Name == "amd64":
			continue // the lab's processor, no box's
		case strings.HasPrefix(t.Name, "mips"):
			limit = maxBinaryMIPS
		}
		path := filepath.Join(scratch, t.File())
		if err := build.Agent(ctx, root, t, path); err != nil {
			return nil, err
		}
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("measure binary: %w", err)
		}
		rows = append(rows, measured("binary "+t.Name, "MB", float64(info.Size())/mega, limit, "stripped, static"))
		name := "binary " + t.Name + ", packed"
		switch n, err := build.Compressed(ctx, path); {
		case errors.Is(err, build.ErrNoXZ):
			rows = append(rows, unmeasured(name, "MB", maxPacked, err.Error()))
		case err != nil:
			return nil, err
		default:
			rows = append(rows, measured(name, "MB", float64(n)/mega, maxPacked, "xz -9"))
		}
	}
	return rows, nil
}

// modules counts what is linked; testbench/arch/modules.txt has the reason of
// each, and its test refuses what has none.
func modules(ctx context.Context, root string) ([]Row, error) {
	linked, err := arch.Linked(ctx, root)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(root, "testbench/arch/modules.txt"))
	if err != nil {
		return nil, fmt.Errorf("reasons of modules: %w", err)
	}
	reasons, err := arch.ParseList("modules.txt", text)
	if err != nil {
		return nil, err
	}
	var others []string
	without := 0
	for _, name := range linked {
		if first, _, _ := strings.Cut(name, "/"); strings.Contains(first, ".") {
			others = append(others, name)
		}
		if _, ok := reasons[name]; !ok {
			without++
		}
	}
	return []Row{
		informative("modules linked", "", float64(len(others)), strings.Join(others, " ")),
		measured("linked without a reason", "", float64(without), 0, "modules and heavy standard packages against testbench/arch/modules.txt"),
	}, nil
}
