package clock

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestKernelWithoutMonotonicTimeIsFound(t *testing.T) {
	const year = 365 * 24 * time.Hour
	steps := func(first, second time.Duration) func() time.Duration {
		next := []time.Duration{first, second}
		return func() time.Duration { d := next[0]; next = next[1:]; return d }
	}
	reads := func(f func() time.Duration, err error) func() (time.Duration, error) {
		return func() (time.Duration, error) { return f(), err }
	}
	asleep := errors.New("no sleep")
	for _, tt := range []struct {
		name          string
		runtime, boot func() time.Duration
		err, sleep    error
		want          string // in the error; empty: none
	}{
		{name: "good", runtime: steps(1, slept+1), boot: steps(year, year+slept)},
		{name: "busy machine", runtime: steps(0, time.Hour), boot: steps(0, time.Hour)},
		{name: "coarse clock", runtime: steps(0, slept-10*time.Millisecond), boot: steps(0, slept)},
		{"stuck", steps(5, 5), steps(0, slept), nil, nil, "the monotonic clock moved by 0s while the program slept for 50ms"},
		{"backwards", steps(0, -year), steps(0, slept), nil, nil, "the monotonic clock moved by -8760h"},
		{"garbage", steps(0, 16311*time.Hour), steps(0, slept), nil, nil, "the monotonic clock moved by 16311h"},
		{"garbage of boot", steps(0, slept), steps(slept, 0), nil, nil, "CLOCK_BOOTTIME moved by -50ms"},
		{"refused", steps(0, slept), steps(0, slept), errors.New("function not implemented"), nil, "CLOCK_BOOTTIME cannot be read: function not implemented"},
		{"no sleep", steps(0, 0), steps(0, 0), nil, asleep, "sleep: no sleep"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := machine{tt.runtime, reads(tt.boot, tt.err), func(time.Duration) error { return tt.sleep }}.check()
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("%v; want a good kernel", err)
			case tt.want == "":
			case err == nil || !strings.Contains(err.Error(), tt.want):
				t.Errorf("%v; want %q in it", err, tt.want)
			case tt.sleep == nil && !strings.Contains(err.Error(), "CONFIG_COMPAT_32BIT_TIME=y"):
				t.Errorf("%v; does not say what to do", err)
			}
		})
	}
}

func TestThisKernelsMonotonicTimeMoves(t *testing.T) {
	if err := Check(); err != nil {
		t.Error(err)
	}
}
