package suite

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// A Tool is a program that some tests need and that a machine with only Go and
// make may not have.
type Tool struct {
	Name string
	// Debian names the packages that bring it.
	Debian []string
	// For says what is not tested without it.
	For string
	// Probe returns why the tool does not work here, or nil.
	Probe func(context.Context) error
}

// Tools lists what the tests use beside Go.
func Tools() []Tool {
	return []Tool{
		{"cc", []string{"gcc", "libc6-dev"}, "the race detector", compiles},
		{"qemu-arm-static", []string{"qemu-user-static"}, "the agent on ARM", starts("qemu-arm-static", "--version")},
		{"qemu-mips-static", []string{"qemu-user-static"}, "the agent on MIPS, big endian", starts("qemu-mips-static", "--version")},
		{"qemu-mipsel-static", []string{"qemu-user-static"}, "the agent on MIPS, little endian", starts("qemu-mipsel-static", "--version")},
		{"python3", []string{"python3"}, "the decoder in a second language", starts("python3", "--version")},
		{"protoc", []string{"protobuf-compiler"}, "that the generated code is of telemetry.proto", starts("protoc", "--version")},
		{"mosquitto", []string{"mosquitto"}, "delivery over a real Mosquitto", installed("mosquitto", "/usr/sbin/mosquitto")},
		{"ip", []string{"iproute2"}, "lines that lose packets", starts("ip", "-Version")},
		{"nft", []string{"nftables"}, "lines that lose packets", installed("nft", "/usr/sbin/nft")},
		{"xz", []string{"xz-utils"}, "the size in a firmware image", starts("xz", "--version")},
	}
}

// starts returns a probe that runs a program.
func starts(name string, args ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		return exec.CommandContext(ctx, name, args...).Run()
	}
}

// installed returns a probe that looks for a program by its names.
func installed(names ...string) func(context.Context) error {
	return func(context.Context) error {
		err := error(nil)
		for _, name := range names {
			if _, err = exec.LookPath(name); err == nil {
				return nil
			}
		}
		return err
	}
}

// compiles checks that cgo has a C compiler and the C library's headers.
func compiles(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "go", "env", "CC").Output()
	if err != nil {
		return fmt.Errorf("go env CC: %w", err)
	}
	args := append(strings.Fields(string(out)), "-x", "c", "-", "-o", os.DevNull)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdin = strings.NewReader("#include <pthread.h>\nint main(void) { return 0; }\n")
	return cmd.Run()
}

// A Machine is where the tests run, as far as installing tools goes.
type Machine struct {
	// Root and Debian together let the suite install what is missing.
	Root, Debian bool
	// CI makes a missing tool a failure.
	CI bool
	// Install installs Debian packages.
	Install func(ctx context.Context, packages []string) error
}

// ThisMachine describes the machine that the process runs on. Output of the
// package manager goes to w.
func ThisMachine(w io.Writer) Machine {
	_, noDebian := os.Stat("/etc/debian_version")
	_, noApt := exec.LookPath("apt-get")
	return Machine{
		Root: os.Geteuid() == 0, Debian: noDebian == nil && noApt == nil,
		CI: os.Getenv("CI") == "true",
		Install: func(ctx context.Context, packages []string) error {
			return aptGet(ctx, w, packages)
		},
	}
}

func aptGet(ctx context.Context, w io.Writer, packages []string) error {
	for _, args := range [][]string{
		{"update", "-qq"},
		append([]string{"install", "-qq", "-y", "--no-install-recommends"}, packages...),
	} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			fmt.Fprintf(w, "%s", out)
			return fmt.Errorf("apt-get %s: %w", args[0], err)
		}
	}
	return nil
}

// provide finds the tools, installs what is missing where it may, says what it
// did, and returns why each tool that is still missing is.
func provide(ctx context.Context, w io.Writer, m Machine, tools []Tool) map[string]string {
	missing := probe(ctx, tools)
	if len(missing) == 0 {
		return missing
	}
	var packages []string
	for _, t := range tools {
		if _, ok := missing[t.Name]; ok {
			packages = append(packages, t.Debian...)
		}
	}
	slices.Sort(packages)
	packages = slices.Compact(packages)
	list := strings.Join(packages, " ")
	if !m.Root || !m.Debian {
		fmt.Fprintf(w, "Not installed: %s.\nOn Debian, as root: apt-get install %s\n\n",
			strings.Join(slices.Sorted(maps.Keys(missing)), ", "), list)
		return missing
	}
	fmt.Fprintf(w, "Installing Debian packages (running as root on Debian): %s\n\n", list)
	if err := m.Install(ctx, packages); err != nil {
		fmt.Fprintf(w, "Not installed: %v\n\n", err)
	}
	return probe(ctx, tools)
}

func probe(ctx context.Context, tools []Tool) map[string]string {
	missing := map[string]string{}
	for _, t := range tools {
		if err := t.Probe(ctx); err != nil {
			missing[t.Name] = fmt.Sprintf("%s does not work here (%v): %s not tested; Debian: %s",
				t.Name, err, t.For, strings.Join(t.Debian, " "))
		}
	}
	return missing
}
