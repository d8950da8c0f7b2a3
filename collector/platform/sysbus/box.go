package sysbus

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/platform/tree"
)

// RediscoverAfter is how long a Box is remembered that was not found whole,
// because the box had just started or keeps something to itself.
const RediscoverAfter = 10 * time.Minute

// Unknown is the generation of a box that is none of those known.
const Unknown = "unknown"

// A Box says which box this is and what its interfaces are called. Names of
// interfaces go below "NeMo.Intf.". The slices must not be changed.
type Box struct {
	// Generation is "livebox3" to "livebox7", "liveboxW7", "liveboxS",
	// "funbox6", or Unknown.
	Generation string
	// ProductClass and SoftwareVersion are the box's own words.
	ProductClass, SoftwareVersion string
	// WAN are the physical interfaces towards the network, those that are up
	// first.
	WAN []string
	// DSL and PON are the one of each kind; empty where the box has none.
	DSL, PON string
	// Radios are the Wi-Fi radios, VAPs the access points on them.
	Radios, VAPs []string
}

// Bounds of what a box may call its interfaces, and of how many count.
const (
	maxName       = 32
	maxInterfaces = 32
)

// Box returns which box this is. It asks until it knows the box, its
// interfaces towards the network and its radios, and from then on remembers.
// Where the box keeps its interfaces to itself, those are empty.
func (c *Client) Box(ctx context.Context) (Box, error) {
	if err := take(ctx, c.discovery); err != nil {
		return Box{}, err
	}
	defer func() { c.discovery <- struct{}{} }()
	if c.box != nil && (c.boxWhole || c.now() < c.boxUntil) {
		return *c.box, nil
	}
	b, whole, err := c.discover(ctx)
	if err != nil {
		return Box{}, err
	}
	first := c.box == nil
	c.box, c.boxWhole, c.boxUntil = &b, whole, c.now()+RediscoverAfter
	if !first && !whole {
		return b, nil
	}
	c.log.Info("box discovered", "generation", b.Generation, "product_class", b.ProductClass,
		"software", b.SoftwareVersion, "wan", b.WAN, "radios", b.Radios)
	return b, nil
}

// discover asks for all that a Box has, and says whether it found it.
func (c *Client) discover(ctx context.Context) (b Box, whole bool, err error) {
	info, err := c.Call(ctx, "DeviceInfo", "get", nil)
	if err != nil {
		return Box{}, false, err
	}
	b.ProductClass, _ = info.Get("status", "ProductClass").Text()
	b.SoftwareVersion, _ = info.Get("status", "SoftwareVersion").Text()
	b.ProductClass, b.SoftwareVersion = clip(b.ProductClass), clip(b.SoftwareVersion)
	b.Generation = generation(b.ProductClass)

	// The flags say most. What is asked is the MIB base alone: the others
	// hold the customer's devices.
	var found interfaces
	for _, ask := range []struct {
		object, method string
		params         any
		read           func(tree.Node)
	}{
		{"NeMo.Intf.data", "getMIBs", map[string]string{"mibs": "base", "traverse": "all"}, found.addFlags},
		{"NeMo.Intf.lan", "getMIBs", map[string]string{"mibs": "base"}, found.addFlags},
		{"HomeLan.Interface", "get", nil, found.addFriendly},
	} {
		n, err := c.Call(ctx, ask.object, ask.method, ask.params)
		if err != nil {
			if known(err) {
				continue
			}
			return Box{}, false, err
		}
		ask.read(n)
	}
	found.fill(&b)
	return b, len(b.WAN) > 0 && len(b.Radios) > 0, nil
}

// known says whether err is how this box will always answer, so that what can
// be found without is all there is.
func known(err error) bool {
	if errors.Is(err, collector.ErrNoData) || errors.Is(err, collector.ErrRefused) {
		return true
	}
	_, isFault := errors.AsType[*FaultError](err)
	return isFault
}

// generation returns Box.Generation for a ProductClass.
func generation(class string) string {
	class = strings.ReplaceAll(strings.ToLower(class), " ", "")
	for _, g := range []struct{ class, generation string }{
		{"liveboxfibre", "livebox5"},
		{"liveboxnautilus", "liveboxS"},
		{"liveboxs", "liveboxS"},
		{"liveboxw7", "liveboxW7"},
		{"liveboxplay", "livebox3"},
		{"livebox3", "livebox3"},
		{"livebox4", "livebox4"},
		{"livebox5", "livebox5"},
		{"livebox6", "livebox6"},
		{"livebox7", "livebox7"},
		{"funbox6", "funbox6"},
	} {
		if strings.HasPrefix(class, g.class) {
			return g.generation
		}
	}
	return Unknown
}

// A role is what an interface is for.
type role uint8

const (
	rolePON role = iota
	roleDSL
	roleEthernetWAN
	roleRadio
	roleVAP
	numRoles
)

// interfaces are the names found for each role, those that are up first.
type interfaces struct {
	up, down [numRoles][]string
}

func (f *interfaces) add(r role, name string, up bool) {
	if !named(name) || len(f.up[r])+len(f.down[r]) >= maxInterfaces ||
		slices.Contains(f.up[r], name) || slices.Contains(f.down[r], name) {
		return
	}
	list := &f.down[r]
	if up {
		list = &f.up[r]
	}
	*list = append(*list, name)
}

// named says whether name can be that of an interface. It becomes part of a
// path and of what the agent reports.
func named(name string) bool {
	return name != "" && len(name) <= maxName && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '_' && r != '-'
	})
}

// addFlags takes a reply of getMIBs: the MIB base says of each interface what
// it is, as words in any order.
func (f *interfaces) addFlags(n tree.Node) {
	n.Get("status", "base").Each(func(name string, base tree.Node) {
		text, _ := base.Get("Flags").Text()
		flags := strings.Fields(text)
		has := func(flag string) bool { return slices.Contains(flags, flag) }
		up := has("up")
		switch {
		case has("wlanradio"):
			f.add(roleRadio, name, up)
		case has("wlanvap"):
			f.add(roleVAP, name, up)
		case has("vlan"):
			// What runs over an interface is not one of its own.
		case has("gpon"), has("xgspon"), strings.HasPrefix(name, "veip"):
			f.add(rolePON, name, up)
		case has("dsl"), strings.HasPrefix(name, "dsl"):
			f.add(roleDSL, name, up)
		case has("wan") && has("physical"):
			// The others are what the connection is bundled in, such as "data".
			f.add(roleEthernetWAN, name, up)
		}
	})
}

// addFriendly takes a reply of HomeLan.Interface.get: what the box calls its
// interfaces on its web page. It comes last, so that the flags decide what is
// up.
func (f *interfaces) addFriendly(n tree.Node) {
	n.Get("status").Each(func(key string, intf tree.Node) {
		name, ok := intf.Get("Name").Text()
		if !ok {
			name = key
		}
		friendly, _ := intf.Get("FriendlyName").Text()
		alias, _ := intf.Get("Alias").Text()
		switch {
		case friendly == "WAN_GPON", friendly == "WAN_XGSPON":
			f.add(rolePON, name, false)
		case friendly == "xDSL", friendly == "xDSL-Sync":
			f.add(roleDSL, name, false)
		case friendly == "WAN_Ethernet", friendly == "Optical ONT":
			f.add(roleEthernetWAN, name, false)
		case alias == "WiFi", strings.HasPrefix(friendly, "802.11-"):
			f.add(roleVAP, name, false)
		}
	})
}

// fill sorts the names into b.
func (f *interfaces) fill(b *Box) {
	all := func(r role) []string { return slices.Concat(f.up[r], f.down[r]) }
	first := func(r role) string {
		if names := all(r); len(names) > 0 {
			return names[0]
		}
		return ""
	}
	b.PON, b.DSL = first(rolePON), first(roleDSL)
	b.Radios, b.VAPs = all(roleRadio), all(roleVAP)
	for _, list := range [][numRoles][]string{f.up, f.down} {
		for _, r := range []role{rolePON, roleDSL, roleEthernetWAN} {
			b.WAN = append(b.WAN, list[r]...)
		}
	}
}
