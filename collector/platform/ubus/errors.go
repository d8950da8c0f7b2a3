package ubus

import (
	"fmt"
	"strconv"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/tree"
)

// ErrMalformed says that a message does not hold together, or is beyond a
// limit. It is tree.ErrMalformed too.
var ErrMalformed = fmt.Errorf("%w of ubus", tree.ErrMalformed)

// A StatusError is how a request ended that the bus or a service refused
// (enum ubus_msg_status of ubusmsg.h). It is collector.ErrNoData or
// collector.ErrRefused where it means that.
type StatusError uint32

// The statuses of ubus. Zero is success and no error.
const (
	ErrInvalidCommand   StatusError = 1
	ErrInvalidArgument  StatusError = 2
	ErrMethodNotFound   StatusError = 3
	ErrNotFound         StatusError = 4
	ErrNoData           StatusError = 5
	ErrPermissionDenied StatusError = 6
	ErrTimeout          StatusError = 7
	ErrNotSupported     StatusError = 8
	ErrUnknown          StatusError = 9
	ErrConnectionFailed StatusError = 10
	ErrNoMemory         StatusError = 11
	ErrParse            StatusError = 12
	ErrSystem           StatusError = 13
)

func (s StatusError) Error() string {
	switch s {
	case ErrInvalidCommand:
		return "invalid command"
	case ErrInvalidArgument:
		return "invalid argument"
	case ErrMethodNotFound:
		return "method not found"
	case ErrNotFound:
		return "not found"
	case ErrNoData:
		return "no response"
	case ErrPermissionDenied:
		return "permission denied"
	case ErrTimeout:
		return "request timed out"
	case ErrNotSupported:
		return "operation not supported"
	case ErrUnknown:
		return "unknown error"
	case ErrConnectionFailed:
		return "connection failed"
	case ErrNoMemory:
		return "out of memory"
	case ErrParse:
		return "parsing message data failed"
	case ErrSystem:
		return "system error"
	}
	return "status " + strconv.FormatUint(uint64(s), 10)
}

// Is says which of the outcomes of a source the status is.
func (s StatusError) Is(target error) bool {
	switch s {
	case ErrMethodNotFound, ErrNotFound, ErrNoData, ErrNotSupported:
		return target == collector.ErrNoData
	case ErrPermissionDenied:
		return target == collector.ErrRefused
	}
	return false
}

// A CallError is an exchange that did not succeed. Err wraps a StatusError
// where the bus answered, and ErrMalformed, the context's error or that of a
// system call otherwise.
type CallError struct {
	// Op is what was being done and to what: "connect", "list hostapd.*",
	// "call iwinfo info".
	Op  string
	Err error
}

func (e *CallError) Error() string { return "ubus " + e.Op + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *CallError) Unwrap() error { return e.Err }
