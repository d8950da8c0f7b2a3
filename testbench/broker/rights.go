package broker

import (
	"crypto/subtle"
	_ "embed" // for the permission template
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/conf"
	"github.com/nats-io/nats-server/v2/server"

	"livebox-agent/testbench/pki"
)

// backendUser is the name of the in-process connection.
const backendUser = "cem"

// The shipped files that this broker reads itself.
var (
	//go:embed shipped/nats-permissions.conf
	permissionTemplate string
	//go:embed shipped/nats-cem-permissions.conf
	cemPermissions string
)

// The shipped files for other brokers.
var (
	//go:embed shipped/mosquitto.acl
	mosquittoACL string
	//go:embed shipped/mosquitto.conf
	mosquittoConf string
	//go:embed shipped/rabbitmq.conf
	rabbitConf string
	//go:embed shipped/rabbitmq-definitions.json
	rabbitDefinitions string
)

// MosquittoACL returns the rules of access shipped for Mosquitto.
func MosquittoACL() string { return mosquittoACL }

// MosquittoConf returns the configuration shipped for Mosquitto.
func MosquittoConf() string { return mosquittoConf }

// RabbitConf returns the configuration shipped for RabbitMQ.
func RabbitConf() string { return rabbitConf }

// RabbitDefinitions returns the users and permissions shipped for RabbitMQ, of
// the CEM and of a box called BOX.
func RabbitDefinitions() string { return rabbitDefinitions }

// boxName is what stands for the box in the template.
const boxName = "{{name()}}"

// A template is the rights of any box.
type template struct {
	publish, subscribe []string
}

// readTemplate reads a shipped file.
func readTemplate(text string) (template, error) {
	parsed, err := conf.Parse(text)
	if err != nil {
		return template{}, fmt.Errorf("permission template: %w", err)
	}
	var t template
	if t.publish, err = allowed(parsed, "publish"); err != nil {
		return template{}, err
	}
	t.subscribe, err = allowed(parsed, "subscribe")
	return t, err
}

// without returns the rights that are left without one topic of the box.
func (t template) without(topic string) template {
	if topic != "" {
		t.publish = slices.DeleteFunc(slices.Clone(t.publish), func(s string) bool { return strings.HasSuffix(s, "."+topic) })
	}
	return t
}

// forBox returns the rights of one box.
func (t template) forBox(box string) *server.Permissions {
	fill := func(subjects []string) *server.SubjectPermission {
		p := &server.SubjectPermission{}
		for _, s := range subjects {
			p.Allow = append(p.Allow, strings.ReplaceAll(s, boxName, box))
		}
		return p
	}
	return &server.Permissions{Publish: fill(t.publish), Subscribe: fill(t.subscribe)}
}

// allowed reads the list of subjects that verb allows.
func allowed(parsed map[string]any, verb string) ([]string, error) {
	block, _ := parsed[verb].(map[string]any)
	list, _ := block["allow"].([]any)
	subjects := make([]string, 0, len(list))
	for _, e := range list {
		s, ok := e.(string)
		if !ok {
			return nil, fmt.Errorf("permission template: %s allows %v, which is not a subject", verb, e)
		}
		subjects = append(subjects, s)
	}
	// An empty list would allow everything.
	if len(subjects) == 0 {
		return nil, fmt.Errorf("permission template: %s allows nothing", verb)
	}
	return subjects, nil
}

// An authenticator decides who a connection is. It is given its server before
// the server starts.
type authenticator struct {
	rights, cem template
	secret      string
	srv         *server.Server
}

// Check implements server.Authentication.
func (a *authenticator) Check(c server.ClientAuthentication) bool {
	state := c.GetTLSConnectionState()
	if state == nil {
		// In-process connections have no TLS; nothing else listens without.
		o := c.GetOpts()
		return o.Username == backendUser && subtle.ConstantTimeCompare([]byte(o.Password), []byte(a.secret)) == 1
	}
	if len(state.VerifiedChains) == 0 {
		return false
	}
	box := state.PeerCertificates[0].Subject.CommonName
	if box == pki.CEM && a.clientIdentifier(c.GetID()) == box {
		c.RegisterUser(&server.User{Username: box, Permissions: a.cem.forBox(box)})
		return true
	}
	if !pki.ValidBox(box) || a.clientIdentifier(c.GetID()) != box {
		return false
	}
	c.RegisterUser(&server.User{Username: box, Permissions: a.rights.forBox(box)})
	return true
}

// clientIdentifier returns the MQTT client identifier of a connection, "" if
// it has none. The server tells it in its monitoring data only.
func (a *authenticator) clientIdentifier(cid uint64) string {
	connz, err := a.srv.Connz(&server.ConnzOptions{CID: cid})
	if err != nil || len(connz.Conns) != 1 {
		return ""
	}
	return connz.Conns[0].MQTTClient
}

// Topic returns the MQTT topic of a NATS subject, for the subjects that boxes
// use: none of their levels holds a dot.
func Topic(subject string) string { return strings.ReplaceAll(subject, ".", "/") }
