package timeshift

import (
	"os"
	"testing"
)

// Need skips a test where no program can be given clocks of its own, or fails
// it where CI=true.
func Need(t *testing.T) {
	t.Helper()
	if Supported && os.Geteuid() == 0 {
		return
	}
	const why = "programs get clocks of their own from the superuser on amd64 only"
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}
