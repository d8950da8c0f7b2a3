package brokers

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"livebox-agent/testbench/broker"
	"livebox-agent/testbench/pki"
)

// Child runs a broker until it is told to end, where this process was started
// to be one, and then ends the process. A program that calls Start calls it
// first of all.
func Child() {
	text := os.Getenv(childEnv)
	if text == "" {
		return
	}
	if err := serve(text); err != nil {
		fmt.Fprintln(os.Stderr, "broker:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serve(text string) error {
	var cfg Config
	if err := json.Unmarshal([]byte(text), &cfg); err != nil {
		return err
	}
	ca, err := pki.Open(cfg.PKI)
	if err != nil {
		return err
	}
	server, err := ca.Server("127.0.0.1", "localhost")
	if err != nil {
		return err
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	switch cfg.Kind {
	case NATS:
		b, err := broker.Start(broker.Config{
			Dir: cfg.Dir, Listen: cfg.Addr, Deny: cfg.Deny,
			CAFile: ca.CAFile(), CertFile: server.Cert, KeyFile: server.Key,
			Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelInfo})),
		})
		if err != nil {
			return err
		}
		<-asked
		b.Stop()
		return nil
	case Mochi:
		s, err := startMochi(cfg, ca, server)
		if err != nil {
			return err
		}
		<-asked
		return s.Close()
	}
	return fmt.Errorf("%s is a program of its own", cfg.Kind)
}

// startMochi runs mochi-mqtt with the rules shipped for Mosquitto and, as it
// comes, without a store: those of version 2.7.9 keep no packet identifiers, and
// a session for which messages waited can never connect again after a restart.
func startMochi(cfg Config, ca *pki.Authority, server pki.Pair) (*mochi.Server, error) {
	cert, err := tls.LoadX509KeyPair(server.Cert, server.Key)
	if err != nil {
		return nil, err
	}
	s := mochi.New(&mochi.Options{
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	err = errors.Join(
		s.AddHook(&rules{acl: readACL(withoutTopic(broker.MosquittoACL(), cfg.Deny))}, nil),
		s.AddListener(listeners.NewTCP(listeners.Config{ID: "boxes", Address: cfg.Addr, TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{cert}, ClientCAs: ca.Pool(), ClientAuth: tls.RequireAndVerifyClientCert,
			MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true,
		}})),
	)
	if err != nil {
		return nil, err
	}
	return s, s.Serve()
}

// rules let a client in by its certificate and to the topics of its name.
type rules struct {
	mochi.HookBase

	acl acl
}

// ID implements mochi.Hook, as do the methods below.
func (*rules) ID() string { return "certificate and rules" }

// Provides says which questions the hook answers.
func (*rules) Provides(b byte) bool {
	return b == mochi.OnConnectAuthenticate || b == mochi.OnACLCheck
}

// OnConnectAuthenticate lets in whose client identifier is the common name of
// its certificate.
func (*rules) OnConnectAuthenticate(cl *mochi.Client, pk packets.Packet) bool {
	name := commonName(cl)
	return name != "" && pk.Connect.ClientIdentifier == name && (name == pki.CEM || pki.ValidBox(name))
}

// OnACLCheck asks the rules. It is asked about clients that are away too, which
// have no certificate at that moment: their identifier was held to it when they
// connected.
func (r *rules) OnACLCheck(cl *mochi.Client, topic string, write bool) bool {
	return r.acl.allows(cl.ID, topic, write)
}

func commonName(cl *mochi.Client) string {
	conn, ok := cl.Net.Conn.(*tls.Conn)
	if !ok {
		return ""
	}
	var leaf *x509.Certificate
	if peers := conn.ConnectionState().PeerCertificates; len(peers) > 0 {
		leaf = peers[0]
	}
	if leaf == nil {
		return ""
	}
	return leaf.Subject.CommonName
}

// An acl is what Mosquitto's file of rules says: topics that each client, or
// one, may write or read.
type acl []struct {
	user, topic string // user "" is everyone, whose name stands for %u
	write       bool
}

// readACL reads the rules of the shipped file: lines of user, topic and
// pattern.
func readACL(text string) acl {
	var rules acl
	user := ""
	for line := range strings.Lines(text) {
		switch f := strings.Fields(line); {
		case len(f) == 2 && f[0] == "user":
			user = f[1]
		case len(f) == 3 && f[0] == "pattern":
			rules = append(rules, acl{{"", f[2], f[1] == "write"}}...)
		case len(f) == 3 && f[0] == "topic" && user != "":
			rules = append(rules, acl{{user, f[2], f[1] == "write"}}...)
		}
	}
	return rules
}

// allows says whether a rule covers a topic, or, of a subscription, exactly
// that filter or one that it covers.
func (a acl) allows(name, topic string, write bool) bool {
	for _, r := range a {
		if r.write != write || r.user != "" && r.user != name {
			continue
		}
		if covers(strings.Split(strings.ReplaceAll(r.topic, "%u", name), "/"), strings.Split(topic, "/")) {
			return true
		}
	}
	return false
}

func covers(rule, topic []string) bool {
	if len(rule) != len(topic) {
		return false
	}
	for i, level := range rule {
		if topic[i] == "#" || level != "+" && level != topic[i] {
			return false
		}
	}
	return true
}
