package suite

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestCountLine(t *testing.T) {
	for want, c := range map[string]Counts{
		"3 passed, 0 failed":            {Passed: 3},
		"0 passed, 2 failed, 1 skipped": {Failed: 2, Skipped: 1},
	} {
		if got := c.String(); got != want {
			t.Errorf("%#v: %q, want %q", c, got, want)
		}
	}
}

// TestParentThatFailsByItselfCounts: a parent is counted where none of its
// subtests explains its failure.
func TestParentThatFailsByItselfCounts(t *testing.T) {
	for name, tt := range map[string]struct {
		stream string
		want   Counts
	}{
		"by its subtest": {`{"Action":"pass","Package":"p","Test":"T/a"}
{"Action":"fail","Package":"p","Test":"T/b"}
{"Action":"fail","Package":"p","Test":"T"}
{"Action":"fail","Package":"p"}`, Counts{Passed: 1, Failed: 1}},
		"by itself": {`{"Action":"pass","Package":"p","Test":"T/a"}
{"Action":"fail","Package":"p","Test":"T"}
{"Action":"fail","Package":"p"}`, Counts{Passed: 1, Failed: 1}},
		"a slash in the name of a subtest": {`{"Action":"run","Package":"p","Test":"T"}
{"Action":"pass","Package":"p","Test":"T/1/2"}
{"Action":"pass","Package":"p","Test":"T"}
{"Action":"pass","Package":"p"}`, Counts{Passed: 1}},
		"the stream ends before the test":    {`{"Action":"run","Package":"p","Test":"T"}`, Counts{Failed: 1}},
		"the stream ends before the package": {`{"Action":"pass","Package":"p","Test":"T"}`, Counts{Passed: 1, Failed: 1}},
		"a line that is no event": {"go: some warning\n" + `{"Action":"pass","Package":"p","Test":"T"}
{"Action":"pass","Package":"p"}`, Counts{Passed: 1}},
		"two packages with one test name": {`{"Action":"fail","Package":"p","Test":"T"}
{"Action":"pass","Package":"q","Test":"T"}
{"Action":"pass","Package":"q"}
{"Action":"fail","Package":"p"}`, Counts{Passed: 1, Failed: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			s := newTally(&out, "plain", "m/")
			if err := s.follow(strings.NewReader(tt.stream)); err != nil {
				t.Fatal(err)
			}
			s.end(nil)
			if s.counts != tt.want {
				t.Errorf("counts %v, want %v; output\n%s", s.counts, tt.want, &out)
			}
		})
	}
}

func TestFailedCommandWithoutFailedTestCountsOnce(t *testing.T) {
	s := newTally(t.Output(), "plain", "")
	s.end(errors.New("exit status 1"))
	if s.counts.Failed != 1 {
		t.Errorf("counts %v", s.counts)
	}
}

func TestLineThatIsTooLongIsAnError(t *testing.T) {
	s := newTally(t.Output(), "plain", "")
	if err := s.follow(strings.NewReader(strings.Repeat("x", maxLine+1))); err == nil {
		t.Error("no error")
	}
}

func TestReasonOfASkip(t *testing.T) {
	for want, output := range map[string][]string{
		"no radio":        {"=== RUN   TestIt\n", "    a_test.go:7: no radio\n", "--- SKIP: TestIt (0.00s)\n"},
		"no reason given": {"=== RUN   TestIt\n", "--- SKIP: TestIt (0.00s)\n"},
		"one; two":        {"    a_test.go:7: one\n", "        two\n"},
	} {
		if got := reason(output); got != want {
			t.Errorf("reason %q, want %q", got, want)
		}
	}
}
