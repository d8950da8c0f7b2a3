package soak

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// The agent and the operator in this process, in which more grows than the
// agent: what is judged is not of interest here, that it is judged is.
func TestLiveRunIsSampledAndJudged(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "off") // the agent would set its own for this process
	var out strings.Builder
	err := Live{
		For: 12 * time.Second, Window: time.Second, Dir: t.TempDir(), Out: &out,
		Start: func(file string) (*Inside, error) {
			inEnd, in := io.Pipe()
			fromAgent, outEnd := io.Pipe()
			ended := make(chan error, 1)
			go func() {
				err := Agent(t.Context(), file, inEnd, outEnd)
				ended <- err
				outEnd.CloseWithError(io.EOF)
			}()
			return &Inside{PID: os.Getpid(), In: in, Out: fromAgent, Ended: func() error { return <-ended }}, nil
		},
	}.Run(t.Context())
	t.Log(out.String())
	if err != nil && !strings.HasPrefix(err.Error(), "not flat: ") {
		t.Error(err)
	}
	for _, want := range []string{"goroutines", "resident", "the operator was away", "of 12s: heap "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("output has no %q", want)
		}
	}
}

func TestDeadAgentIsSaid(t *testing.T) {
	err := Live{
		For: 20 * time.Second, Window: time.Second, Dir: t.TempDir(), Out: io.Discard,
		Start: func(string) (*Inside, error) {
			inEnd, in := io.Pipe()
			_ = inEnd.Close()
			return &Inside{PID: 1, In: in, Out: strings.NewReader(""), Ended: func() error { return os.ErrProcessDone }}, nil
		},
	}.Run(t.Context())
	if err == nil {
		t.Error("a soak without an agent ends well")
	}
}
