package storage

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"livebox-agent/buffer"
	"livebox-agent/uplink"
)

func TestThreeDaysOfOutageArriveFreshFirst(t *testing.T) {
	o, err := outage(72*time.Hour, func(f func()) error {
		synctest.Test(t, func(*testing.T) { f() })
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d windows, %d whole; %d of %d events; %d bytes of flash; drained in %v, %d bytes, %d twice",
		o.Kept, o.Made, len(o.Whole), o.KeptEvents, o.Events, o.FlashBytes, o.Drained, o.Bytes, o.Twice)
	if o.Kept != 3*288 || o.KeptEvents != 24 {
		t.Errorf("%d windows and %d events were kept; want all 864 and 24", o.Kept, o.KeptEvents)
	}
	// Columns of the onset and of the end stay, as those of most others do.
	for seq := uint64(1); seq <= o.Newest; seq++ {
		edge := seq <= onset || seq > o.Newest-end
		if edge && !slices.Contains(o.Whole, seq) {
			t.Errorf("window %d, of the onset or of the end, has no columns", seq)
		}
	}
	if len(o.Whole) < o.Kept/2 || len(o.Whole) == o.Kept {
		t.Errorf("%d of %d windows have columns; want most, and not all", len(o.Whole), o.Kept)
	}
	if limit := buffer.DefaultConfig().FlashDailyBytes * 3; o.FlashBytes > limit {
		t.Errorf("%d bytes written; want at most %d", o.FlashBytes, limit)
	}
	if o.Windows[0] != o.Newest {
		t.Errorf("the first window to come is %d; want %d, the newest", o.Windows[0], o.Newest)
	}
	// Those of the outage in order, but for the newest.
	old := slices.DeleteFunc(slices.Clone(o.Windows), func(n uint64) bool { return n >= o.Newest })
	if !slices.IsSorted(old) || len(old) != o.Kept-1 {
		t.Errorf("%d windows of the outage came, in order: %v; want %d, oldest first", len(old), slices.IsSorted(old), o.Kept-1)
	}
	if o.Twice != 0 {
		t.Errorf("%d reports came twice over a line without a fault", o.Twice)
	}
	if o.EventsAfter > 16 {
		t.Errorf("%d windows came before the last event of the outage", o.EventsAfter)
	}
	cfg := uplink.DefaultConfig()
	least := time.Duration(float64(o.Kept-1) / cfg.BacklogRate * float64(time.Second))
	if o.Drained < least/2 || o.Drained > 4*least {
		t.Errorf("drained in %v; at %v a second it takes about %v", o.Drained, cfg.BacklogRate, least)
	}
	// What came on top while it drained is on its way as usual.
	for n := o.Newest + 1; n <= o.Newest+uint64(o.Drained/(5*time.Minute)); n++ {
		if !slices.Contains(o.Windows, n) {
			t.Errorf("window %d, made while the backlog drained, did not come before its end", n)
		}
	}
}
