package platform

import (
	"strings"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// Values of Decoder.Platform.
const (
	Sysbus  = "sysbus"
	OpenWrt = "openwrt"
	Kernel  = "kernel"
)

// A Hint is what a reply does not say of itself and its meaning depends on.
type Hint struct {
	// Box is the generation of the box ("livebox3" to "livebox7", "liveboxW7",
	// "liveboxS", "funbox6"), or empty where it is not known.
	Box string
}

// A Decoder turns one kind of reply into readings.
type Decoder struct {
	// Name is unique among all decoders: the source, a dot, and what is read,
	// such as "optics.gpon".
	Name string
	// Platform says how the box is asked: Sysbus, OpenWrt or Kernel.
	Platform string
	// Object is the object asked. A part (between dots) that is "*" stands
	// for any one part.
	Object string
	// Method is the function asked.
	Method string
	// Variant tells apart the replies of one method that were asked with
	// different parameters, such as "gpon" for getMIBs of the MIB gpon; empty
	// where there is only one.
	Variant string
	// Metrics are all that Decode may ever give.
	Metrics []catalogue.ID
	// Decode adds to b what the reply n says. n is what the platform's client
	// returns: for sysbus the object that holds "status". Readings added
	// before an error count. It keeps nothing from one call to the next, so a
	// counter is as the box reports it.
	Decode func(n tree.Node, hint Hint, b *sample.Batch) error
}

// Matches says whether d reads the reply of method on object, asked with the
// parameters that variant stands for.
func (d Decoder) Matches(object, method, variant string) bool {
	return d.Method == method && d.Variant == variant && matches(d.Object, object)
}

// matches compares a pattern with an object, part by part.
func matches(pattern, object string) bool {
	for {
		p, patternRest, morePattern := strings.Cut(pattern, ".")
		o, objectRest, moreObject := strings.Cut(object, ".")
		if p != "*" && p != o || o == "" || morePattern != moreObject {
			return false
		}
		if !morePattern {
			return true
		}
		pattern, object = patternRest, objectRest
	}
}
