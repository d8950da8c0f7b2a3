package build

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestAgentRunsInALittleAddressSpace runs the agent where the kernel refuses
// it more than so much virtual memory. agent/README.md says where the limits
// come from.
func TestAgentRunsInALittleAddressSpace(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	version, err := Version(root)
	if err != nil {
		t.Fatal(err)
	}
	targets := []struct {
		Target
		mib int // what init scripts may allow at the least
	}{{Host(), 1024}}
	if runtime.GOARCH == "amd64" {
		// The same kernel runs it, with the runtime's 32-bit layout that the
		// boxes have.
		targets = append(targets, struct {
			Target
			mib int
		}{Target{"386", []string{"GOARCH=386", "GO386=softfloat"}}, 96})
	}
	for _, target := range targets {
		t.Run(target.Name, func(t *testing.T) {
			agent := filepath.Join(t.TempDir(), target.File())
			if err := Agent(t.Context(), root, target.Target, agent); err != nil {
				t.Fatal(err)
			}
			if got, err := limited(t, target.mib, agent, "version"); err != nil || !strings.Contains(got, version) {
				t.Errorf("version in %d MiB: %v\n%s", target.mib, err, got)
			}
			if got, err := limited(t, target.mib, agent, "sample", "--once"); err != nil || !strings.Contains(got, "SOURCE") {
				t.Errorf("sample in %d MiB: %v\n%s", target.mib, err, got)
			}
			// The limit holds, or the test says nothing.
			if got, err := limited(t, 16, agent, "version"); err == nil {
				t.Errorf("runs in 16 MiB: is the limit in force?\n%s", got)
			}
		})
	}
}

// limited runs a program with a limit of its address space in MiB.
func limited(t *testing.T, mib int, program string, args ...string) (string, error) {
	t.Helper()
	script := fmt.Sprintf(`ulimit -v %d && exec "$0" "$@"`, mib<<10)
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{"-c", script, program}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}
