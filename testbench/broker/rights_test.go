package broker

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/testbench/pki"
)

// boxRules returns the topics that the Mosquitto file lets each box write and
// read, with box for the name, in MQTT's spelling.
func boxRules(t *testing.T, acl, box string) (write, read []string) {
	t.Helper()
	for line := range strings.Lines(acl) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] != "pattern" {
			continue
		}
		if len(f) != 3 || !strings.Contains(f[2], "/%u/") {
			t.Fatalf("rule %q does not name the box", line)
		}
		topic := strings.ReplaceAll(f[2], "%u", box)
		switch f[1] {
		case "write":
			write = append(write, topic)
		case "read":
			read = append(read, topic)
		default:
			t.Fatalf("rule %q: want read or write", line)
		}
	}
	return write, read
}

func TestMosquittoRulesSayTheSame(t *testing.T) {
	rights, err := readTemplate(permissionTemplate)
	if err != nil {
		t.Fatal(err)
	}
	p := rights.forBox("box1")
	topics := func(subjects []string) (topics []string) {
		for _, s := range subjects {
			// The session's own subjects have no counterpart.
			if !strings.HasPrefix(s, "$MQTT.") {
				topics = append(topics, strings.ReplaceAll(s, ".", "/"))
			}
		}
		return topics
	}
	write, read := boxRules(t, mosquittoACL, "box1")
	if diff := cmp.Diff(topics(p.Publish.Allow), write); diff != "" {
		t.Errorf("publish (-NATS +Mosquitto):\n%s", diff)
	}
	if diff := cmp.Diff(topics(p.Subscribe.Allow), read); diff != "" {
		t.Errorf("subscribe (-NATS +Mosquitto):\n%s", diff)
	}
}

func TestTheCEMHasTheSameRightsOnBoth(t *testing.T) {
	rights, err := readTemplate(cemPermissions)
	if err != nil {
		t.Fatal(err)
	}
	var write, read []string
	of := ""
	for line := range strings.Lines(mosquittoACL) {
		switch f := strings.Fields(line); {
		case len(f) == 2 && f[0] == "user":
			of = f[1]
		case len(f) == 3 && f[0] == "topic" && of == pki.CEM && f[1] == "write":
			write = append(write, f[2])
		case len(f) == 3 && f[0] == "topic" && of == pki.CEM && f[1] == "read":
			read = append(read, f[2])
		}
	}
	topics := func(subjects []string) (topics []string) {
		for _, s := range subjects {
			if !strings.HasPrefix(s, "$MQTT.") {
				topics = append(topics, strings.NewReplacer(".", "/", "*", "+").Replace(s))
			}
		}
		return topics
	}
	if diff := cmp.Diff(topics(rights.publish), write); diff != "" {
		t.Errorf("publish (-NATS +Mosquitto):\n%s", diff)
	}
	if diff := cmp.Diff(topics(rights.subscribe), read); diff != "" {
		t.Errorf("subscribe (-NATS +Mosquitto):\n%s", diff)
	}
}

func TestRightsAreThoseOfTheDesign(t *testing.T) {
	rights, err := readTemplate(permissionTemplate)
	if err != nil {
		t.Fatal(err)
	}
	p := rights.forBox("box1")
	want := []string{"cem.v1.box1.telemetry", "cem.v1.box1.event", "cem.v1.box1.status", "cem.v1.box1.reply"}
	if diff := cmp.Diff(want, p.Publish.Allow); diff != "" {
		t.Errorf("publish (-want +got):\n%s", diff)
	}
	for _, s := range append(slices.Clone(p.Publish.Allow), p.Subscribe.Allow...) {
		if !strings.HasPrefix(s, "cem.v1.box1.") && !strings.HasPrefix(s, "$MQTT.") {
			t.Errorf("%s is not the box's own", s)
		}
		if strings.ContainsAny(s, "*{}") {
			t.Errorf("%s names more than one box", s)
		}
	}
}

func TestTemplateThatAllowsNothingIsRefused(t *testing.T) {
	for name, parsed := range map[string]map[string]any{
		"no block":      {},
		"no list":       {"publish": map[string]any{"deny": []any{"x"}}},
		"empty list":    {"publish": map[string]any{"allow": []any{}}},
		"not a subject": {"publish": map[string]any{"allow": []any{int64(7)}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := allowed(parsed, "publish"); err == nil {
				t.Errorf("allowed(%v) = %v; want an error", parsed, got)
			}
		})
	}
}
