package wire_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"livebox-agent/collector/catalogue"
	"livebox-agent/uplink/wire"
)

var update = flag.Bool("update", false, "write the golden vectors anew")

// A vector is a golden vector: a coded body or message and what it holds. The
// decoder in Python is held to the same files.
type vector struct {
	About string `json:"about"`
	Kind  string `json:"kind"` // "columns", "summary", "report", "event", "status" or "ack"
	Body  string `json:"body"` // hexadecimal
	Want  any    `json:"want"`
}

type goldenTable struct {
	TimesMS []int64        `json:"times_ms"`
	Columns []goldenColumn `json:"columns"`
}

type goldenColumn struct {
	Metric   catalogue.ID `json:"metric"`
	Instance string       `json:"instance"` // hexadecimal
	Values   []*int64     `json:"values"`   // null where absent
}

type goldenSummary struct {
	Metric   catalogue.ID `json:"metric"`
	Instance string       `json:"instance"`
	Count    int          `json:"count"`
	Counter  bool         `json:"counter"`
	Min      int64        `json:"min"`
	Mean     int64        `json:"mean"`
	Max      int64        `json:"max"`
	Last     int64        `json:"last"`
}

// decoded returns what the body of a vector holds, as the vector writes it.
func decoded(t *testing.T, kind string, body []byte) any {
	t.Helper()
	switch kind {
	case "columns":
		tables, err := wire.DecodeColumns(body)
		if err != nil {
			t.Fatal(err)
		}
		all := []goldenTable{}
		for _, table := range tables {
			g := goldenTable{TimesMS: []int64{}, Columns: []goldenColumn{}}
			for _, at := range table.Times {
				g.TimesMS = append(g.TimesMS, at.Milliseconds())
			}
			for _, c := range table.Columns {
				values := []*int64{}
				for _, v := range c.Values {
					if v == wire.Absent {
						values = append(values, nil)
					} else {
						values = append(values, new(v))
					}
				}
				g.Columns = append(g.Columns, goldenColumn{c.Metric, hex.EncodeToString([]byte(c.Instance)), values})
			}
			all = append(all, g)
		}
		return all
	case "summary":
		summaries, err := wire.DecodeSummary(body)
		if err != nil {
			t.Fatal(err)
		}
		all := []goldenSummary{}
		for _, s := range summaries {
			all = append(all, goldenSummary{
				s.Metric, hex.EncodeToString([]byte(s.Instance)), s.Count, s.Counter, s.Min, s.Mean, s.Max, s.Last,
			})
		}
		return all
	}
	return decodedMessage(t, kind, body)
}

// every returns n times from start on, interval apart.
func every(start, interval time.Duration, n int) []time.Duration {
	var all []time.Duration
	for i := range n {
		all = append(all, start+time.Duration(i)*interval)
	}
	return all
}

// box returns two minutes of readings that wander at random, from whole numbers
// alone: every machine makes the same.
func box() []wire.Table {
	r := rand.New(rand.NewPCG(7, 7))
	wander := func(start, step int64, falls bool) []int64 {
		v := []int64{start}
		for len(v) < 12 {
			d := r.Int64N(step + 1)
			if falls {
				d = 2*d - step
			}
			v = append(v, v[len(v)-1]+d)
		}
		return v
	}
	times := func(late time.Duration) []time.Duration {
		at := every(72*time.Hour+late, 10*time.Second, 12)
		for i := range at {
			at[i] += time.Duration(r.Int64N(15)) * time.Millisecond
		}
		return at
	}
	traffic, load := wire.Table{Times: times(3 * time.Millisecond)}, wire.Table{Times: times(9 * time.Millisecond)}
	for _, port := range []string{"wan", "lan1", "lan2", "wlan0"} {
		for id := catalogue.PortBytesReceived; id <= catalogue.PortPacketsSent; id++ {
			traffic.Columns = append(traffic.Columns, wire.Column{Metric: id, Instance: port, Values: wander(r.Int64N(1<<34), 1<<(8+r.Int64N(12)), false)})
		}
	}
	for _, m := range []struct {
		id          catalogue.ID
		start, step int64
	}{
		{catalogue.CPUUsage, 120, 40}, {catalogue.LoadAverage, 45, 6}, {catalogue.MemoryTotal, 520_000, 0}, {catalogue.MemoryAvailable, 210_000, 900},
	} {
		load.Columns = append(load.Columns, wire.Column{Metric: m.id, Values: wander(m.start, m.step, true)})
	}
	return []wire.Table{load, traffic}
}

// goldenInputs returns what the vectors are made of.
func goldenInputs() map[string]struct {
	about    string
	tables   []wire.Table
	lossless bool
} {
	type input = struct {
		about    string
		tables   []wire.Table
		lossless bool
	}
	const a = wire.Absent
	return map[string]input{
		"empty": {about: "no table"},
		"worked": {
			about: "the worked example of SPEC.md: temperatures rounded to 0.5 degrees, bytes to 1000 with exact ends",
			tables: []wire.Table{{
				Times: every(time.Hour, 10*time.Second, 4),
				Columns: []wire.Column{
					{Metric: catalogue.SensorTemperature, Instance: "soc", Values: []int64{61230, 61480, 61510, 62020}},
					{Metric: catalogue.PortBytesReceived, Instance: "eth0", Values: []int64{5_000_000_123, 5_000_004_000, 5_000_004_000, 5_000_123_456}},
				},
			}},
		},
		"stations": {
			about: "stations that come and go; an instance that is not text",
			tables: []wire.Table{{
				Times: every(90*time.Minute, 10*time.Second, 6),
				Columns: []wire.Column{
					{Metric: catalogue.StationSignal, Instance: "q83vEjRWeJA", Values: []int64{-61, -61, a, a, -63, -62}},
					{Metric: catalogue.StationRetries, Instance: "q83vEjRWeJA", Values: []int64{10, 11, a, a, 11, 15}},
					{Metric: catalogue.StationSignal, Instance: "\x00\xff\xfe", Values: []int64{a, a, -70, -71, -71, a}},
					{Metric: catalogue.StationRetries, Instance: "\x00\xff\xfe", Values: []int64{a, a, 0, 0, 4, a}},
					{Metric: catalogue.StationFailures, Instance: "\x00\xff\xfe", Values: []int64{a, a, a, a, a, a}},
					{Metric: catalogue.StationFailures, Instance: "q83vEjRWeJA", Values: []int64{a, a, 3, a, a, a}},
				},
			}},
		},
		"times": {
			about: "irregular times: a gap, a late row, rows 250 ms and 20 ms apart, one row, none",
			tables: []wire.Table{
				{
					Times:   []time.Duration{10 * time.Second, 20 * time.Second, 30250 * time.Millisecond, 40 * time.Second, 100 * time.Second, 110 * time.Second},
					Columns: []wire.Column{{Metric: catalogue.UpTime, Values: []int64{10, 20, 30, 40, 100, 110}}},
				},
				{Times: every(12*time.Second, 250*time.Millisecond, 5), Columns: []wire.Column{{Metric: catalogue.CPUUsage, Values: []int64{1, 2, 3, 4, 5}}}},
				{Times: every(12*time.Second, 20*time.Millisecond, 5)},
				{Times: []time.Duration{5 * time.Second}, Columns: []wire.Column{{Metric: catalogue.MemoryTotal, Values: []int64{524288}}}},
				{Columns: []wire.Column{{Metric: catalogue.MemoryFree}}},
			},
		},
		"extremes": {
			about: "the ends of the numbers, a counter that falls, a step that is not round",
			tables: []wire.Table{{
				Times: every(0, 10*time.Second, 5),
				Columns: []wire.Column{
					{Metric: catalogue.SensorTemperature, Instance: "a", Values: []int64{math.MaxInt64, math.MinInt64 + 1, 0, -1, math.MaxInt64}},
					{Metric: catalogue.PortBytesSent, Instance: "a", Values: []int64{math.MaxInt64, math.MinInt64 + 1, 0, math.MaxInt64, 7}},
					{Metric: catalogue.PortBytesSent, Instance: "b", Values: []int64{9_000, 12_500, 4_400, 4_401, 20_001}},
					{Metric: catalogue.MemoryFree, Values: []int64{100_000, 100_100, 100_400, 101_000, 99_000}},
					{Metric: 65535, Instance: "c", Values: []int64{-5, -4, -3, -2, 17}},
				},
			}},
		},
		"palette": {
			about: "rates of two stations, which share a palette; predictors of every kind",
			tables: []wire.Table{{
				Times: every(time.Minute, time.Second, 16),
				Columns: []wire.Column{
					{Metric: catalogue.StationDownlinkRate, Instance: "x", Values: []int64{866700, 650000, 866700, 866700, 780000, 650000, 866700, 780000, 780000, 866700, 650000, 866700, 866700, 780000, 650000, 866700}},
					{Metric: catalogue.StationDownlinkRate, Instance: "y", Values: []int64{780000, 650000, 780000, 390000, 780000, 650000, 866700, 780000, 780000, 866700, 650000, 390000, 866700, 780000, 650000, 390000}},
					{Metric: catalogue.UpTime, Values: []int64{60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75}},
					{Metric: catalogue.CPUUsage, Values: []int64{120, 330, 90, 310, 130, 290, 110, 350, 100, 320, 120, 300, 140, 310, 90, 330}},
					{Metric: catalogue.RadioNoise, Instance: "phy0", Values: []int64{-95, -90, -94, -92, -94, -91, -95, -90, -94, -92, -93, -91, -94, -92, -95, -90}},
					{Metric: catalogue.PortErrorsReceived, Instance: "eth0", Values: []int64{0, 0, 9, 9, 30, 30, 30, 41, 41, 90, 90, 97, 97, 97, 120, 120}},
				},
			}},
		},
		"lossless": {about: "two minutes of a box, as they are", tables: box(), lossless: true},
		"box":      {about: "the same at the catalogue's resolution", tables: box()},
	}
}

// goldenVectors returns the vectors as this code makes them, by name.
func goldenVectors(t *testing.T) map[string]vector {
	t.Helper()
	all := map[string]vector{}
	var e wire.Encoder
	add := func(name, about, kind string, body []byte) {
		all[name] = vector{about, kind, hex.EncodeToString(body), decoded(t, kind, body)}
	}
	for name, in := range goldenInputs() {
		add("columns-"+name, in.about, "columns", e.AppendColumns(nil, in.tables, in.lossless))
		if !in.lossless {
			add("summary-"+name, in.about, "summary", e.AppendSummary(nil, in.tables))
		}
	}
	for name, m := range goldenMessages(e.AppendColumns, e.AppendSummary) {
		add(name, m.about, m.kind, m.body)
	}
	return all
}

// TestGolden holds the code to the vectors on file: what is on file stays
// decodable for ever, and a change of the encoder is seen.
func TestGolden(t *testing.T) {
	vectors := goldenVectors(t)
	for name, v := range vectors {
		file := filepath.Join("testdata", name+".json")
		got, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, '\n')
		if *update {
			if err := os.WriteFile(file, got, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-file +code):\n%s", name, diff)
		}
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) != len(vectors) {
		t.Errorf("testdata has %d vectors, %v; want %d", len(files), err, len(vectors))
	}
}

// TestSpecificationIsOfTheCode: the page has the body of its worked example as
// it is coded, and every code of health.
func TestSpecificationIsOfTheCode(t *testing.T) {
	page, err := os.ReadFile("SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"\n    " + goldenVectors(t)["columns-worked"].Body + "\n",
		"| `" + wire.HealthNotStored + "` |", "| `" + wire.HealthStoreUnavailable + "` |", "| `" + wire.HealthStoreReset + "` |",
		"| `" + wire.HealthClockUnknown + "` |", "| `" + wire.HealthUplinkDown + "` |", "| `" + wire.HealthTLSDateUnchecked + "` |",
		"| `" + wire.HealthReportRefused + "` |", "| `" + wire.HealthAckRefused + "` |", "| `" + wire.HealthNotEncrypted + "` |",
		"| `" + wire.HealthConfiguration + "` |",
	} {
		if !bytes.Contains(page, []byte(want)) {
			t.Errorf("SPEC.md does not have %q", want)
		}
	}
}

// TestCatalogueHashIsOfWhatIsPrinted: the hash is what SPEC.md says, of the
// array that the agent prints, and the page names every field of it.
func TestCatalogueHashIsOfWhatIsPrinted(t *testing.T) {
	var printed, compact bytes.Buffer
	if err := catalogue.WriteJSON(&printed); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Hash    string
		Metrics json.RawMessage
	}
	if err := json.Unmarshal(printed.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Compact(&compact, got.Metrics); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(compact.Bytes())
	if hash := binary.BigEndian.Uint32(sum[:4]); hash != catalogue.Hash() || hex.EncodeToString(sum[:4]) != got.Hash {
		t.Errorf("hash of what is printed: %08x; want %08x, printed %s", hash, catalogue.Hash(), got.Hash)
	}
	page, err := os.ReadFile("SPEC.md")
	if err != nil {
		t.Fatal(err)
	}
	var rows []map[string]any
	if err := json.Unmarshal(got.Metrics, &rows); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		for field := range row {
			if !bytes.Contains(page, []byte("| `"+field+"` |")) {
				t.Errorf("SPEC.md does not have the catalogue's field %q", field)
			}
		}
	}
}
