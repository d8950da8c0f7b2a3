package kill

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"livebox-agent/testbench/fault"
)

// Trials are what this package has for the table of faults.
func Trials() []fault.Trial { return []fault.Trial{{Name: "kill", Run: rows}} }

// rows kills 200 times, or 2 000 times where there is time.
func rows(ctx context.Context, lab fault.Lab) ([]fault.Row, error) {
	binary, err := lab.Agent()
	if err != nil {
		return nil, err
	}
	kills := 200
	if lab.Long {
		kills = 2000
	}
	r, err := Run(ctx, Config{
		Binary: binary, Dir: filepath.Join(lab.Dir, "kill"), Kills: kills, Together: 4, Seed: lab.Seed, Log: lab.Log,
	})
	if err != nil {
		return nil, err
	}
	gap := r.Uncovered / time.Duration(max(r.Measured, 1))
	return []fault.Row{{
		Fault: "kill -9 of the agent, and of broker and CEM", Trials: r.Kills, Lost: r.Lost, Duplicated: r.Duplicated,
		Recovered: r.Recovered, FlashBytes: r.FlashBytes,
		Note: fmt.Sprintf("%d kills of the operator, %d durable reports, %d sent again and dropped by the CEM; a kill cost %v of window time, the longest %v",
			r.OperatorKills, r.Durable, r.SentAgain, gap.Round(time.Millisecond), r.Longest.Round(time.Millisecond)),
	}}, nil
}
