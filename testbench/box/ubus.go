package box

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"livebox-agent/collector/platform/ubus"
	"livebox-agent/collector/platform/ubus/ubustest"
)

// ServeUbus serves the box's message bus on a new unix socket at path. Only
// routers have one. The caller closes the server, which removes the socket.
//
// While the box restarts the bus hangs up; a slow box takes a tenth of its
// time for each call.
func (b *Box) ServeUbus(path string) (*ubustest.Server, error) {
	if !b.p.openwrt {
		return nil, fmt.Errorf("serve ubus: a box of the kind %s has none", b.config.Model)
	}
	s, err := ubustest.Listen(path, b.busObjects, b.busCall)
	if err == nil {
		b.mu.Lock()
		b.buses = append(b.buses, s)
		b.mu.Unlock()
	}
	return s, err
}

// A notice is what hostapd tells of a device.
type notice struct {
	vap, typ, address string
	radio             *radioSpec
	signal            int
}

// notify tells the subscribers of hostapd. The caller does not hold mu.
func (b *Box) notify(notices []notice) {
	b.mu.Lock()
	buses := slices.Clone(b.buses)
	b.mu.Unlock()
	for _, n := range notices {
		values := tab("address", strings.ToLower(n.address))
		if n.typ == "auth" || n.typ == "assoc" {
			values = append(values, tab(
				"target", strings.ToLower(b.mac(10+n.radio.index)), "signal", n.signal, "freq", megahertz(n.radio),
			)...)
		}
		for _, s := range buses {
			if _, err := s.Notify("hostapd."+n.vap, ubustest.Notice{Type: n.typ, Values: values}); err != nil {
				b.log.Warn("hostapd cannot notify", "err", err)
			}
		}
	}
}

// hostapdNotices returns what hostapd tells of a device that goes through these.
// Boxes without hostapd's objects have none.
func (b *Box) hostapdNotices(st *station, types ...string) []notice {
	if !b.p.openwrt || b.p.prpl {
		return nil
	}
	var notices []notice
	for _, typ := range types {
		if typ == "sta-authorized" && b.config.OldHostapd {
			continue
		}
		notices = append(notices, notice{st.radio.vaps[0], typ, st.MAC, st.radio, st.signal(b.world)})
	}
	return notices
}

// busObjects lists what is on the bus.
func (b *Box) busObjects() []ubustest.Object {
	objects := []ubustest.Object{
		{Path: "system", Methods: []string{"board", "info", "watchdog"}},
		{Path: "network.interface", Methods: []string{"dump"}},
		{Path: "network.interface.loopback", Methods: []string{"status"}},
		{Path: "network.interface.lan", Methods: []string{"status"}},
		{Path: "network.interface.wan", Methods: []string{"status"}},
		{Path: "network.device", Methods: []string{"status"}},
		// The configuration is for root's own tools.
		{Path: "uci", Methods: []string{"get"}, Hidden: true},
	}
	if b.p.wan == wanDSL {
		objects = append(objects, ubustest.Object{Path: "dsl", Methods: []string{"metrics"}})
	}
	if b.p.prpl {
		return append(objects, b.modelObjects()...)
	}
	objects = append(objects, ubustest.Object{Path: "iwinfo", Methods: []string{"devices", "info", "assoclist", "survey"}})
	for _, r := range b.p.radios {
		for _, v := range r.vaps {
			objects = append(objects, ubustest.Object{Path: "hostapd." + v, Methods: []string{"get_clients", "get_status"}})
		}
	}
	return objects
}

// modelObjects are those of the data model, which prplOS has in the place of
// OpenWrt's for Wi-Fi.
func (b *Box) modelObjects() []ubustest.Object {
	objects := []ubustest.Object{
		{Path: "Reboot", Methods: []string{"_get"}},
		{Path: "WiFi.SSID", Methods: []string{"_get"}},
		{Path: "WiFi.Radio", Methods: []string{"_get"}},
		{Path: "WiFi.AccessPoint", Methods: []string{"_get"}},
	}
	for i := range b.p.radios {
		objects = append(objects, ubustest.Object{
			Path: fmt.Sprint("WiFi.AccessPoint.", i+1), Methods: []string{"_get", "_set", "getStationStats"},
		})
	}
	return objects
}

// tab returns the table of the names and values that alternate in kv. A value
// of the type int is sent in 32 bits, as the services send most numbers.
func tab(kv ...any) ubus.Table {
	t := make(ubus.Table, 0, len(kv)/2)
	for i := 0; i+1 < len(kv); i += 2 {
		t = append(t, ubus.Field{Name: kv[i].(string), Value: small(kv[i+1])})
	}
	return t
}

// list returns a list, its numbers as tab sends them.
func list(values ...any) []any {
	l := make([]any, 0, len(values))
	for _, v := range values {
		l = append(l, small(v))
	}
	return l
}

func small(v any) any {
	if n, ok := v.(int); ok {
		return int32(n)
	}
	return v
}

// busCall answers a call on the bus.
func (b *Box) busCall(object, method string, params map[string]any) ([]any, error) {
	b.at()
	d := b.slow / 10
	b.mu.Unlock()
	if d > 0 {
		<-b.turn
		timer := time.NewTimer(d)
		<-timer.C
		defer func() { b.turn <- struct{}{} }()
	}
	w := b.at()
	defer b.mu.Unlock()
	b.calls[object+"."+method]++
	if !w.serving() {
		return nil, ubustest.ErrHangUp
	}
	values, err := b.busAnswer(object, method, params)
	switch b.misbehave {
	case Behave:
	case Truncated, Deep, HTML:
		// A value that is longer than what holds it.
		return []any{ubustest.Raw{0x83, 0, 0, 0x40, 0, 1, 'x', 0}}, nil
	case Empty:
		return nil, nil
	case ServerError, RedirectLoop:
		return nil, ubus.ErrUnknown
	case HangUp:
		return nil, ubustest.ErrHangUp
	case Endless:
		return values, ubustest.ErrSilent
	case WrongTypes, HugeNumbers, NotUTF8:
		for i, v := range values {
			values[i] = b.misbehave.twist(v)
		}
	}
	return values, err
}

// twist returns a value of ubus as a box tells it that gets types wrong.
func (m Misbehaviour) twist(v any) any {
	switch v := v.(type) {
	case ubus.Table:
		t := make(ubus.Table, len(v))
		for i, f := range v {
			t[i] = ubus.Field{Name: f.Name, Value: m.twist(f.Value)}
		}
		return t
	case []any:
		l := make([]any, len(v))
		for i, e := range v {
			l[i] = m.twist(e)
		}
		return l
	case string:
		if m == NotUTF8 {
			return "\xe9" + v
		}
		if m == WrongTypes {
			return int32(len(v))
		}
	case bool:
		if m == WrongTypes {
			return []any{v}
		}
	default:
		switch m {
		case WrongTypes:
			return "not a number"
		case HugeNumbers:
			return -1e25
		}
	}
	return v
}
