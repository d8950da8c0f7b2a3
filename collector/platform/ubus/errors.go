package ubus

import (
	"errors"
	"strconv"

	"livebox-agent/collector"
)

// ErrMalformed says that a message does not hold together, or is beyond a
// limit.
var ErrMalformed = errors.New("malformed ubus message")

// A StatusError is how a request ended that the bus or a service refused
// (enum ubus_msg_status of ubusmsg.h). It is collector.ErrNoData or
// collector.ErrRefused where it means that.
type StatusError uint32

// The statuses of ubus. Zero is success and no error.
const (
	InvalidCommand   StatusError = 1
	InvalidArgument  StatusError = 2
	MethodNotFound   StatusError = 3
	NotFound         StatusError = 4
	NoData           StatusError = 5
	PermissionDenied StatusError = 6
	Timeout          StatusError = 7
	NotSupported     StatusError = 8
	UnknownError     StatusError = 9
	ConnectionFailed StatusError = 10
	NoMemory         StatusError = 11
	ParseError       StatusError = 12
	SystemError      StatusError = 13
)

func (s StatusError) Error() string {
	switch s {
	case InvalidCommand:
		return "invalid command"
	case InvalidArgument:
		return "invalid argument"
	case MethodNotFound:
		return "method not found"
	case NotFound:
		return "not found"
	case NoData:
		return "no response"
	case PermissionDenied:
		return "permission denied"
	case Timeout:
		return "request timed out"
	case NotSupported:
		return "operation not supported"
	case UnknownError:
		return "unknown error"
	case ConnectionFailed:
		return "connection failed"
	case NoMemory:
		return "out of memory"
	case ParseError:
		return "parsing message data failed"
	case SystemError:
		return "system error"
	}
	return "status " + strconv.FormatUint(uint64(s), 10)
}

// Is says which of the outcomes of a source the status is.
func (s StatusError) Is(target error) bool {
	switch s {
	case MethodNotFound, NotFound, NoData, NotSupported:
		return target == collector.ErrNoData
	case PermissionDenied:
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
