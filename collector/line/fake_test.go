package line

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"testing"
	"time"

	"livebox-agent/collector"
	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/tree"
	"livebox-agent/collector/sample"
)

// A box answers with the reply or the error that is under "object method".
type box struct {
	replies map[string]string
	errs    map[string]error
	asked   map[string]int
	params  map[string]string
}

func newBox(replies map[string]string) *box {
	return &box{replies: maps.Clone(replies), errs: map[string]error{}, asked: map[string]int{}, params: map[string]string{}}
}

var errFault = errors.New("fault of the box")

func (x *box) Call(ctx context.Context, object, method string, params any) (tree.Node, error) {
	if err := ctx.Err(); err != nil {
		return tree.Node{}, err
	}
	key := object + " " + method
	x.asked[key]++
	text, err := json.Marshal(params)
	if err != nil {
		return tree.Node{}, err
	}
	x.params[key] = string(text)
	if err := x.errs[key]; err != nil {
		return tree.Node{}, err
	}
	body, ok := x.replies[key]
	if !ok {
		return tree.Node{}, collector.ErrNoData
	}
	return tree.Parse([]byte(body))
}

// A router is the box behind ubus.
type router struct{ *box }

func (x router) Call(ctx context.Context, object, method string, params map[string]any) (tree.Node, error) {
	return x.box.Call(ctx, object, method, params)
}

// vdsl is a line of 65 Mbit/s on a Livebox 4, as the box says it.
const vdsl = `{"status":{"dsl":{"dsl0":{
	"LastChangeTime":232559,"LastChange":55132,"UpstreamCurrRate":9191,"DownstreamCurrRate":65262,"LinkStatus":"Up",
	"UpstreamMaxRate":12776,"DownstreamMaxRate":66156,"UpstreamAttenuation":386,"DownstreamAttenuation":371,
	"DownstreamLineAttenuation":374,"UpstreamLineAttenuation":396,"UpstreamNoiseMargin":94,"DownstreamNoiseMargin":81,
	"UpstreamPower":20,"DownstreamPower":145,"FirmwareVersion":"A2pvbH042x5.d27","StandardUsed":"G.993.2_Annex_B",
	"DataPath":"Interleaved","InterleaveDepth":0,"ModulationType":"VDSL","ChannelEncapsulationType":"G.993.2_Annex_K_PTM",
	"CurrentProfile":"17a","UPBOKLE":140}}}}`

const vdslStats = `{"status":{"ReceiveBlocks":610430,"TransmitBlocks":444088,"CellDelin":0,"LinkRetrain":1,"InitErrors":0,
	"InitTimeouts":0,"LossOfFraming":0,"ErroredSecs":170,"SeverelyErroredSecs":15,"FECErrors":4910041,"ATUCFECErrors":75314,
	"HECErrors":0,"ATUCHECErrors":0,"CRCErrors":1174,"ATUCCRCErrors":38}}`

const lineStats = `{"status":{"stats":{"BytesSent":1,"BytesReceived":1},
	"Total":{"ErroredSecs":175,"SeverelyErroredSecs":16,"LOS":3,"LOF":2,"UAS":41,"LOM":1},
	"Showtime":{"ErroredSecs":7,"SeverelyErroredSecs":7,"LOS":7,"LOF":7,"UAS":7,"LOM":7}}}`

// adsl is an ADSL2 line: no profile, and a loop length that means nothing.
const adsl = `{"status":{"dsl":{"dsl0":{
	"DSLPlugin":"","XTMPlugin":"","DSLIPC":"/var/run/dsl","LastChangeTime":566823,"LastChange":192856,"UpstreamCurrRate":1013,
	"DownstreamCurrRate":6484,"LinkStatus":"Up","UpstreamMaxRate":1013,"DownstreamMaxRate":6653,"UpstreamAttenuation":277,
	"DownstreamAttenuation":562,"DownstreamLineAttenuation":485,"UpstreamLineAttenuation":279,"UpstreamNoiseMargin":65,
	"DownstreamNoiseMargin":65,"UpstreamPower":121,"DownstreamPower":191,"StandardUsed":"G.992.3_Annex_A","ModulationType":"ADSL",
	"ChannelEncapsulationType":"G.992.3_Annex_K_ATM","AllowedProfiles":"8a, 8b, 17a","CurrentProfile":"","UPBOKLE":870}}}}`

// lantiq is what dsl metrics says of a VDSL2 line.
const lantiq = `{"api_version":"4.23.1","chipset":"Lantiq-VRX200","state":"Showtime with TC-Layer sync","state_num":7,"up":true,
	"uptime":152,"atu_c":{"vendor_id":[181,0,66,68,67,77,164,96],"vendor":"Broadcom 164.96","serial":[7,7,7]},
	"power_state_num":0,"xtse":[0,0,0,0,0,0,0,2],"annex":"B","standard":"G.993.2","profile":"17a",
	"upstream":{"vector":true,"interleave_delay":0,"data_rate":31999000,"latn":8.3,"satn":8.1,"snr":11.9,"actps":-90.1,"actatp":-7.2,"attndr":37180000},
	"downstream":{"vector":true,"interleave_delay":140,"data_rate":81664499,"latn":11.2,"satn":12,"snr":10.1,"actatp":13.4,"attndr":88231500},
	"errors":{"near":{"es":3,"ses":1,"loss":2,"uas":58,"lofs":4,"fecs":900,"hec":0,"ibe":0,"crc_p":12,"crcp_p":0,"cv_p":0,"cvp_p":0,
		"rx_corrupted":5000,"rx_uncorrected_protected":17,"rx_retransmitted":4800,"rx_corrected":4783,"tx_retransmitted":61},
	"far":{"es":30,"ses":10,"loss":20,"uas":580,"lofs":40,"fecs":9000,"hec":5,"crc_p":120,
		"rx_uncorrected_protected":170,"rx_retransmitted":6,"tx_retransmitted":6}},
	"erb":{"sent":169925,"discarded":0}}`

func livebox4() *box {
	return newBox(map[string]string{
		"NeMo.Intf.data getMIBs":         vdsl,
		"NeMo.Intf.dsl0 getDSLStats":     vdslStats,
		"NeMo.Intf.dsl0 getDSLLineStats": lineStats,
	})
}

// readings are those of one line.
type readings map[catalogue.ID]int64

// byName turns readings into what a failure prints.
func (x readings) byName() map[string]int64 {
	named := map[string]int64{}
	for id, v := range x {
		m, _ := catalogue.Lookup(id)
		named[m.Name] = v
	}
	return named
}

func readingsOf(t *testing.T, b *sample.Batch, line string) readings {
	t.Helper()
	got := readings{}
	for _, r := range b.Readings {
		if r.Instance != line {
			continue
		}
		if _, twice := got[r.Metric]; twice {
			t.Errorf("metric %d of %s twice in a round", r.Metric, line)
		}
		got[r.Metric] = r.Value
	}
	return got
}

// collect asks s once and returns what it gives of dsl0.
func collect(t *testing.T, s *Source) (readings, error) {
	t.Helper()
	var b sample.Batch
	b.Reset(time.Minute)
	err := s.Collect(t.Context(), &b)
	return readingsOf(t, &b, "dsl0"), err
}

// decode reads the reply body.
func decode(t *testing.T, f func(tree.Node, *sample.Batch) error, body string) (readings, error) {
	t.Helper()
	n, err := tree.Parse([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	var b sample.Batch
	err = f(n, &b)
	return readingsOf(t, &b, "dsl0"), err
}

// with returns body with the field of the line set to the JSON value.
func with(t *testing.T, body, value string, path ...string) string {
	t.Helper()
	var top map[string]any
	if err := json.Unmarshal([]byte(body), &top); err != nil {
		t.Fatal(err)
	}
	at := top
	for _, key := range path[:len(path)-1] {
		at = at[key].(map[string]any)
	}
	last := path[len(path)-1]
	if value == "" {
		delete(at, last)
	} else {
		at[last] = json.RawMessage(value)
	}
	text, err := json.Marshal(top)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// dsl0 returns vdsl with the fields set.
func dsl0(t *testing.T, fields map[string]string) string {
	t.Helper()
	body := vdsl
	for key, value := range fields {
		body = with(t, body, value, "status", "dsl", "dsl0", key)
	}
	return body
}
