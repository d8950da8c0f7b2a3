package budget

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
)

func TestRowThatWasNotMeasuredIsNotKept(t *testing.T) {
	r := Report{Version: "1.2.3", Rows: []Row{
		measured("a", "MB", 7.5, 7.5, "scales"),
		unmeasured("b", "MB", 2, "no scales here"),
		informative("c", "ms", 3, "watch"),
	}}
	if err := r.Err(); err != nil {
		t.Errorf("Err = %v", err)
	}
	if got := r.Count(Within); got != 1 {
		t.Errorf("%d rows within, want 1", got)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"no scales here", "1 within budget, 0 over, 0 missed, 1 not measured, 1 for information\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %q in\n%s", want, &text)
		}
	}
	var js bytes.Buffer
	if err := r.WriteJSON(&js); err != nil {
		t.Fatal(err)
	}
	var back struct {
		Version     string
		Rows        []Row
		Within      int
		Over        int
		NotMeasured int `json:"not_measured"`
	}
	if err := json.Unmarshal(js.Bytes(), &back); err != nil {
		t.Fatal(err)
	}
	if back.Version != "1.2.3" || len(back.Rows) != 3 || back.Within != 1 || back.NotMeasured != 1 || back.Rows[1].State != NotMeasured {
		t.Errorf("JSON %s", &js)
	}
}

func TestOneRowOverFailsTheWhole(t *testing.T) {
	for _, value := range []float64{2.01, math.Inf(1), math.NaN()} {
		r := Report{Rows: []Row{measured("good", "MB", 1, 2, ""), measured("bad", "MB", value, 2, "")}}
		err := r.Err()
		if !errors.Is(err, ErrOver) || !strings.Contains(err.Error(), "bad") || strings.Contains(err.Error(), "good") {
			t.Errorf("value %v: Err = %v", value, err)
		}
	}
	// A budget of nothing is a budget.
	if err := (Report{Rows: []Row{measured("flash", "bytes", 1, 0, "")}}).Err(); !errors.Is(err, ErrOver) {
		t.Errorf("1 byte of 0: Err = %v", err)
	}
}

func TestNumbersKeepThreeDigits(t *testing.T) {
	for want, v := range map[string]float64{"0": 0, "7.5": 7.5, "6.36": 6.3591, "0.601": 0.60149, "12345": 12345.4, "-200": -200.2} {
		if got := number(v); got != want {
			t.Errorf("number(%v) = %s, want %s", v, got, want)
		}
	}
}
