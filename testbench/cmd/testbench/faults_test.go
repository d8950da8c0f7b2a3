package main

import (
	"os"
	"strings"
	"testing"
)

// The page of results is of the trials that there are, and none of it is a loss.
func TestPageOfFaultsHasEveryTrial(t *testing.T) {
	page, err := os.ReadFile("../../FAULTS.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]int{}
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) < 8 || cells[1] == "fault" || cells[1] == "---" {
			continue
		}
		rows[strings.TrimPrefix(cells[0], "| ")]++
		if lost, twice := cells[3], cells[4]; lost != "0" && lost != "-" || twice != "0" && twice != "-" {
			t.Errorf("lost or duplicated: %s", line)
		}
	}
	for _, name := range names(trials()) {
		if rows[name] == 0 {
			t.Errorf("%s has no row: make faults-table", name)
		}
		delete(rows, name)
	}
	if len(rows) > 0 {
		t.Errorf("rows of no trial: %v", rows)
	}
}
