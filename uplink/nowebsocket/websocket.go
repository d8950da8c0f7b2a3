// Package websocket stands in for github.com/gorilla/websocket: go.mod replaces
// that module by this one. It has what paho.mqtt.golang and the broker of the
// tests compile against, and refuses to open a WebSocket.
//
// The agent reaches its broker over a connection of its own making, TLS or TCP.
// paho would only open a WebSocket for an address that starts with ws:, which
// the configuration refuses, but the linker cannot know that. It would keep
// gorilla/websocket, and through it much of net/http: 0.2 MB of a binary that has
// to fit beside a firmware.
//
// A later version of one of the libraries may want more of the API. It then
// does not compile, and what it wants is added here in the same way.
package websocket

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// BinaryMessage is the type of message that MQTT travels in.
const BinaryMessage = 2

// ErrAbsent is the error of whatever would open a WebSocket or use one.
var ErrAbsent = errors.New("no WebSocket in this program: connect by tls:// or tcp://")

// A Dialer takes the settings of a client, and has no use for them.
type Dialer struct {
	Proxy             func(*http.Request) (*url.URL, error)
	TLSClientConfig   *tls.Config
	HandshakeTimeout  time.Duration
	ReadBufferSize    int
	WriteBufferSize   int
	Subprotocols      []string
	EnableCompression bool
}

// Dial returns ErrAbsent.
func (*Dialer) Dial(string, http.Header) (*Conn, *http.Response, error) {
	return nil, nil, ErrAbsent
}

// An Upgrader takes the settings of a server, and has no use for them.
type Upgrader struct {
	Subprotocols []string
	CheckOrigin  func(*http.Request) bool
}

// Upgrade answers that there is no WebSocket here, and returns ErrAbsent.
func (*Upgrader) Upgrade(w http.ResponseWriter, _ *http.Request, _ http.Header) (*Conn, error) {
	http.Error(w, ErrAbsent.Error(), http.StatusNotImplemented)
	return nil, ErrAbsent
}

// A Conn is a type for code that is never reached: there is none.
type Conn struct{ net.Conn }

// UnderlyingConn returns the connection below the WebSocket.
func (c *Conn) UnderlyingConn() net.Conn { return c.Conn }

// NextReader returns ErrAbsent.
func (*Conn) NextReader() (int, io.Reader, error) { return 0, nil, ErrAbsent }

// WriteMessage returns ErrAbsent.
func (*Conn) WriteMessage(int, []byte) error { return ErrAbsent }
