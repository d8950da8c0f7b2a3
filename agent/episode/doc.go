// Package episode puts signs that come close together in time into one event:
// the evidence of a surge, of which no single sign is proof.
//
// # What is promised
//
//   - What opens an episode is told at once, in a notice that is all there will
//     be if the power fails; what it came to is told when it is over.
//   - Every sign that was added is in an event, is counted in one, or is of a
//     kind that means nothing alone.
//   - However fast signs come, no more than a few events an hour come of them;
//     what could not be told is counted in the next event that is.
//   - However fast signs of one type of event come, the first of every other type
//     is told.
//   - Memory is bounded, and time is what the caller says that it is.
//
// # What opens an episode
//
// A rail out of its band or a protection device that worked (nothing ordinary
// does that); a line that was lost, trained anew or had a burst of errors; and
// things that are ordinary alone (a port without a link, a message of the
// kernel, a level that moved) where two of them come within seconds: two ports
// within three of each other, or a port and a level within twelve. What is missed
// minutes after a restart that nobody had asked for (package rollcall) is one too.
// A strike that the lightning sensor heard opens nothing: the sensor hears it from
// 40 km (data sheet of the AS3935).
//
// How often ordinary life makes episodes is measured: README.md of package detect.
//
// Its event is of type Line where all evidence is of the line, else of type
// Surge. What a surge does not do (a station that hears badly, a port that flaps
// for an hour) is an event of its own, of the type that wire has for it.
package episode
