package sysbus

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/tree"
)

// Codes of FaultError that have a meaning of their own.
const (
	// PermissionDenied says that there is no session, or that its user may
	// not do this.
	PermissionDenied = 13
	// NotFound says that the box does not have the object or the parameter.
	NotFound = 196618
	// ExecutionFailed says that the function gave up; often an entry beside
	// it says why.
	ExecutionFailed = 196639
)

// A FaultError is what the box answered in place of a result. It wraps
// collector.ErrRefused or collector.ErrNoData where that is what it means.
type FaultError struct {
	// Code is the box's number of the error, such as NotFound.
	Code int64
	// Description and Info are the box's words, cut to a length that fits a
	// log.
	Description, Info string

	meaning error
}

func (e *FaultError) Error() string {
	// Info is left out: it is the name of what was asked, or worse.
	return fmt.Sprintf("box reports error %d (%s)", e.Code, e.Description)
}

// Unwrap returns collector.ErrRefused, collector.ErrNoData or nil.
func (e *FaultError) Unwrap() error { return e.meaning }

// maxFaults is how many entries of one reply are looked at.
const maxFaults = 8

// fault returns the error that the reply n is, or nil. The box gives a list of
// them, or a single one, under "errors" or "error", or in the place of the
// whole reply. Of several, that counts which says most: the refusal, then the
// absence, then the first.
func fault(n tree.Node) error {
	entries := n.Get("errors")
	if !entries.Exists() {
		entries = n.Get("error")
		if _, ok := entries.Int(); ok {
			entries = n
		}
	}
	if entries.IsObject() {
		return newFault(entries)
	}
	var found *FaultError
	for i := range min(entries.Len(), maxFaults) {
		f := newFault(entries.Get(strconv.Itoa(i)))
		if found == nil || f.weight() > found.weight() {
			found = f
		}
	}
	if found == nil {
		return nil
	}
	return found
}

func newFault(n tree.Node) *FaultError {
	e := &FaultError{Description: "no description"}
	e.Code, _ = n.Get("error").Int()
	if s, ok := n.Get("description").Text(); ok {
		e.Description = clip(s)
	}
	if s, ok := n.Get("info").Text(); ok {
		e.Info = clip(s)
	}
	words := strings.ToLower(e.Description)
	switch {
	case e.Code == PermissionDenied:
		e.meaning = collector.ErrRefused
	case e.Code == NotFound, strings.Contains(words, "not bound"), strings.Contains(words, "not found"),
		strings.Contains(words, "not implemented"):
		e.meaning = collector.ErrNoData
	}
	return e
}

// weight orders the errors of one reply.
func (e *FaultError) weight() int {
	switch {
	case errors.Is(e, collector.ErrRefused):
		return 2
	case errors.Is(e, collector.ErrNoData):
		return 1
	}
	return 0
}

// clip makes a text of the box fit for a log: printable ASCII, short.
func clip(s string) string {
	const most = 80
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s[:min(len(s), most)])
}
