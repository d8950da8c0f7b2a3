package brokers

import (
	"encoding/json"
	"strings"
	"testing"

	"livebox-agent/testbench/broker"
)

func TestRulesOfTheShippedFile(t *testing.T) {
	rules := readACL(broker.MosquittoACL())
	for _, tt := range []struct {
		name, topic string
		write, want bool
	}{
		{"box1", "cem/v1/box1/telemetry", true, true},
		{"box1", "cem/v1/box1/ack", false, true},
		{"box1", "cem/v1/box1/ack", true, false},
		{"box1", "cem/v1/box2/telemetry", true, false},
		{"box1", "cem/v1/box1/telemetry/x", true, false},
		{"box1", "cem/v1/+/ack", false, false},
		{"box1", "#", false, false},
		{"box1", "cem/v1/box1/#", false, false},
		{"cem", "cem/v1/+/telemetry", false, true},
		{"cem", "cem/v1/box1/ack", true, true},
		{"cem", "#", false, false},
		{"cem", "cem/v1/#", false, false},
		{"", "cem/v1//telemetry", true, true}, // nobody is let in without a name
	} {
		if got := rules.allows(tt.name, tt.topic, tt.write); got != tt.want {
			t.Errorf("%q, %q, write %v: %v; want %v", tt.name, tt.topic, tt.write, got, tt.want)
		}
	}
	denied := readACL(withoutTopic(broker.MosquittoACL(), "event"))
	if denied.allows("box1", "cem/v1/box1/event", true) || !denied.allows("box1", "cem/v1/box1/telemetry", true) {
		t.Error("without events: want events denied, and nothing else")
	}
	if !denied.allows("cem", "cem/v1/box1/event", false) {
		t.Error("without events: the CEM may still read them")
	}
}

// RabbitMQ's permissions are those of the other brokers, for each box.
func TestRabbitUsersHaveTheSameTopics(t *testing.T) {
	for _, deny := range []string{"", "event"} {
		text, err := rabbitUsers([]string{"box1", "box2"}, deny)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Users            []struct{ Name string }
			TopicPermissions []struct{ User, Write, Read string } `json:"topic_permissions"`
		}
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Users) != 4 || strings.Contains(text, "BOX") {
			t.Errorf("%d users; want cem, probe, box1 and box2: %s", len(got.Users), text)
		}
		for _, p := range got.TopicPermissions {
			if p.User != "box1" {
				continue
			}
			write := `^cem\.v1\.box1\.(telemetry|event|status|reply)$`
			if deny != "" {
				write = `^cem\.v1\.box1\.(telemetry|status|reply)$`
			}
			if p.Write != write || p.Read != `^cem\.v1\.box1\.(ack|desired|command)$` {
				t.Errorf("deny %q: box1 writes %s, reads %s; want %s", deny, p.Write, p.Read, write)
			}
		}
	}
}
