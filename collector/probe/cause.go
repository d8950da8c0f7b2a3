package probe

import (
	"errors"
	"net"
)

// cause returns err without the addresses that package net writes into its
// errors: those of the box and of its resolver identify the customer's line.
func cause(err error) error {
	if e, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New("look up the name: " + e.Err)
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err
	}
	return err
}
