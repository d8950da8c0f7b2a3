package budget

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

const (
	// maxEvidence is how long a dying box may need for its evidence.
	maxEvidence = 50.0 // ms
	// evidences is how many pieces of evidence are timed.
	evidences = 200
)

// evidence runs the agent's benchmark of the time from a watcher's notice to the
// end of the durable commit.
func evidence(ctx context.Context, root string) ([]Row, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkEvidenceToFlash$",
		"-benchtime", strconv.Itoa(evidences)+"x", "./agent")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("measure evidence: %w\n%s", err, out)
	}
	median, err := metric(string(out), "ms_median")
	if err != nil {
		return nil, err
	}
	worst, err := metric(string(out), "ms_p99")
	if err != nil {
		return nil, err
	}
	return []Row{goal("evidence on flash, from a watcher's notice", "ms", median, maxEvidence,
		fmt.Sprintf("median of %d on the file system of the temporary directory, 99 %% within %s ms", evidences, number(worst)))}, nil
}

// metric returns what a benchmark reported under a name.
func metric(out, name string) (float64, error) {
	words := strings.Fields(out)
	for i, w := range words {
		if w == name && i > 0 {
			v, err := strconv.ParseFloat(words[i-1], 64)
			if err != nil {
				return 0, fmt.Errorf("benchmark's %s: %w", name, err)
			}
			return v, nil
		}
	}
	return 0, fmt.Errorf("benchmark said no %s:\n%s", name, out)
}
