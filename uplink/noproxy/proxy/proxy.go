// Package proxy stands in for golang.org/x/net/proxy: go.mod replaces the
// module golang.org/x/net by this one. It has what paho.mqtt.golang compiles
// against, and knows no proxies.
//
// The agent reaches its broker over a connection of its own making. paho would
// ask the environment for a proxy only where it makes one itself, but the
// linker cannot know that, and would keep a client for SOCKS.
//
// A later version of a library may want more of the module. It then does not
// compile. If the agent is to have that, the replacement goes; else what it
// wants is added here in the same way.
package proxy

import "net"

// A Dialer makes connections.
type Dialer interface {
	Dial(network, address string) (net.Conn, error)
}

// FromEnvironment returns a Dialer that goes straight to the address, whatever
// the environment says.
func FromEnvironment() Dialer { return &net.Dialer{} }

// FromEnvironmentUsing returns forward.
func FromEnvironmentUsing(forward Dialer) Dialer { return forward }
