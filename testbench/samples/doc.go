// Package samples reads replies of boxes kept in files, by the decoders that
// the agent uses, and lists which platform gives which metric.
//
// # What is promised
//
//   - A reply for which there are decoders, and which holds values, but gives
//     no metric is a failure.
//   - A file that cannot be read as a reply is a failure of its own and
//     stops no other.
//   - The boxes and the interfaces in a folder need not be known.
//   - The table of platforms in the documentation is that of the code.
package samples
