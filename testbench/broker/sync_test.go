package broker

import (
	"path/filepath"
	"testing"

	"livebox-agent/testbench/pki"
)

// What a stream hands out must be on disk: the CEM acknowledges it.
func TestStreamsAreSyncedBeforeTheyAreRead(t *testing.T) {
	ca, err := pki.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	server, err := ca.Server("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	b, err := Start(Config{Dir: dir, CAFile: ca.CAFile(), CertFile: server.Cert, KeyFile: server.Key})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	js := b.srv.JetStreamConfig()
	if js == nil || !js.SyncAlways {
		t.Fatalf("JetStream configuration %+v; want every write synced", js)
	}
	if js.StoreDir != filepath.Join(dir, "jetstream") {
		t.Errorf("streams in %s; want them below %s", js.StoreDir, dir)
	}
}
