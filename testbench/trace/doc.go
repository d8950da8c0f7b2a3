// Package trace makes the reference trace, a day of one box's readings, and
// measures what encodings of it cost.
//
// # What is promised
//
//   - The same seed, rows and interval give the same trace.
//   - Every encoding in Figures codes the same readings; what travels with
//     them (names, box, times) is counted for each as that encoding has it.
//
// The trace is synthetic: eight Wi-Fi stations, a DSL line with one retrain,
// an optical module, temperatures, load, traffic of four interfaces and a
// probe of the first hop, 60 columns of the catalogue at a reading each 10 s. Signals are first-order
// autoregressive around levels that jump when a station moves, rates follow
// them through a table of twelve, retries come in bursts, traffic is heavy
// tailed with a daily rhythm and the home's side follows the line's.
package trace
