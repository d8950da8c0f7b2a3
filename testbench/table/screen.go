package table

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Control sequences of ECMA-48 and xterm.
const (
	enter = "\x1b[?1049h\x1b[?25l" // the alternate screen, without the cursor
	leave = "\x1b[?25h\x1b[?1049l"
	home  = "\x1b[H"
	rest  = "\x1b[K" // clears the rest of the line
	below = "\x1b[J" // clears what is below
)

// logLines is how many of the agent's lines stay in view.
const logLines = 3

// A Screen shows views one after the other.
type Screen struct {
	w io.Writer
	// size returns the terminal's columns and rows; nil means that there is no
	// terminal and views follow each other.
	size func() (columns, rows int)
}

// Open returns a screen on w: redrawn in place if w is a terminal, unless plain
// is set.
func Open(w io.Writer, plain bool) *Screen {
	s := &Screen{w: w}
	f, ok := w.(*os.File)
	if !ok || plain {
		return s
	}
	if _, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err != nil {
		return s
	}
	s.size = func() (int, int) {
		ws, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
		if err != nil || ws.Col == 0 || ws.Row == 0 {
			return 80, 24
		}
		return int(ws.Col), int(ws.Row)
	}
	return s
}

// InPlace says whether each view replaces the one before.
func (s *Screen) InPlace() bool { return s.size != nil }

// Begin makes room for the views.
func (s *Screen) Begin() {
	if s.InPlace() {
		fmt.Fprint(s.w, enter)
	}
}

// End gives the terminal back as it was.
func (s *Screen) End() {
	if s.InPlace() {
		fmt.Fprint(s.w, leave)
	}
}

// Show shows a view.
func (s *Screen) Show(v View) error {
	if !s.InPlace() {
		lines := append(slices.Concat(v.Head(), v.Rows()), "")
		_, err := fmt.Fprintln(s.w, strings.Join(lines, "\n"))
		return err
	}
	columns, rows := s.size()
	_, err := io.WriteString(s.w, home+strings.Join(fit(v, columns, rows), rest+"\r\n")+rest+below)
	return err
}

// fit cuts a view to a terminal's size: head, as many rows as there is room
// for, and the agent's last lines.
func fit(v View, columns, height int) []string {
	head := append(v.Head(), "")
	var foot []string
	if n := len(v.Log); n > 0 {
		foot = append(foot, "")
		for _, l := range v.Log[max(0, n-logLines):] {
			foot = append(foot, printable(l))
		}
	}
	rows := v.Rows()
	if rows == nil {
		rows = []string{"no readings yet"}
	}
	if room := height - len(head) - len(foot); len(rows) > room {
		room = max(room-1, 0)
		rows = append(rows[:room:room], fmt.Sprintf("… and %d rows more than this terminal is high", len(rows)-room))
	}
	lines := slices.Concat(head, rows, foot)
	lines = lines[:min(len(lines), height)]
	for i, l := range lines {
		lines[i] = cut(l, columns)
	}
	return lines
}

// cut shortens a line to a number of columns.
func cut(s string, columns int) string {
	if utf8.RuneCountInString(s) <= columns {
		return s
	}
	return string([]rune(s)[:max(columns-1, 0)]) + "…"
}
