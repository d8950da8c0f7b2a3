package box

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// poll asks for events and takes the null at the end away.
func (b *testBox) pollEvents(t *testing.T, body string) map[string]any {
	t.Helper()
	w := b.post(t, "/ws", typeEvent, body, b.header())
	text, ok := strings.CutSuffix(w.Body.String(), "null")
	if !ok || json.Valid(w.Body.Bytes()) {
		t.Errorf("no null at the end of %s", w.Body)
	}
	return decode(t, []byte(text))
}

// handlers returns where the events of a reply come from.
func handlers(reply map[string]any) []string {
	var found []string
	list, _ := reply["events"].([]any)
	for _, e := range list {
		data := e.(map[string]any)["data"].(map[string]any)
		found = append(found, data["handler"].(string)+" "+data["object"].(map[string]any)["reason"].(string))
	}
	return found
}

// inBubble returns a box whose clock is that of the test's bubble.
func inBubble(t *testing.T, c Config) *testBox {
	t.Helper()
	start := time.Now()
	c.Clock = func() time.Duration { return time.Since(start) }
	b, _ := newTestBox(t, c)
	return b
}

func TestLongPollEndsWithAnEventOrItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := inBubble(t, Config{Model: "livebox7", Stations: -1, LongPoll: 25 * time.Second})
		start := time.Now()
		reply := b.pollEvents(t, `{"events":["Devices.Device"]}`)
		if waited := time.Since(start); waited != 25*time.Second || len(handlers(reply)) != 0 {
			t.Errorf("nothing happened: %v after %v", handlers(reply), waited)
		}
		id := reply["channelid"].(json.Number).String()
		added := make(chan string)
		go func() {
			time.AfterFunc(7*time.Second, func() {
				mac, err := b.AddStation(Station{Band: "6GHz"})
				if err != nil {
					t.Error(err)
				}
				added <- mac
			})
		}()
		start = time.Now()
		// A number in a text does as well.
		got := make(chan map[string]any)
		go func() { got <- b.pollEvents(t, `{"events":["Devices.Device"],"channelid":"`+id+`"}`) }()
		mac := <-added
		reply = <-got
		if h := handlers(reply); time.Since(start) != 7*time.Second || len(h) != 1 || h[0] != "Devices.Device."+mac+" device_added" {
			t.Errorf("after %v: %v", time.Since(start), h)
		}
		// What happens between two polls is not lost, what was told is not told
		// again.
		if err := b.RemoveStation(mac); err != nil {
			t.Fatal(err)
		}
		reply = b.pollEvents(t, `{"events":["Devices.Device"],"channelid":`+id+`}`)
		if h := handlers(reply); len(h) != 1 || !strings.HasSuffix(h[0], "device_deleted") {
			t.Errorf("then: %v", h)
		}
	})
}

func TestChannelDoesNotExistAfterARestartOrIdleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := inBubble(t, Config{Model: "livebox5", LongPoll: 5 * time.Second})
		id := b.pollEvents(t, `{"events":["NMC"]}`)["channelid"].(json.Number).String()
		gone := func(when string) {
			reply := b.pollEvents(t, `{"events":["NMC"],"channelid":`+id+`}`)
			if _, description, info := faultOf(t, reply); description != "Function execution failed" || info != "channel does not exist" {
				t.Errorf("%s: %v", when, reply)
			}
		}
		// A poll that waits hears of the restart at once.
		time.AfterFunc(time.Second, func() { b.Reboot("") })
		start := time.Now()
		gone("restart while it waits")
		if time.Since(start) != time.Second {
			t.Errorf("the poll ended %v after it began", time.Since(start))
		}
		gone("after the restart")
		id = b.pollEvents(t, `{"events":["NMC"]}`)["channelid"].(json.Number).String()
		time.AfterFunc(channelIdle+time.Second, func() {})
		<-time.After(channelIdle + time.Second)
		gone("idle")
	})
}

func TestHomeLanTellsItsMeasuresEvery30Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := inBubble(t, Config{Model: "livebox7", LongPoll: time.Minute})
		b.Traffic(8e6, 1e6)
		<-time.After(11 * time.Second)
		start := time.Now()
		reply := b.pollEvents(t, `{"events":["HomeLan"]}`)
		if time.Since(start) != 19*time.Second {
			t.Errorf("the measure came after %v", time.Since(start))
		}
		if h := handlers(reply); !slices.Contains(h, "HomeLan.Interface.veip0.Stats Statistics") {
			t.Errorf("events %v", h)
		}
	})
}

func TestSlowBoxAnswersOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := inBubble(t, Config{Model: "livebox4"})
		b.login(t)
		b.Slow(25 * time.Second)
		start := time.Now()
		ends := make(chan time.Duration)
		for range 3 {
			go func() {
				b.ask(t, "NeMo.Intf.lan", "getMIBs", `{"mibs":"base"}`)
				ends <- time.Since(start)
			}()
		}
		for i := range 3 {
			if got, want := <-ends, time.Duration(i+1)*25*time.Second; got != want {
				t.Errorf("answer %d after %v, want %v", i, got, want)
			}
		}
		start = time.Now()
		b.ask(t, "NMC", "get", "")
		if got := time.Since(start); got != 2500*time.Millisecond {
			t.Errorf("another call took %v", got)
		}
		// Who goes away while it waits does not keep the others waiting.
		request := httptest.NewRequest("POST", "/ws", strings.NewReader(`{"service":"NeMo.Intf.lan","method":"getMIBs"}`))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		b.handler.ServeHTTP(httptest.NewRecorder(), request.WithContext(ctx))
		b.Slow(0)
		start = time.Now()
		b.ask(t, "NMC", "get", "")
		if time.Since(start) != 0 {
			t.Error("the box stays slow")
		}
	})
}
