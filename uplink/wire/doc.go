// Package wire writes and reads what a box and the CEM say to each other: the
// protobuf messages of telemetry.proto and the coded bodies of their sections.
// SPEC.md beside it is the contract, for any language.
//
// # What is promised
//
//   - A coded body needs nothing but itself to be decoded.
//   - Every reading comes back: exactly where a table is coded lossless, else
//     a gauge within half a step, a counter less than one step below, a state
//     exactly.
//   - The first and the last reading of a counter in a body are exact, so
//     totals over windows are exact.
//   - An Encoder that has grown to the size of its tables allocates nothing.
//   - No input makes the package panic, and no body of 64 KiB makes the
//     decoder hold more than a few megabytes.
//   - Parsers ignore fields that they do not know.
//
// Times are time.Duration since the kernel booted and travel in milliseconds.
// What the box never calls (DecodeColumns, ParseReport, ParseStatus, …) is
// left out of its binary by the linker.
package wire
