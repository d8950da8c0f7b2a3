// Package rollcall knows which ports and lines had a link before the box
// restarted without being asked, and finds those that have none any more.
//
// What a surge kills while the power is away gives no sign: the box starts, sees
// a port without a link, and nothing says that it had one before.
//
// # What is promised
//
//   - A port or a line that had its link before, and has none or a slower one
//     minutes after the restart, is a sign; one that had none before, that comes
//     back in time or that cannot be seen is not.
//   - What is kept changes only with what has lasted for minutes, and is written
//     a few times at once and once an hour after that, however often links come
//     and go.
//   - What was kept is not replaced before it was compared: a second loss of
//     power in the meantime loses nothing.
//   - What is known is bounded, whatever is observed.
//
// # How
//
// The states are those of readings: of a port its link and the speed, of a copper
// line showtime, of an optical module O5 or, where it knows no such state, light.
// Links have Patience to come up after the start: a computer or a switch takes a
// minute or two to boot beside the box, a line as long to train, an optical unit
// less. What has none by then is told, once.
//
// So an ordinary power cut tells of a computer that stays off after it, or sleeps
// at a lower speed: that is what was seen, and what it means is for who has the
// other evidence. What the customer unplugged before the cut is not told where it
// was Settled before and then written: within six minutes, or at the latest an
// hour later where links come and go all day. An interface that is gone is a port
// without a link; a line of which nothing is read is not told, since it is the
// software that is asked for it. Where the agent itself ends within Patience of a
// restart, and starts again in the same boot, nothing is compared.
package rollcall
