package brokers_test

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"

	"livebox-agent/testbench/brokers"
	"livebox-agent/testbench/process"
)

func TestMain(m *testing.M) {
	brokers.Child() // the brokers of this test are processes of it
	os.Exit(m.Run())
}

// RabbitMQ takes ten seconds to start, five times: make brokers has it too.
func TestSuiteOverBrokersThatStartAtOnce(t *testing.T) {
	kinds := []brokers.Kind{brokers.NATS, brokers.Mochi}
	_, err := exec.LookPath("mosquitto")
	if _, serr := os.Stat("/usr/sbin/mosquitto"); err == nil || serr == nil || os.Getenv("CI") == "true" {
		kinds = append(kinds, brokers.Mosquitto)
	}
	dir := t.TempDir()
	agent, err := process.Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	results, err := brokers.Run(t.Context(), brokers.Options{
		Dir: dir, Agent: agent, Kinds: kinds,
		Tell: func(k brokers.Kind, p brokers.Property, a brokers.Answer) { t.Logf("%s: %s: %s", k, p.Name, a.Text) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := results.Err(); err != nil {
		t.Error(err)
	}
	committed, err := os.ReadFile("../BROKERS.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range brokers.Compare(string(committed), results) {
		t.Error(line)
	}
	if len(kinds) < 3 {
		t.Skip("mosquitto is not installed")
	}
}

// some are results without any broker.
func some() brokers.Results {
	r := brokers.Results{}
	for _, k := range brokers.Kinds() {
		for range brokers.Properties() {
			r[k] = append(r[k], brokers.Answer{Text: "yes"})
		}
	}
	return r
}

func TestTableTellsWhatWasMeasured(t *testing.T) {
	var table bytes.Buffer
	if err := brokers.WriteTable(&table, some()); err != nil {
		t.Fatal(err)
	}
	if found := brokers.Compare(table.String(), some()); found != nil {
		t.Errorf("the table differs from what it was made of: %q", found)
	}
	changed := some()
	for i, p := range brokers.Properties() {
		changed[brokers.Mosquitto][i].Text = "no"
		if p.Varies {
			changed[brokers.NATS][i].Text = "another"
		}
	}
	varying := 0
	for _, p := range brokers.Properties() {
		if p.Varies {
			varying++
		}
	}
	found := brokers.Compare(table.String(), changed)
	if want := len(brokers.Properties()) - varying; len(found) != want || varying == 0 {
		t.Errorf("%d differences; want %d, all of Mosquitto, and none where timing decides", len(found), want)
	}
	for _, line := range found {
		if !strings.HasPrefix(line, "Mosquitto: ") {
			t.Errorf("difference %q; want Mosquitto's alone", line)
		}
	}
	short := some()
	short[brokers.RabbitMQ] = short[brokers.RabbitMQ][:3]
	if found := brokers.Compare(table.String(), short); len(found) != len(brokers.Properties())-3 {
		t.Errorf("%d differences; want one for each row that was not measured", len(found))
	}
}

func TestTheCommittedTableHasEveryBrokerAndRow(t *testing.T) {
	committed, err := os.ReadFile("../BROKERS.md")
	if err != nil {
		t.Fatal(err)
	}
	all := some()
	for _, line := range brokers.Compare(string(committed), all) {
		if strings.HasSuffix(line, "not in the table") {
			t.Error(line)
		}
	}
	if strings.Contains(string(committed), "FAILED") || strings.Contains(string(committed), "not reached") {
		t.Error("the committed table has rows that failed")
	}
}
