package fault

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

func trial(name string, err error, rows ...Row) Trial {
	return Trial{name, func(context.Context, Lab) ([]Row, error) { return rows, err }}
}

func quiet() Lab { return Lab{Log: func(string, ...any) {}} }

func TestTrialThatFailsDoesNotKeepTheOthers(t *testing.T) {
	broken := errors.New("no disk")
	rows, err := Run(t.Context(), []Trial{
		trial("a", broken, Row{Fault: "half"}), trial("b", nil, Row{Fault: "whole", Trials: 3}),
	}, quiet())
	if len(rows) != 2 || rows[0].Trial != "a" || rows[1].Trials != 3 {
		t.Errorf("rows %+v; want those of both", rows)
	}
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "a: ") || errors.Is(err, ErrBroken) {
		t.Errorf("error %v; want that of a, and no more", err)
	}
}

func TestWhatIsLostOrDuplicatedIsAnError(t *testing.T) {
	for _, r := range []Row{{Lost: 1}, {Duplicated: 1}} {
		if _, err := Run(t.Context(), []Trial{trial("a", nil, r)}, quiet()); !errors.Is(err, ErrBroken) {
			t.Errorf("%+v: error %v; want %v", r, err, ErrBroken)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if rows, err := Run(ctx, []Trial{trial("a", nil, Row{})}, quiet()); len(rows) != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v, %v", rows, err)
	}
}

func TestTableHasWhatTheRowsHave(t *testing.T) {
	rows := []Row{
		{Trial: "cuts", Fault: "power cut", Trials: 12345, FlashBytes: 4000000, Note: "each operation"},
		{Trial: "packets", Fault: "packets delayed", Untried: "no netem"},
		{Fault: "flash full", Trials: 2, Lost: 7, Duplicated: 8, Recovered: 10 * time.Minute, Virtual: true},
	}
	var text, page, js strings.Builder
	if err := errors.Join(Print(&text, rows), PrintMarkdown(&page, rows), PrintJSON(&js, rows)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"FAULT", "cuts", "12,345", "4,000,000", "each operation", "10m0s (simulated)"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("table\n%s\nlacks %q", text.String(), want)
		}
	}
	lines := strings.Split(page.String(), "\n")
	if want := "| cuts | power cut | 12,345 | 0 | 0 | - | 4,000,000 | each operation |"; len(lines) != 6 || lines[2] != want {
		t.Errorf("page\n%s\nwants the row %s", page.String(), want)
	}
	if want := "| packets | packets delayed | 0 | - | - | - | - | not tried: no netem |"; lines[3] != want {
		t.Errorf("page\n%s\nwants the row %s", page.String(), want)
	}
	var again []Row
	if err := json.Unmarshal([]byte(js.String()), &again); err != nil || !reflect.DeepEqual(again, rows) {
		t.Errorf("JSON gives %+v, %v; want %+v", again, err, rows)
	}
}
