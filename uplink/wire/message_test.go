package wire

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/sample"
)

// Messages with every field set, each to a value of its own.
var (
	fullHeader = Header{
		Box: "lb-1", Run: Run{0xfedcba9876543210, 300, 0x89abcdef}, Lane: Windows, Sequence: 1 << 40,
		Consent: Consent{7, 0b110}, Catalogue: 0xdeadbeef, Opened: 1234 * time.Second, Sealed: 1534 * time.Second,
	}
	fullClock = Clock{time.UnixMilli(1_790_000_000_123).UTC(), ClockSynchronised, 99 * time.Second, 1400 * time.Hour}
	fullLoss  = Loss{RunID: 5, Lane: Events, First: 10, Last: 20, Count: 9, Reason: LostThinned}
	fullEvent = Event{
		ReportsLost, 99 * time.Second,
		[]Attribute{{"version", "1.2"}, {"previous_end", "unclean"}},
		[]Loss{fullLoss, {RunID: 6}},
		[]Evidence{
			{sample.Sign{At: 98 * time.Second, Kind: sample.Stepped, Instance: "dsl0", Metric: catalogue.LineDownMargin, Before: -1 << 40, After: 1 << 62}, 3},
			{Sign: sample.Sign{Kind: sample.Restarted}},
		},
		[]string{"restart: refused", ""},
	}
	fullStatus = Status{
		Box: "lb-1", Online: true, Run: fullHeader.Run, Version: "1.2.3", Consent: fullHeader.Consent,
		Catalogue: 0xdeadbeef, Configuration: 0xfeedface,
		Capabilities: []Capability{
			{"stations", Failing, "timeout", []catalogue.ID{64, 65, 60000}},
			{"traffic", NotGranted, "", nil},
		},
		Health:    []Health{{HealthUplinkDown, 5 * time.Second, strings.Repeat("refused ", 40)}, {HealthStoreReset, 0, ""}},
		Losses:    []Loss{fullLoss},
		Counters:  Counters{1, 2, 3, 4, 5, 6, 7, 1 << 50},
		Clock:     fullClock,
		CleanStop: true,
	}
	fullAck = Ack{
		[]LaneAck{{9, Windows, 17, []Range{{19, 19}, {25, 1 << 60}}}, {math.MaxUint64, Events, math.MaxUint64, nil}}, 90 * time.Second,
	}
)

func TestMessagesComeBack(t *testing.T) {
	header := AppendHeader(nil, fullHeader)
	body := []byte(strings.Repeat("body", 100))
	b := AppendSection(header, catalogue.Support, Columns, body)
	b = AppendSection(b, catalogue.Essential, EventBody, nil)
	b = AppendSection(b, 0, 0, nil)
	b = AppendClock(b, fullClock)
	want := Report{fullHeader, []Section{{catalogue.Support, Columns, body}, {catalogue.Essential, EventBody, nil}, {}}, fullClock}
	if got, err := ParseReport(b); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("ParseReport: %v\n%s", err, cmp.Diff(want, got))
	}
	if got, err := ParseStatus(AppendStatus(nil, fullStatus)); err != nil || cmp.Diff(fullStatus, got) != "" {
		t.Errorf("ParseStatus: %v\n%s", err, cmp.Diff(fullStatus, got))
	}
	if got, err := ParseEvent(AppendEvent(nil, fullEvent)); err != nil || cmp.Diff(fullEvent, got) != "" {
		t.Errorf("ParseEvent: %v\n%s", err, cmp.Diff(fullEvent, got))
	}
	if got, err := ParseAck(AppendAck(nil, fullAck)); err != nil || cmp.Diff(fullAck, got) != "" {
		t.Errorf("ParseAck: %v\n%s", err, cmp.Diff(fullAck, got))
	}
}

func TestZeroMessagesComeBack(t *testing.T) {
	if b := AppendClock(nil, Clock{WallAtBoot: time.Now()}); len(b) != 0 {
		t.Errorf("a clock of which nothing is known takes %d bytes", len(b))
	}
	if got, err := ParseReport(AppendHeader(nil, Header{})); err != nil || cmp.Diff(Report{}, got) != "" {
		t.Errorf("ParseReport of nothing: %+v, %v", got, err)
	}
	if got, err := ParseStatus(AppendStatus(nil, Status{})); err != nil || cmp.Diff(Status{}, got) != "" {
		t.Errorf("ParseStatus of nothing: %+v, %v", got, err)
	}
	if got, err := ParseEvent(AppendEvent(nil, Event{At: -time.Second})); err != nil || cmp.Diff(Event{}, got) != "" {
		t.Errorf("ParseEvent of a time before boot: %+v, %v", got, err)
	}
	if got, err := ParseAck(AppendAck(nil, Ack{RetryAfter: -time.Second})); err != nil || cmp.Diff(Ack{}, got) != "" {
		t.Errorf("ParseAck of nothing: %+v, %v", got, err)
	}
}

func TestUnknownFieldsAreIgnored(t *testing.T) {
	unknown := func(b []byte) []byte {
		b = protowire.AppendTag(b, 1, protowire.Fixed64Type) // a known number under another type
		b = protowire.AppendFixed64(b, 1)
		b = protowire.AppendTag(b, 90, protowire.BytesType)
		b = protowire.AppendString(b, "new")
		b = protowire.AppendTag(b, 91, protowire.StartGroupType)
		b = protowire.AppendTag(b, 91, protowire.EndGroupType)
		b = protowire.AppendTag(b, 92, protowire.Fixed32Type)
		return protowire.AppendFixed32(b, 1)
	}
	if got, err := ParseReport(unknown(AppendHeader(nil, fullHeader))); err != nil || got.Header != fullHeader {
		t.Errorf("ParseReport: %+v, %v", got, err)
	}
	if got, err := ParseStatus(unknown(AppendStatus(nil, fullStatus))); err != nil || cmp.Diff(fullStatus, got) != "" {
		t.Errorf("ParseStatus: %+v, %v", got, err)
	}
	if got, err := ParseEvent(unknown(AppendEvent(nil, fullEvent))); err != nil || cmp.Diff(fullEvent, got) != "" {
		t.Errorf("ParseEvent: %+v, %v", got, err)
	}
	lane := AppendAck(nil, Ack{Lanes: []LaneAck{{RunID: 1, Lane: 9, Contiguous: 3}}})
	if got, err := ParseAck(append(unknown(AppendAck(nil, fullAck)), lane...)); err != nil || cmp.Diff(fullAck, got) != "" {
		t.Errorf("ParseAck: %+v, %v", got, err)
	}
}

func TestTextIsAlwaysUTF8(t *testing.T) {
	got, err := ParseStatus(AppendStatus(nil, Status{Version: "a\xffb"}))
	if err != nil || got.Version != "a\uFFFDb" {
		t.Errorf("version %q, %v", got.Version, err)
	}
	bad := protowire.AppendString(protowire.AppendTag(nil, 4, protowire.BytesType), "a\xffb")
	if _, err := ParseStatus(bad); !errors.Is(err, errText) {
		t.Errorf("ParseStatus of text that is not UTF-8: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	tooLate := protowire.AppendVarint(protowire.AppendTag(nil, 7, protowire.VarintType), math.MaxInt64)
	if _, err := ParseReport(tooLate); !errors.Is(err, errTime) {
		t.Errorf("ParseReport of a time of 300 million years: %v", err)
	}
	for name, tt := range map[string]struct {
		b    []byte
		want error
	}{
		"too long":                 {make([]byte, MaxAckBytes+1), errAckSize},
		"too many lanes":           {AppendAck(nil, Ack{Lanes: manyLanes(MaxAckLanes + 1)}), errAckLanes},
		"too many ranges":          {AppendAck(nil, Ack{Lanes: manyRanges(MaxAckRanges + 1)}), errAckRanges},
		"range within":             {AppendAck(nil, Ack{Lanes: []LaneAck{{1, Events, 5, []Range{{5, 9}}}}}), errAckOrder},
		"range the wrong way":      {AppendAck(nil, Ack{Lanes: []LaneAck{{1, Events, 5, []Range{{9, 8}}}}}), errAckOrder},
		"ranges that overlap":      {AppendAck(nil, Ack{Lanes: []LaneAck{{1, Events, 5, []Range{{7, 9}, {9, 11}}}}}), errAckOrder},
		"range from zero":          {AppendAck(nil, Ack{Lanes: []LaneAck{{1, Events, 0, []Range{{0, 11}}}}}), errAckOrder},
		"retry after for ever":     {protowire.AppendVarint(protowire.AppendTag(nil, 2, protowire.VarintType), 1<<40), errRetry},
		"message that is cut":      {AppendAck(nil, fullAck)[:5], nil},
		"tag that is no tag":       {[]byte{0}, nil},
		"end of a group, no group": {protowire.AppendTag(nil, 3, protowire.EndGroupType), nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseAck(tt.b)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("ParseAck = %+v, %v; want %v", got, err, tt.want)
			}
			if len(got.Lanes) != 0 || got.RetryAfter != 0 {
				t.Errorf("ParseAck returns %+v beside its error", got)
			}
		})
	}
	if _, err := ParseAck(AppendAck(nil, Ack{Lanes: manyLanes(MaxAckLanes)})); err != nil {
		t.Errorf("as many lanes as are allowed: %v", err)
	}
}

func manyLanes(n int) []LaneAck {
	lanes := make([]LaneAck, n)
	for i := range lanes {
		lanes[i] = LaneAck{RunID: uint64(i + 1), Lane: Windows, Contiguous: 1}
	}
	return lanes
}

func manyRanges(n int) []LaneAck {
	l := LaneAck{RunID: 1, Lane: Windows}
	for i := range n {
		l.Ranges = append(l.Ranges, Range{uint64(2*i + 2), uint64(2*i + 2)})
	}
	return []LaneAck{l}
}

func TestNames(t *testing.T) {
	for got, want := range map[string]string{
		Windows.String(): "windows", Lane(7).String(): "lane(7)",
		Summary.String(): "summary", Fidelity(7).String(): "fidelity(7)",
		ClockFloor.String(): "floor", ClockQuality(7).String(): "clock(7)",
		StoreUnavailable.String(): "store_unavailable", EventType(70).String(): "event(70)",
		LostWithdrawn.String(): "withdrawn", LossReason(7).String(): "reason(7)",
		NotPresent.String(): "absent", CapabilityState(7).String(): "state(7)",
	} {
		if got != want {
			t.Errorf("%q; want %q", got, want)
		}
	}
	if c := (Consent{Purposes: 1 << catalogue.Support}); !c.Granted(catalogue.Support) || c.Granted(catalogue.Essential) {
		t.Errorf("Granted of %b", c.Purposes)
	}
}

func TestClockPlacesWhatItReaches(t *testing.T) {
	boot := time.UnixMilli(1_790_000_000_000).UTC()
	c := Clock{boot, ClockSynchronised, 10 * time.Hour, 20 * time.Hour}
	for _, tt := range []struct {
		quality ClockQuality
		at      time.Duration
		want    bool
	}{
		{ClockSynchronised, 7*time.Hour - 1, false},
		{ClockSynchronised, 7 * time.Hour, true},
		{ClockSynchronised, 15 * time.Hour, true},
		{ClockSynchronised, 21 * time.Hour, true},
		{ClockSynchronised, 21*time.Hour + 1, false},
		{ClockFloor, 15 * time.Hour, false},
		{ClockUnknown, 15 * time.Hour, false},
		{ClockQuality(7), 15 * time.Hour, false},
	} {
		c.Quality = tt.quality
		wall, ok := c.Place(tt.at)
		if ok != tt.want || ok && !wall.Equal(boot.Add(tt.at)) {
			t.Errorf("%v clock, %v: Place = %v, %v; want %v", tt.quality, tt.at, wall, ok, tt.want)
		}
	}
}
