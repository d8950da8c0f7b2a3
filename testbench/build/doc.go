// Package build makes the agent's release binaries and looks inside them.
//
// # What is promised
//
//   - Two builds of the same tree give the same bytes, wherever the trees lie
//     and whatever is in the build cache.
//   - A release binary is static: it asks for no loader and no library.
//   - Every release binary carries the version that the file VERSION states.
//   - A release has the MQTT library of go.mod with the changes in paho.patch,
//     or there is no release: each change fits exactly once.
//
// The commands cross, budget and the tests build through this package, so that
// what is measured and tested is what is shipped.
package build
