package box

import (
	"slices"
	"strings"
)

// An intf is one interface of the box's network model.
type intf struct {
	name, flags  string
	status       bool
	upper, lower []string
}

// intfs returns all interfaces, from the bridges down to the lines.
func (b *Box) intfs() []intf {
	p, w := b.p, b.world
	list := []intf{
		{name: "lo", flags: "netdev enabled up", status: true},
		{name: "lan", flags: "lan bridge netdev enabled up", status: true, lower: []string{"bridge"}},
		{name: "data", flags: "data wan enabled up", status: w.wanUp(), lower: []string{p.wanIntf}},
	}
	bridge := intf{name: "bridge", flags: "bridge netdev statmon enabled up", status: true, upper: []string{"lan"}}
	for i := range p.radios {
		r := &p.radios[i]
		radio := intf{
			name: r.name, status: true, upper: append(slices.Clone(r.vaps), r.guests...),
			flags: strings.Join(strings.Fields("wlanradio penable physical "+r.driver+" wlanradio-bound enabled up"), " "),
		}
		for n, v := range r.vaps {
			flags := r.vapFlags
			if r.flags != "" {
				flags = "wlanvap penable netdev statmon " + r.flags + []string{" primary", " secondary"}[min(n, 1)] +
					" wlanvap-bound wlansta netdev-bound inbridge netdev-up"
				if n == 0 {
					flags += " enabled up"
				}
			}
			vap := intf{name: v, flags: flags, status: n == 0, lower: []string{r.name}}
			for _, bridged := range r.bridges {
				vap.upper = append(vap.upper, strings.Replace(bridged, "%s", strings.TrimPrefix(v, "vap"+r.band[:1]+"g0priv"), 1))
			}
			vap.upper = append(vap.upper, "bridge")
			bridge.lower = append(bridge.lower, v)
			list = append(list, vap)
		}
		list = append(list, radio)
	}
	for _, port := range p.ports {
		list = append(list, intf{
			name: port, flags: "netdev eth physical netdev-monitor statmon enabled netdev-bound netdev-up inbridge up",
			status: true, upper: []string{"bridge"},
		})
		bridge.lower = append(bridge.lower, port)
	}
	list = append(list, bridge, b.wanInterface())
	if p.idleDSL != "" {
		list[2].lower = append(list[2].lower, p.idleDSL)
		list = append(list, intf{name: p.idleDSL, flags: "dsl physical wan statmon enabled netdev", upper: []string{"data"}})
	}
	return list
}

// wanInterface returns the line's own interface.
func (b *Box) wanInterface() intf {
	p := b.p
	i := intf{name: p.wanIntf, status: b.world.linkUp(), upper: []string{"data"}}
	switch p.wan {
	case wanPON:
		i.flags = "netdev gpon physical netdev-monitor wan statmon enabled netdev-bound netdev-up up ipv6-remote-routes"
		i.upper = []string{"gvlan_data", "gvlan_multi", "gvlan_voip", "gvlan_iptv1", "gvlan_iptv2"}
	case wanDSL:
		i.flags = "dsl physical wan statmon enabled netdev netdev-bound up"
	default:
		i.flags = "netdev eth physical netdev-monitor wan statmon enabled netdev-bound netdev-up up"
	}
	if !i.status {
		i.flags = strings.Join(slices.DeleteFunc(strings.Fields(i.flags), func(f string) bool { return f == "up" }), " ")
	}
	return i
}

// interfaceCall answers a function of NeMo.Intf.name.
func (b *Box) interfaceCall(name string, q request) *object {
	all := b.intfs()
	n := slices.IndexFunc(all, func(i intf) bool { return i.name == name })
	if n < 0 {
		if b.config.ExternalONT && name == "veip0" {
			return b.unbound(q)
		}
		return b.failure(q.service, notFound(q.service))
	}
	switch q.method {
	case "getMIBs":
		return obj("status", b.mibs(all, all[n], q.parameters))
	case "getIntfs":
		names := []any{}
		for _, i := range reach(all, all[n], text(q.parameters["traverse"])) {
			if flagged(i.flags, text(q.parameters["flag"])) {
				names = append(names, i.name)
			}
		}
		return obj("status", names)
	case "getNetDevStats":
		if t := b.world.traffic[name]; t != nil {
			return obj("status", b.netDevStats(t))
		}
		return b.failure(q.service,
			fault{codeNotFound, "Intf not bound to any NetDev.Link", name}, failed(q.method))
	case "get":
		if name == b.p.wanIntf && b.p.wan == wanPON {
			return obj("status", b.gpon())
		}
	}
	if reply := b.lineCall(name, q.method); reply != nil {
		return reply
	}
	if reply := b.wifiCall(name, q.method); reply != nil {
		return reply
	}
	return b.failure(q.service, failed(q.method))
}

// unbound answers for a veip0 that no line is behind.
func (b *Box) unbound(q request) *object {
	if q.method == "getNetDevStats" {
		return b.failure(q.service,
			fault{codeNotFound, "Intf not bound to any NetDev.Link", "veip0"}, failed(q.method))
	}
	return obj("status", obj("gpon", &object{}))
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// reach returns the interfaces that a traverse from one comes to: itself and
// those below, unless it says otherwise.
func reach(all []intf, from intf, traverse string) []intf {
	switch traverse {
	case "all":
		return all
	case "this":
		return []intf{from}
	}
	next := func(i intf) []string { return i.lower }
	if traverse == "up" {
		next = func(i intf) []string { return i.upper }
	}
	found := []intf{}
	var visit func(i intf)
	visit = func(i intf) {
		if slices.ContainsFunc(found, func(f intf) bool { return f.name == i.name }) {
			return
		}
		found = append(found, i)
		for _, name := range next(i) {
			if n := slices.IndexFunc(all, func(i intf) bool { return i.name == name }); n >= 0 {
				visit(all[n])
			}
		}
	}
	visit(from)
	return found
}

// mibs answers getMIBs: for each kind of data the interfaces that have it.
func (b *Box) mibs(all []intf, from intf, parameters map[string]any) *object {
	wanted := strings.Fields(text(parameters["mibs"]))
	everything := len(wanted) == 0
	if everything {
		wanted = []string{"base", "dsl", "gpon", "statmon", "wan", "wlanradio", "wlanvap", "netdev", "ppp", "dhcp", "6rd"}
	}
	intfs := reach(all, from, text(parameters["traverse"]))
	o := &object{}
	for _, mib := range wanted {
		o.add(mib, &object{})
	}
	for _, i := range intfs {
		if !flagged(i.flags, text(parameters["flag"])) {
			continue
		}
		told := false
		for _, mib := range wanted {
			if v := b.mib(mib, i); v != nil {
				o.get(mib).add(i.name, v)
				told = true
			}
		}
		// What an interface is comes with what it has, or when only that is
		// asked.
		if base := o.get("base"); base != nil && (told || everything || len(wanted) == 1) {
			base.add(i.name, i.base())
		}
	}
	return o
}

// base describes the interface.
func (i intf) base() *object {
	names := func(list []string) *object {
		o := &object{}
		for _, n := range list {
			o.add(n, obj("Name", n))
		}
		return o
	}
	enabled := slices.Contains(strings.Fields(i.flags), "enabled")
	return obj(
		"Name", i.name, "Enable", enabled, "Status", i.status, "Flags", i.flags,
		"ULIntf", names(i.upper), "LLIntf", names(i.lower),
	)
}

// mib returns one kind of an interface's data, or nil. That it has base is
// left out.
func (b *Box) mib(mib string, i intf) *object {
	line := i.name == b.p.wanIntf
	switch mib {
	case "dsl":
		if line && b.p.wan == wanDSL || i.name == b.p.idleDSL {
			return b.dsl()
		}
	case "gpon":
		if line && b.p.wan == wanPON {
			return b.gpon()
		}
	case "statmon":
		if line {
			monitor := func(ms int) *object { return obj("Enable", true, "Interval", ms, "Type", "netdev") }
			return obj("StatMon", obj("netdev-historical", monitor(30000), "netdev-saturation", monitor(1000)))
		}
	case "wan":
		if line {
			return obj("PhysicalInterface", map[string]string{
				wanDSL: "DSL", wanPON: "GPON", wanSFP: "Ethernet", wanEth: "Ethernet",
			}[b.p.wan])
		}
	case "wlanradio":
		return b.radioMIB(i.name)
	case "wlanvap":
		return b.vapMIB(i.name)
	}
	return nil
}

func (b *Box) netDevStats(t *traffic) *object {
	c := b.world.count
	return obj(
		"RxPackets", c(t.rxPackets), "TxPackets", c(t.txPackets), "RxBytes", c(t.rxBytes), "TxBytes", c(t.txBytes),
		"RxErrors", 0, "TxErrors", 0, "RxDropped", c(t.rxDropped), "TxDropped", c(t.txDropped),
		"Multicast", c(t.multicast), "Collisions", 0, "RxLengthErrors", 0, "RxOverErrors", 0, "RxCrcErrors", 0,
		"RxFrameErrors", 0, "RxFifoErrors", 0, "RxMissedErrors", 0, "TxAbortedErrors", 0, "TxCarrierErrors", 0,
		"TxFifoErrors", 0, "TxHeartbeatErrors", 0, "TxWindowErrors", 0,
	)
}

// flagged says whether an interface with these flags is what an expression of
// flags asks for: words joined by &&, || and !, with parentheses. Empty asks
// for all; what is no expression asks for none.
func flagged(flags, expression string) bool {
	if strings.TrimSpace(expression) == "" {
		return true
	}
	for _, operator := range []string{"&&", "||", "!", "(", ")"} {
		expression = strings.ReplaceAll(expression, operator, " "+operator+" ")
	}
	e := flagExpression{words: strings.Fields(expression), flags: strings.Fields(flags)}
	v := e.any()
	return v && len(e.words) == 0 && !e.bad
}

type flagExpression struct {
	words, flags []string
	bad          bool
}

// next takes the word w away if it comes next.
func (e *flagExpression) next(w string) bool {
	if len(e.words) == 0 || e.words[0] != w {
		return false
	}
	e.words = e.words[1:]
	return true
}

func (e *flagExpression) any() bool {
	v := e.all()
	for e.next("||") {
		right := e.all()
		v = v || right
	}
	return v
}

func (e *flagExpression) all() bool {
	v := e.one()
	for e.next("&&") {
		right := e.one()
		v = v && right
	}
	return v
}

func (e *flagExpression) one() bool {
	switch {
	case e.next("!"):
		return !e.one()
	case e.next("("):
		v := e.any()
		e.bad = !e.next(")") || e.bad
		return v
	case len(e.words) == 0:
		e.bad = true
		return false
	}
	word := e.words[0]
	e.words = e.words[1:]
	return slices.Contains(e.flags, word)
}
