// Package detect finds in the readings of the box, as they come, what is worth
// telling at once: signs.
//
// # What is promised
//
//   - Readings that are absent, counters that start again, gaps in time and
//     clocks that step give no sign.
//   - What is known is bounded, whatever is observed, and an instance that is
//     not seen for long is forgotten.
//   - Readings in which nothing is found allocate nothing, once their instances
//     are known.
//   - A link that flaps is told once, and what it does meanwhile is not; then
//     that it is steady, and how it was left.
//   - Heat that a chip's own alarm and its readings both find is told once, and
//     its end when neither finds it any more.
//   - No detector tells of one instance more than ten times in an hour, and as
//     often that it is over.
//   - What was learnt under a purpose is forgotten with it.
//   - What was usual before a restart is usual after it, so that a step that
//     came with a loss of power is told.
//   - On the reference traces the false alarms of each detector are within its
//     budget.
//
// # The methods
//
// A level (margin, attenuation, optical power, noise of a radio, temperature,
// voltage): the median of five readings makes a block, of five minutes, or of
// an hour for levels that follow what people do (temperature, noise). The
// least and the greatest block of each of the last 24 hours in which there
// were readings make the band: noise, quantisation, autocorrelation and the
// day's rhythm are in it. Two cumulative sums add what blocks are above it and
// below, in steps that are worth an event, less an allowance of half a step a
// block. A sum that reaches what a step of one would make in the time that it
// must last, and two blocks at least, is told, with the time at which it began
// to grow; a larger step is told in as little as half of it. While a sum grows the band stays as
// it is. After a step the band goes on around the new level. So what is slower
// than half a step in an hour is drift, and followed. The first hour of readings
// is learnt from, or the first six of temperature and noise. The margin is learnt anew when the line trains, which sets it
// (line management at night gives it other targets), a radio's noise when
// its channel changes, and no temperature counts in the first hour after the
// box started.
//
// A link that flaps: each time that it goes down fills a bucket, which drains
// ten times an hour; a full one is flapping, ten minutes without a change are
// its end. Signs that are pushed and the kernel's counter count the same
// changes, so whichever has more counts.
//
// A line: LineStatus or OpticState leaves its operating state; LineRetrains
// grows, or, where it is not counted, the showtime falls. Bursts of errors are
// counted in a window of 15 minutes, against a number, or five times the
// line's own usual where that is more; once told, the next is told after an hour
// without. Errors within five minutes of a training are its own.
//
// A rail: a reading off the usual voltage by more than the band is told at
// once, unless it is within 5 % of the nominal voltage; a minute well inside
// is the end. Readings below two fifths and above eight fifths of the usual
// are a converter's fault. Rails below 1.6 V follow the load of a processor
// and are not judged.
//
// Latency: the median of five rounds is above twice the line's own 95th
// percentile, and by RTTExcess, three times in a row. The percentile is
// followed by stochastic approximation, from half a day on. Loss: a cumulative
// sum of probes lost beyond an allowance, of Loss per cent or twice the usual,
// reaches twelve; of ten minutes with a sum of zero comes the end. Rounds near
// one that was left out because the line was busy are not judged. The sign of
// loss has the probes sent as Before, those answered as After.
//
// Coverage: of a station with traffic, the smoothed signal is below WeakSignal
// for WeakFor, in which the signal itself is; rounds without traffic do not count, nor
// end it. It is told at most once an hour.
//
// Association failures: so many within two minutes; the next burst is told
// after half an hour without a failure. Thermal: a minute beyond the limit, a
// minute 5 degrees below it.
//
// README.md beside this file has what was measured. The arithmetic is of integers, but for
// what is rare.
package detect
