package netlink

import "errors"

// Errors that callers may look for with errors.Is.
var (
	// ErrInterrupted says that what was dumped changed meanwhile, so that
	// entries may be missing or twice (NLM_F_DUMP_INTR).
	ErrInterrupted = errors.New("dump interrupted by a change")
	// ErrMalformed says that a message or attribute does not hold together.
	ErrMalformed = errors.New("malformed")
)

// An OpError is an exchange that did not succeed. Err wraps a syscall.Errno
// where the kernel gave one: as the answer to the request if Op starts with
// "request", of a system call otherwise.
type OpError struct {
	// Op is what was being done and to what: "dial route", "send",
	// "receive", "request 18".
	Op  string
	Err error
}

func (e *OpError) Error() string { return "netlink " + e.Op + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }
