package wifi

import (
	"math"

	"golang.org/x/sys/unix"

	"livebox-agent/collector/catalogue"
	"livebox-agent/collector/platform/kernel/netlink"
)

// The times of a survey, in the order of survey.times.
const (
	timeActive = iota
	timeBusy
	timeRx
	timeTx
	timeBSSRx
	surveyTimes
)

// timeMetrics are the metrics of survey.times.
var timeMetrics = [surveyTimes]catalogue.ID{
	timeActive: catalogue.RadioActiveTime,
	timeBusy:   catalogue.RadioBusyTime,
	timeRx:     catalogue.RadioRxTime,
	timeTx:     catalogue.RadioTxTime,
	timeBSSRx:  catalogue.RadioBSSRxTime,
}

// A survey is what GET_SURVEY tells of one channel.
type survey struct {
	frequency uint32 // MHz
	inUse     bool
	noise     int8 // dBm as told, 0 if not
	// times in ms; only those whose bit in given is set.
	times [surveyTimes]uint64
	given uint8
}

// parseSurvey returns what the attributes of an
// NL80211_CMD_NEW_SURVEY_RESULTS say; a survey of nothing where they have no
// NL80211_ATTR_SURVEY_INFO.
func parseSurvey(attributes []byte) (survey, error) {
	var s survey
	a := netlink.NewAttributes(attributes)
	for a.Next() {
		if a.Type() == unix.NL80211_ATTR_SURVEY_INFO {
			if err := s.parse(a.Nested()); err != nil {
				return survey{}, err
			}
		}
	}
	return s, a.Err()
}

func (s *survey) parse(a netlink.Attributes) error {
	for a.Next() {
		switch a.Type() {
		case unix.NL80211_SURVEY_INFO_FREQUENCY:
			s.frequency = a.Uint32()
		case unix.NL80211_SURVEY_INFO_NOISE:
			s.noise = a.Int8()
		case unix.NL80211_SURVEY_INFO_IN_USE:
			s.inUse = true
		case unix.NL80211_SURVEY_INFO_TIME:
			s.set(timeActive, a.Uint64())
		case unix.NL80211_SURVEY_INFO_TIME_BUSY:
			s.set(timeBusy, a.Uint64())
		case unix.NL80211_SURVEY_INFO_TIME_RX:
			s.set(timeRx, a.Uint64())
		case unix.NL80211_SURVEY_INFO_TIME_TX:
			s.set(timeTx, a.Uint64())
		case unix.NL80211_SURVEY_INFO_TIME_BSS_RX:
			s.set(timeBSSRx, a.Uint64())
		}
	}
	return a.Err()
}

func (s *survey) set(time int, ms uint64) {
	s.times[time] = ms
	s.given |= 1 << time
}

// rank says how well the survey describes the channel with that frequency: 0
// not at all. Drivers differ: some mark no channel as in use, and a phy of
// several radios has several that are.
func (s *survey) rank(frequency uint32) int {
	rank := 0
	if frequency != 0 && s.frequency == frequency {
		rank = 1
	}
	if s.inUse && (rank > 0 || frequency == 0) {
		rank++
	}
	return rank
}

// A stopwatch adds up the time that a radio spent on whatever channel it was
// on. Each channel has a counter of its own in the kernel, which goes on where
// it was when the radio comes back; the time before that is not the radio's
// time since the last reading.
type stopwatch struct {
	total     int64
	prev      uint64
	frequency uint32
	seen      bool
}

// next returns the total after the counter of the channel reads ms. The first
// reading is the first total.
func (w *stopwatch) next(frequency uint32, ms uint64) int64 {
	step := ms
	switch {
	case !w.seen:
	case w.frequency != frequency:
		step = 0
	case ms >= w.prev:
		step = ms - w.prev
	}
	// Below the previous one: the driver started again from zero.
	w.prev, w.frequency, w.seen = ms, frequency, true
	w.total += int64(min(step, uint64(math.MaxInt64-w.total)))
	return w.total
}
