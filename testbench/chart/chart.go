// Package chart draws curves as SVG, for pictures that stand in documents.
//
// The same values always give the same bytes.
package chart

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// A Point is one point of a curve.
type Point struct{ X, Y float64 }

// A Curve is a line with its name.
type Curve struct {
	Name   string
	Points []Point
}

// A Mark is a horizontal line with a word beside it, such as a capacity.
type Mark struct {
	Name string
	Y    float64
}

// A Chart is one picture.
type Chart struct {
	Title string
	// X and Y say what the axes show, with the unit.
	X, Y string
	// LogY draws powers of ten at equal distances; values below the least tick
	// lie on the axis.
	LogY   bool
	Curves []Curve
	Marks  []Mark
}

// The layout, in pixels.
const (
	width, height = 760, 400
	left, right   = 96, 20
	top, bottom   = 44, 82
	plotWidth     = width - left - right
	plotHeight    = height - top - bottom
	// legendWidth is what one entry of the legend takes beside its letters.
	legendWidth = 44
	letterWidth = 7
)

// colours are told apart by those who see no red or green, too (Okabe and Ito).
func colours() []string {
	return []string{"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"}
}

// dashes tell curves apart in print.
func dashes() []string { return []string{"", "7 3", "2 3", "9 3 2 3", "4 2", "1 2"} }

// SVG returns the picture.
func (c Chart) SVG() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" `+
		`font-family="sans-serif" font-size="12">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", width, height)
	text(&b, width/2, 24, middle+` font-size="15" font-weight="bold"`, c.Title)
	x := linear(c.most(func(p Point) float64 { return p.X }))
	y := c.scaleY()
	grid(&b, x, y)
	text(&b, left+plotWidth/2, height-bottom+36, middle, c.X)
	text(&b, 16, top+plotHeight/2, middle+fmt.Sprintf(` transform="rotate(-90 16 %d)"`, top+plotHeight/2), c.Y)
	for _, m := range c.Marks {
		at := number(top + plotHeight*(1-y.place(m.Y)))
		fmt.Fprintf(&b, `<path d="M%d %sH%d" stroke="#555" stroke-dasharray="3 3"/>`+"\n", left, at, width-right)
		fmt.Fprintf(&b, `<text x="%d" y="%s" dy="-4" text-anchor="end" fill="#555">%s</text>`+"\n", width-right-4, at, escape(m.Name))
	}
	for i, curve := range c.Curves {
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke-width="1.6" %s/>`+"\n", path(curve.Points, x, y), stroke(i))
	}
	c.legend(&b)
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// most returns the greatest value of the points, 1 where there is none above 0.
func (c Chart) most(of func(Point) float64) float64 {
	most := 0.0
	for _, curve := range c.Curves {
		for _, p := range curve.Points {
			most = max(most, of(p))
		}
	}
	if most <= 0 {
		return 1
	}
	return most
}

func (c Chart) scaleY() scale {
	most := c.most(func(p Point) float64 { return p.Y })
	for _, m := range c.Marks {
		most = max(most, m.Y)
	}
	if c.LogY {
		return logarithmic(most)
	}
	return linear(most)
}

// A scale places values between 0 and 1, and has ticks.
type scale struct {
	low, high float64
	log       bool
	ticks     []float64
}

// linear is a scale from 0 with four to nine ticks at round values, up to the last
// value.
func linear(high float64) scale {
	s := scale{high: high}
	step := math.Pow(10, math.Floor(math.Log10(high/4)))
	for _, f := range []float64{1, 2, 2.5, 5} {
		if high/(step*f) <= 8 {
			step *= f
			break
		}
	}
	for i := 0; float64(i)*step <= high*(1+1e-9); i++ {
		s.ticks = append(s.ticks, float64(i)*step)
	}
	return s
}

// logarithmic is a scale from 1 to the next power of ten above high.
func logarithmic(high float64) scale {
	s := scale{low: 1, high: 10, log: true, ticks: []float64{1, 10}}
	for s.high < high {
		s.high *= 10
		s.ticks = append(s.ticks, s.high)
	}
	return s
}

func (s scale) place(v float64) float64 {
	if s.log {
		return math.Log10(max(v, s.low)) / math.Log10(s.high)
	}
	return (v - s.low) / (s.high - s.low)
}

func grid(b *bytes.Buffer, x, y scale) {
	for _, v := range x.ticks {
		at := left + plotWidth*x.place(v)
		fmt.Fprintf(b, `<path d="M%s %dV%d" stroke="#ddd"/>`+"\n", number(at), top, top+plotHeight)
		text(b, int(math.Round(at)), top+plotHeight+18, middle, group(v))
	}
	for _, v := range y.ticks {
		at := top + plotHeight*(1-y.place(v))
		fmt.Fprintf(b, `<path d="M%d %sH%d" stroke="#ddd"/>`+"\n", left, number(at), left+plotWidth)
		text(b, left-8, int(math.Round(at))+4, end, group(v))
	}
	fmt.Fprintf(b, `<path d="M%d %dV%dH%d" fill="none" stroke="black"/>`+"\n", left, top, top+plotHeight, left+plotWidth)
}

// path draws the points; what is to the right of the picture is left out.
func path(points []Point, x, y scale) string {
	var b strings.Builder
	op := "M"
	for _, p := range points {
		fmt.Fprintf(&b, "%s%s %s", op, number(left+plotWidth*x.place(p.X)), number(top+plotHeight*(1-y.place(p.Y))))
		op = "L"
	}
	return b.String()
}

func (c Chart) legend(b *bytes.Buffer) {
	at := left
	for i, curve := range c.Curves {
		fmt.Fprintf(b, `<path d="M%d %dh26" stroke-width="2.4" %s/>`+"\n", at, height-18, stroke(i))
		text(b, at+32, height-14, start, curve.Name)
		at += legendWidth + letterWidth*len([]rune(curve.Name))
	}
}

func stroke(i int) string {
	s := fmt.Sprintf(`stroke="%s"`, colours()[i%len(colours())])
	if d := dashes()[i%len(dashes())]; d != "" {
		s += fmt.Sprintf(` stroke-dasharray="%s"`, d)
	}
	return s
}

// Where a text lies about its place.
const (
	start  = `text-anchor="start"`
	middle = `text-anchor="middle"`
	end    = `text-anchor="end"`
)

func text(b *bytes.Buffer, x, y int, attributes, s string) {
	fmt.Fprintf(b, `<text x="%d" y="%d" %s>%s</text>`+"\n", x, y, attributes, escape(s))
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder takes everything
	return b.String()
}

// number writes a coordinate to a tenth of a pixel.
func number(v float64) string {
	return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0")
}

// group writes the value of a tick, with thin spaces between thousands.
func group(v float64) string {
	s := fmt.Sprintf("%g", v)
	if v >= 1e4 {
		s = fmt.Sprintf("%.0f", v)
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "\u2009" + s[i:]
		}
	}
	return s
}
