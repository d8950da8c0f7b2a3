// Package agent is the daemon: it wires the sources, the window, the buffer
// and the uplink together, and owns every goroutine.
//
// # What is promised
//
//   - Sampling goes on whatever happens to the store, the network or the
//     backend.
//   - Data without a granted purpose is not collected, and what an earlier
//     consent left behind is removed at the start.
//   - Evidence of a surge, and what was measured until then, is on flash before
//     anything else is done with it: the power may fail. It waits for nothing,
//     also while the box that has just started is still asked why.
//   - The first report after a restart of the kernel says why it was, as far as
//     the box can tell, and is delivered before any window. Only events of what
//     happened while the box was asked may come before it.
//   - A port or a line that had its link before a restart that nobody asked for,
//     and has none minutes after it, is told with the restart.
//   - What the store lost is told when somebody hears it, by one event at a time:
//     in an outage the ledger takes no room from events.
//   - A stop that was asked for loses nothing: the open window is sealed and
//     everything is stored before the program ends.
package agent
