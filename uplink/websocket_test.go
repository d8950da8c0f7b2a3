package uplink

import (
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	"github.com/mochi-mqtt/server/v2/listeners"
)

// TestNoWebSocketIsOpened: the module in nowebsocket stands in for that of
// gorilla, for both who link it.
func TestNoWebSocketIsOpened(t *testing.T) {
	const want = "no WebSocket in this program: connect by tls:// or tcp://"
	for _, broker := range []string{"ws://127.0.0.1:1/mqtt", "wss://127.0.0.1:1/mqtt"} {
		c := mqtt.NewClient(mqtt.NewClientOptions().AddBroker(broker).SetConnectTimeout(time.Second))
		token := c.Connect()
		token.Wait()
		if err := token.Error(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("connect to %s: %v; want %q", broker, err, want)
		}
	}

	l := listeners.NewWebsocket(listeners.Config{ID: "t", Address: freeAddress(t)})
	if err := l.Init(slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Serve(func(string, net.Conn) error {
			t.Error("a WebSocket was opened")
			return nil
		})
	}()
	defer func() {
		l.Close(func(string) {})
		<-done
	}()
	status := http.StatusOK
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		resp, err := http.Get("http://" + l.Address())
		if err != nil {
			continue // it does not listen yet
		}
		_ = resp.Body.Close()
		status = resp.StatusCode
		break
	}
	if status != http.StatusNotImplemented {
		t.Errorf("a broker answers with status %d; want 501", status)
	}
}

// freeAddress returns an address of this machine that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
