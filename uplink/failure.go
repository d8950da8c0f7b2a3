package uplink

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/eclipse/paho.mqtt.golang/packets"
)

// A Class says why there is no connection. The list is closed: figures of a
// fleet are kept by class.
type Class string

// The classes.
const (
	ClassCertificate Class = "certificate"             // the box's own files cannot be used
	ClassDNS         Class = "dns"                     // the broker's name has no address
	ClassDial        Class = "dial"                    // no TCP connection
	ClassUnknownCA   Class = "tls: unknown CA"         // the broker's certificate is of another CA
	ClassExpired     Class = "tls: expired"            // the broker's certificate is out of date
	ClassName        Class = "tls: wrong name"         // the broker's certificate has another name
	ClassRejected    Class = "tls: certificate denied" // the broker does not take the box's certificate
	ClassTLS         Class = "tls"                     // any other failure of TLS
	ClassRefused     Class = "refused: not authorised" // the broker knows the box and refuses it
	ClassUnavailable Class = "refused: unavailable"    // the broker is not ready
	ClassTimeout     Class = "timeout"                 // the broker does not answer in time
	ClassProtocol    Class = "protocol"                // the peer does not speak MQTT 3.1.1 as it should
	ClassLost        Class = "lost"                    // the connection was cut
)

// advice tells a person what to do about failures of the class.
func (c Class) advice() string {
	switch c {
	case ClassCertificate:
		return "check ca_file, cert_file and key_file: that they are there, readable by the agent, and belong together"
	case ClassDNS:
		return "check the host in broker and the name servers of the box"
	case ClassDial:
		return "check the host and port in broker, the WAN link and firewalls"
	case ClassUnknownCA:
		return "check that ca_file holds the CA that issued the broker's certificate"
	case ClassExpired:
		return "renew the broker's certificate, or check the clock of the box"
	case ClassName:
		return "set server_name to a name in the broker's certificate"
	case ClassRejected:
		return "check that cert_file was issued by a CA that the broker trusts, and has not expired"
	case ClassTLS:
		return "check that the port of broker speaks TLS 1.3"
	case ClassRefused:
		return "register this box with the broker, or check its access rules"
	case ClassUnavailable:
		return "wait: the broker is starting or overloaded"
	case ClassTimeout:
		return "check that a working broker is behind that address; a firewall may swallow packets"
	case ClassProtocol:
		return "check that the port of broker speaks MQTT 3.1.1"
	}
	return "wait: it is tried again"
}

// refused tells whether trying again soon is pointless.
func (c Class) refused() bool {
	switch c {
	case ClassCertificate, ClassUnknownCA, ClassExpired, ClassName, ClassRejected, ClassTLS, ClassRefused, ClassProtocol:
		return true
	}
	return false
}

// An Error says why a connection did not come about or ended.
type Error struct {
	Op    string // "connect", "subscribe", "publish", "stay connected to"
	Addr  string // of the broker
	Class Class
	Err   error
}

// Error says what happened and what to do.
func (e *Error) Error() string {
	return fmt.Sprintf("%s %s: %s: %v; %s", e.Op, e.Addr, e.Class, e.Err, e.Class.advice())
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

var (
	errTimeout  = errors.New("no answer in time")
	errLost     = errors.New("connection lost")
	errDenied   = errors.New("the broker does not allow it")
	errProtocol = errors.New("not as MQTT 3.1.1 has it")
)

// classify finds the class of a failure. fallback is for those that say
// nothing of themselves.
func classify(err error, fallback Class) Class {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return ClassDNS
	}
	if c, ok := classifyTLS(err); ok {
		return c
	}
	switch {
	case errors.Is(err, packets.ErrorRefusedNotAuthorised), errors.Is(err, packets.ErrorRefusedBadUsernameOrPassword),
		errors.Is(err, packets.ErrorRefusedIDRejected), errors.Is(err, errDenied):
		return ClassRefused
	case errors.Is(err, packets.ErrorRefusedServerUnavailable):
		return ClassUnavailable
	case errors.Is(err, packets.ErrorRefusedBadProtocolVersion), errors.Is(err, errProtocol):
		return ClassProtocol
	case errors.Is(err, errTimeout), errors.Is(err, mqtt.TimedOut):
		return ClassTimeout
	}
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() && fallback != ClassDial {
		return ClassTimeout
	}
	return fallback
}

func classifyTLS(err error) (Class, bool) {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return ClassUnknownCA, true
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return ClassName, true
	}
	if inv, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if inv.Reason == x509.Expired {
			return ClassExpired, true
		}
		return ClassTLS, true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return ClassTLS, true
	}
	// The type of a peer's alert is not exported; crypto/tls marks it by the
	// operation.
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		if text := op.Err.Error(); strings.Contains(text, "certificate") || strings.Contains(text, "access denied") {
			return ClassRejected, true
		}
		return ClassTLS, true
	}
	return "", false
}

// failed makes the Error of an operation.
func (u *Uplink) failed(op string, err error, fallback Class) *Error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the broker closed the connection")
	}
	return &Error{Op: op, Addr: u.cfg.Broker, Class: classify(err, fallback), Err: err}
}
