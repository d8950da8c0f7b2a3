// Package allowance bounds how often something is done that costs the flash or
// the line.
//
// # What is promised
//
//   - In no span of time is more done than the burst and one for each period of
//     that span; time that stands still or steps back gives nothing.
//   - Who must wait is told how long.
package allowance
