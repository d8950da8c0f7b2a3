// Package probe measures the way to a reflector with packets of its own: round
// trip time, jitter and loss, by STAMP (RFC 8762) or, while the reflector does
// not answer, by ICMP echo.
//
// # What is promised
//
//   - Nothing is sent, and no name looked up, unless a reflector is configured.
//   - No 24 hours of one run of the agent see more packets than configured.
//   - Nothing is sent while the line is busy, or where it cannot be told.
//   - An answer counts once, and only if it is the reflector's to a packet of
//     this round that came in time; the order of answers does not matter.
//   - What was not measured is absent: a round without an answer gives its
//     counters alone.
//   - A round ends in time, whatever arrives.
//
// The line is busy when, in the second before a round, it carried more than is
// configured, down or up. A name is looked up after that.
//
// The round trip time leaves out how long the reflector says it had the
// packet. It is the mean and the least of a round, jitter the mean difference
// of successive packets (RFC 3393, absolute). What is answered by the
// reflector has the instance "stamp", what is answered by its host's kernel
// "icmp": the two do not compare, as hosts answer echo requests when they have
// nothing better to do.
package probe
