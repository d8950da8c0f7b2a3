package arch

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"livebox-agent/testbench/build"
)

// heavy lists the packages of the standard library that cost so much of the
// binary, or allow so much, that linking one is a decision.
func heavy() []string {
	return []string{
		"archive/tar", "archive/zip", "compress/bzip2", "compress/flate", "compress/gzip", "compress/zlib",
		"crypto/tls", "crypto/x509", "database/sql", "encoding/gob", "encoding/json", "encoding/xml", "expvar",
		"flag", "go/ast", "go/parser", "html/template", "image", "log", "log/slog", "math/big", "math/rand",
		"mime/multipart", "net", "net/http", "net/http/pprof", "net/rpc", "os/exec", "os/user", "plugin",
		"regexp", "runtime/pprof", "runtime/trace", "testing", "text/template",
	}
}

// Linked returns the modules and the heavy packages of the standard library
// that are linked into the release of the agent for any of its targets.
func Linked(ctx context.Context, root string) ([]string, error) {
	seen := map[string]bool{}
	modules, err := build.Modules(ctx, root)
	if err != nil {
		return nil, err
	}
	args := slices.Concat([]string{"list", "-deps"}, modules, []string{
		"-f", "{{with .Module}}{{if not .Main}}{{.Path}}{{end}}{{else}}{{.ImportPath}}{{end}}", build.AgentPackage,
	})
	for _, target := range build.Targets() {
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir, cmd.Env = root, target.Environ()
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("list what is linked for %s: %w", target.Name, err)
		}
		for name := range strings.FieldsSeq(string(out)) {
			if isModule(name) || slices.Contains(heavy(), name) {
				seen[name] = true
			}
		}
	}
	linked := make([]string, 0, len(seen))
	for name := range seen {
		linked = append(linked, name)
	}
	slices.Sort(linked)
	return linked, nil
}
