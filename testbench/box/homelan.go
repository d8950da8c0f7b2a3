package box

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

func decimal(n int) string { return strconv.Itoa(n) }

// homeLan returns the reply of the object HomeLan, or nil.
func (b *Box) homeLan(q request) *object {
	switch q.service + "." + q.method {
	case "HomeLan.Interface.get":
		return obj("status", b.lanInterfaces())
	case "HomeLan.getReadingInterval":
		return obj("status", int(recordEvery.Seconds()))
	case "HomeLan.getMaxNumberRecords":
		return obj("status", b.p.records)
	case "HomeLan.getResults":
		return obj("status", b.lanResults(q.parameters))
	case "HomeLan.getWANCounters":
		wan := b.world.traffic[b.p.wanIntf]
		// The directions are the wrong way round, as on real boxes.
		return obj("status", obj("BytesSent", b.world.count(wan.rxBytes), "BytesReceived", b.world.count(wan.txBytes)))
	}
	return nil
}

func (b *Box) lanInterfaces() *object {
	o := &object{}
	for _, l := range b.p.lan {
		e := obj("FriendlyName", l.friendly, "Name", l.name)
		if b.p.aliases {
			e.add("Alias", l.alias)
		}
		stored := 0
		if t := b.world.traffic[l.name]; t != nil {
			stored = min(len(t.measures), b.p.records)
		}
		e.add("NumberOfStoredMeasures", stored)
		o.add(l.key, e)
	}
	return o
}

// lanResults returns bits per interval, the newest first.
func (b *Box) lanResults(parameters map[string]any) *object {
	wanted, _ := parameters["InterfaceName"].([]any)
	since := time.Duration(-1)
	if n, ok := number(parameters["Seconds"]); ok {
		since = b.world.now - time.Duration(n)*time.Second
	}
	most := b.p.records
	if n, ok := number(parameters["NumberOfReadings"]); ok && n >= 0 {
		most = min(most, n)
	}
	o := &object{}
	for _, l := range b.p.lan {
		t := b.world.traffic[l.name]
		if t == nil || wanted != nil && !slices.Contains(wanted, any(l.friendly)) && !slices.Contains(wanted, any(l.key)) {
			continue
		}
		list := []any{}
		for _, m := range slices.Backward(t.measures) {
			if m.at < since || len(list) >= most {
				break
			}
			list = append(list, obj(
				"Timestamp", b.date(m.at).Unix(), "Rx_Counter", m.rx, "Tx_Counter", m.tx,
			))
		}
		o.add(l.friendly, obj("Traffic", list))
	}
	return o
}

// number returns a parameter that is a number, or a text of one.
func number(v any) (int, bool) {
	switch v := v.(type) {
	case float64:
		return int(v), true
	case json.Number:
		n, err := v.Int64()
		return int(n), err == nil
	case string:
		n, err := strconv.Atoi(v)
		return n, err == nil
	}
	return 0, false
}
