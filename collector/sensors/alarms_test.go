package sensors

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// board is a chip with two rails and two temperatures.
var board = tree{
	"class/hwmon/hwmon0/name":      "ina3221",
	"class/hwmon/hwmon0/in1_input": "12010", "class/hwmon/hwmon0/in1_label": "12V",
	"class/hwmon/hwmon0/in1_min_alarm": "0", "class/hwmon/hwmon0/in1_max_alarm": "0",
	"class/hwmon/hwmon0/in1_lcrit_alarm": "0", "class/hwmon/hwmon0/in1_lowest": "11890", "class/hwmon/hwmon0/in1_highest": "12100",
	"class/hwmon/hwmon0/in2_input": "3300", "class/hwmon/hwmon0/in2_alarm": "0",
	"class/hwmon/hwmon0/in3_input":   "1800",
	"class/hwmon/hwmon0/temp1_input": "48000", "class/hwmon/hwmon0/temp1_max_alarm": "0", "class/hwmon/hwmon0/temp1_crit_alarm": "0",
	"class/hwmon/hwmon0/temp2_input": "1000", "class/hwmon/hwmon0/temp2_min_alarm": "0",
	"class/hwmon/hwmon0/fan1_input": "100", "class/hwmon/hwmon0/fan1_alarm": "1",
}

// askAlarms returns what the source gives, by instance and metric.
func askAlarms(t *testing.T, a *Alarms) (map[string]int64, error) {
	t.Helper()
	var b sample.Batch
	err := a.Collect(t.Context(), &b)
	got := map[string]int64{}
	for _, r := range b.Readings {
		m, _ := catalogue.Lookup(r.Metric)
		got[r.Instance+" "+m.Name[strings.LastIndexByte(m.Name, '.')+1:]] = r.Value
	}
	return got, err
}

func (x tree) alarms(t *testing.T) (a *Alarms, root string) {
	t.Helper()
	root = t.TempDir()
	x.write(t, root)
	a = NewAlarms(root, nil)
	t.Cleanup(func() { _ = a.Close() })
	return a, root
}

// signs returns what was found since the last time.
func (a *Alarms) signs() (got []string) {
	a.tell(func(s sample.Sign) {
		got = append(got, fmt.Sprintf("%v %s %d>%d", s.Kind, s.Instance, s.Before, s.After))
	})
	return got
}

func TestAlarmsAndExtremesAreRead(t *testing.T) {
	a, root := board.alarms(t)
	want := map[string]int64{
		"ina3221 12V Alarm": 0, "ina3221 12V Lowest": 11890, "ina3221 12V Highest": 12100, "ina3221 in2 Alarm": 0,
		"ina3221 temp1 X_LIVEBOX-AGENT_Alarm": 0, "ina3221 temp2 X_LIVEBOX-AGENT_Alarm": 0,
	}
	if got, err := askAlarms(t, a); !maps.Equal(got, want) || err != nil {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	tree{"class/hwmon/hwmon0/in1_lowest": "9100", "class/hwmon/hwmon0/in1_min_alarm": "1"}.write(t, root)
	want["ina3221 12V Lowest"], want["ina3221 12V Alarm"] = 9100, catalogue.AlarmLow
	if got, err := askAlarms(t, a); !maps.Equal(got, want) || err != nil {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if got := a.signs(); len(got) != 1 || got[0] != "brown_out ina3221 12V 0>1" {
		t.Errorf("signs %q; what the source finds, the watcher tells", got)
	}
}

func TestAlarmThatIsRaisedOrGoesIsTold(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files []string // of which all are 1, the others 0
		want  string
	}{
		{"low", []string{"in1_min"}, "brown_out ina3221 12V 0>1"},
		{"critically low says more", []string{"in1_min", "in1_lcrit"}, "brown_out ina3221 12V 0>3"},
		{"high", []string{"in1_max"}, "over_voltage ina3221 12V 0>2"},
		{"without a direction", []string{"in2"}, "brown_out ina3221 in2 0>5"},
		{"hot", []string{"temp1_max"}, "hot ina3221 temp1 0>2"},
		{"critically hot", []string{"temp1_crit"}, "hot ina3221 temp1 0>4"},
		{"cold", []string{"temp2_min"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, root := board.alarms(t)
			set := func(v string) {
				for _, f := range tt.files {
					tree{"class/hwmon/hwmon0/" + f + "_alarm": v}.write(t, root)
				}
				if _, err := askAlarms(t, a); err != nil {
					t.Fatal(err)
				}
			}
			set("0")
			if got := a.signs(); len(got) > 0 {
				t.Errorf("signs of health: %q", got)
			}
			set("1")
			set("1")
			if got := strings.Join(a.signs(), "; "); got != tt.want {
				t.Errorf("raised: %q; want %q", got, tt.want)
			}
			set("0")
			got := strings.Join(a.signs(), "; ")
			switch kind, _, _ := strings.Cut(tt.want, " "); {
			case kind == "hot" && !strings.HasPrefix(got, "cooled "), kind == "" && got != "",
				kind != "hot" && kind != "" && !strings.HasPrefix(got, "rail_normal "):
				t.Errorf("gone: %q", got)
			}
		})
	}
}

func TestWatcherTellsOfAnAlarmBetweenTwoRounds(t *testing.T) {
	a, root := board.alarms(t)
	a.every = 5 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	signs, ended := make(chan sample.Sign, 10), make(chan error, 1)
	go func() { ended <- a.Run(ctx, func(s sample.Sign) { signs <- s }) }()
	for _, v := range []string{"1", "0"} {
		<-time.After(20 * time.Millisecond)
		tree{"class/hwmon/hwmon0/in1_min_alarm": v}.write(t, root)
		select {
		case s := <-signs:
			if (s.Kind == sample.BrownOut) != (v == "1") || s.Metric != catalogue.SensorVoltageAlarm {
				t.Errorf("alarm %s: sign %+v", v, s)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("no sign")
		}
	}
	// Discovered anew meanwhile, it goes on with the new files.
	a.mu.Lock()
	a.discover()
	a.mu.Unlock()
	tree{"class/hwmon/hwmon0/in1_max_alarm": "1"}.write(t, root)
	if s := <-signs; s.Kind != sample.OverVoltage {
		t.Errorf("sign %+v", s)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v", err)
	}
}

func TestAlarmThatCannotBeReadCostsItself(t *testing.T) {
	x := maps.Clone(board)
	x["class/hwmon/hwmon0/in1_min_alarm"] = "perhaps"
	x["class/hwmon/hwmon0/in2_alarm"] = "much"
	a, root := x.alarms(t)
	got, err := askAlarms(t, a)
	if _, known := got["ina3221 in2 Alarm"]; known || got["ina3221 12V Lowest"] != 11890 || len(got) != 5 || err != nil {
		t.Errorf("%v, %v; want all but in2", got, err)
	}
	tree{"class/hwmon/hwmon0/in1_lcrit_alarm": "1"}.write(t, root)
	if got, _ := askAlarms(t, a); got["ina3221 12V Alarm"] != catalogue.AlarmCriticallyLow {
		t.Errorf("%v; want the alarm that can be read", got)
	}
}

func TestSensorsFoundAnewKeepTheirState(t *testing.T) {
	now := time.Minute
	root := t.TempDir()
	x := maps.Clone(board)
	x["class/hwmon/hwmon0/in1_min_alarm"] = "1"
	x.write(t, root)
	a := NewAlarms(root, func() time.Duration { return now })
	for range 3 {
		if _, err := askAlarms(t, a); err != nil {
			t.Fatal(err)
		}
		now += discoverEvery
	}
	if got := a.signs(); len(got) != 1 || a.generation != 3 {
		t.Errorf("signs %q in %d discoveries; want one", got, a.generation)
	}
	tree{"class/hwmon/hwmon1/name": "late", "class/hwmon/hwmon1/in0_input": "5000", "class/hwmon/hwmon1/in0_alarm": "0"}.write(t, root)
	if err := os.RemoveAll(filepath.Join(root, "class/hwmon/hwmon0")); err != nil {
		t.Fatal(err)
	}
	now += discoverEvery
	if got, err := askAlarms(t, a); len(got) != 1 || err != nil {
		t.Errorf("%v, %v; want the new chip alone", got, err)
	}
}

func TestOutcomesOfAlarms(t *testing.T) {
	for _, x := range []tree{{"kernel/x": ""}, {"class/hwmon/hwmon0/name": "lm75", "class/hwmon/hwmon0/temp1_input": "1"}} {
		a, _ := x.alarms(t)
		got, err := askAlarms(t, a)
		if len(got) > 0 || !errors.Is(err, collector.ErrNoData) {
			t.Errorf("%v, %v; want no data", got, err)
		}
		if err := a.Run(t.Context(), nil); !errors.Is(err, collector.ErrNoData) {
			t.Errorf("Run = %v; want no data", err)
		}
	}
	a, _ := board.alarms(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var b sample.Batch
	if err := a.Collect(ctx, &b); err == nil {
		t.Error("a round whose time is over has no error")
	}
	if _, err := collector.NewSet(collector.Options{Now: func() time.Duration { return 0 }}, a); err != nil {
		t.Error(err)
	}
}

func TestSteadyLookAllocatesNothing(t *testing.T) {
	a, _ := board.alarms(t)
	ctx := t.Context()
	look := func() {
		if err := a.look(ctx); err != nil {
			t.Error(err)
		}
	}
	look()
	if n := testing.AllocsPerRun(100, look); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
