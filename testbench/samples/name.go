package samples

import (
	"slices"
	"strings"

	"livebox-agent/collector/line"
	"livebox-agent/collector/optics"
	"livebox-agent/collector/platform"
	"livebox-agent/collector/surge"
	"livebox-agent/collector/wan"
	"livebox-agent/collector/wifi"
)

// decoders returns all that read replies.
func decoders() []platform.Decoder {
	return slices.Concat(line.Decoders(), optics.Decoders(), surge.Decoders(), wan.Decoders(), wifi.Decoders())
}

// A call is what a file's name says of the reply in it.
type call struct {
	platform, box, object, method, variant string
}

// key is the call without its parameters.
func (c call) key() string { return c.object + "." + c.method }

// callsOf returns the calls that a file's name may mean: any of its parts,
// which dashes part, may begin or end "Object.method", as names of boxes and
// interfaces may have a dash too. The likeliest is first; there is none in a
// name that is not of the pattern.
func callsOf(name string) []call {
	kind, rest, _ := strings.Cut(name, "-")
	p, ok := map[string]string{"sysbus": platform.Sysbus, "openwrt": platform.OpenWrt, "prplos": platform.OpenWrt}[kind]
	if !ok {
		return nil
	}
	parts := strings.Split(rest, "-")
	var all []call
	for from := range parts {
		if from == 0 && kind == "sysbus" {
			continue // the box
		}
		for to := from + 1; to <= len(parts); to++ {
			// What ends in a part without a dot would have its method there.
			whole := strings.Join(parts[from:to], "-")
			dot := strings.LastIndexByte(whole, '.')
			if dot <= 0 || !strings.Contains(parts[to-1], ".") {
				continue
			}
			c := call{p, strings.Join(parts[:from], "-"), whole[:dot], whole[dot+1:], strings.Join(parts[to:], "-")}
			if c.box == "" {
				c.box = kind
			}
			all = append(all, c)
		}
	}
	return all
}

// find returns the decoders of a call. sure is false where they are those of
// other parameters, which may have been among those of the call.
func find(c call) (found []platform.Decoder, sure bool) {
	var ofMethod []platform.Decoder
	for _, d := range decoders() {
		if d.Platform == c.platform && asks(d, c) {
			ofMethod = append(ofMethod, d)
		}
	}
	with := func(variant string) []platform.Decoder {
		var l []platform.Decoder
		for _, d := range ofMethod {
			if d.Variant == variant {
				l = append(l, d)
			}
		}
		return l
	}
	// A variant may say more than the parameters, such as the kind of line.
	for v := c.variant; ; {
		if l := with(v); len(l) > 0 {
			return l, true
		}
		if v == "" {
			break
		}
		v = v[:max(strings.LastIndexByte(v, '-'), 0)]
	}
	for part := range strings.SplitSeq(c.variant, "-") {
		if l := with(part); len(l) > 0 {
			return l, true
		}
	}
	return ofMethod, false
}

// asks says whether d reads what c asked for, whatever the parameters. The
// last parts of an object may be missing in c where d takes any.
func asks(d platform.Decoder, c call) bool {
	object, method := c.object, c.method
	if d.Platform == platform.OpenWrt {
		// The data model's calls have a "_" and its paths a "Device.", which
		// tools hide and show.
		object = strings.TrimPrefix(object, "Device.")
		if strings.TrimPrefix(d.Method, "_") == method {
			method = d.Method
		}
	}
	if d.Matches(object, method, d.Variant) {
		return true
	}
	rest, ok := strings.CutPrefix(d.Object, object)
	return ok && d.Method == method && rest != "" && strings.Trim(rest, ".*") == "" && rest[0] == '.'
}

// generation returns platform.Hint.Box for the box of a file's name; empty
// for a box that is not known.
func generation(box string) string {
	box = strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(box), "livebox"), "lb"))
	switch box {
	case "3", "4", "5", "6", "7":
		return "livebox" + box
	case "w7", "s":
		return "livebox" + strings.ToUpper(box)
	case "nautilus":
		return "liveboxS"
	case "fibre":
		return "livebox5"
	case "funbox6":
		return box
	}
	return ""
}

// otherUse says what the agent does with a reply that has no decoder.
func otherUse(c call) string {
	switch {
	case c.platform != platform.Sysbus:
	case c.key() == "DeviceInfo.get":
		return "discovery: which box it is"
	case c.key() == "HomeLan.Interface.get":
		return "discovery: names of the interfaces"
	case strings.HasPrefix(c.object, "NeMo.Intf.") && c.method == "getMIBs" && strings.HasPrefix(c.variant, "base"):
		return "discovery: what the interfaces are"
	case c.method == "createContext":
		return "login"
	}
	return ""
}
