package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func sample() Chart {
	return Chart{
		Title: "A & B <over> time", X: "minutes", Y: "connects per second", LogY: true,
		Curves: []Curve{
			{"first", []Point{{0, 0}, {10, 12000}, {20, 5}}},
			{"second", []Point{{0, 1}, {20, 900}}},
		},
		Marks: []Mark{{"capacity", 1000}},
	}
}

// texts parses the picture and returns its texts and how many paths it has.
func texts(t *testing.T, svg []byte) (words []string, paths int) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return words, paths
		}
		if err != nil {
			t.Fatalf("no XML: %v\n%s", err, svg)
		}
		switch e := tok.(type) {
		case xml.StartElement:
			if e.Name.Local == "path" {
				paths++
			}
		case xml.CharData:
			if s := strings.TrimSpace(string(e)); s != "" {
				words = append(words, s)
			}
		}
	}
}

func TestPictureSaysWhatItShows(t *testing.T) {
	words, paths := texts(t, sample().SVG())
	for _, want := range []string{
		"A & B <over> time", "minutes", "connects per second", "first", "second", "capacity", "1", "100", "100\u2009000", "20",
	} {
		if !slices.Contains(words, want) {
			t.Errorf("texts %q; want %q among them", words, want)
		}
	}
	// Grid: x 0, 2.5 … 20 and y 1 … 100 000; axes; mark; two curves, twice.
	if want := 9 + 6 + 1 + 1 + 4; paths != want {
		t.Errorf("%d lines; want %d", paths, want)
	}
}

func TestSameValuesGiveTheSameBytes(t *testing.T) {
	if !bytes.Equal(sample().SVG(), sample().SVG()) {
		t.Error("two pictures of the same values differ")
	}
	other := sample()
	other.Curves[0].Points[1].Y = 11000
	if bytes.Equal(sample().SVG(), other.SVG()) {
		t.Error("pictures of different values are the same")
	}
}

func TestCurvesStayInThePicture(t *testing.T) {
	for _, tt := range []struct {
		name string
		c    Chart
	}{
		{"logarithmic", sample()},
		{"linear", Chart{Curves: []Curve{{"c", []Point{{0, 0}, {7, 0.25}, {13, 1}}}}}},
		{"all zero", Chart{Curves: []Curve{{"c", []Point{{0, 0}, {0, 0}}}}}},
		{"no points", Chart{Curves: []Curve{{"c", nil}}}},
		{"nothing", Chart{}},
	} {
		x, y := linear(tt.c.most(func(p Point) float64 { return p.X })), tt.c.scaleY()
		for _, curve := range tt.c.Curves {
			for _, p := range curve.Points {
				if px, py := x.place(p.X), y.place(p.Y); px < 0 || px > 1 || py < 0 || py > 1 {
					t.Errorf("%s: %v lies at %v, %v; want 0 to 1", tt.name, p, px, py)
				}
			}
		}
		if svg := string(tt.c.SVG()); strings.Contains(svg, "NaN") || strings.Contains(svg, "Inf") {
			t.Errorf("%s: a coordinate is no number:\n%s", tt.name, svg)
		}
		texts(t, tt.c.SVG())
	}
}

func TestTicksAreRoundAndFew(t *testing.T) {
	for _, high := range []float64{0.003, 1, 7, 99, 1000, 12345, 1.2e7} {
		s := linear(high)
		if n := len(s.ticks); n < 4 || n > 10 {
			t.Errorf("%v: ticks %v; want 4 to 10", high, s.ticks)
		}
		if last := s.ticks[len(s.ticks)-1]; last > high*1.0001 || last < high/2 {
			t.Errorf("%v: last tick %v", high, last)
		}
	}
}
