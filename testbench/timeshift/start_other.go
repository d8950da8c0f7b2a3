//go:build !amd64

package timeshift

import (
	"fmt"
	"os/exec"
	"runtime"
)

// Supported says whether programs can be run on other clocks here.
const Supported = false

// Start starts cmd on these clocks.
func Start(*exec.Cmd, *Clocks) error {
	return fmt.Errorf("no clocks of its own for a program on %s", runtime.GOARCH)
}
