package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestDetectors(t *testing.T) {
	var out, errs bytes.Buffer
	e := env{stdout: &out, stderr: &errs, getenv: func(string) string { return "" }}
	if code := run(t.Context(), e, []string{"detectors", "--homes", "1", "--days", "1", "--tries", "1"}); code != exitOK {
		t.Fatalf("exit status %d: %s", code, errs.String())
	}
	for _, want := range []string{"| step of attenuation |", "| coverage |", "| median delay |", "1 homes (seeds 1 to 1) for 1 days"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in the output:\n%s", want, out.String())
		}
	}
	if code := run(t.Context(), e, []string{"detectors", "--days", "0"}); code != exitUsage || !strings.Contains(errs.String(), "--days 0: want 1 to 100000") {
		t.Errorf("no days at all: exit status %d, %s", code, errs.String())
	}
}
