// Package telemetrypb is the code that protoc generates from telemetry.proto,
// for the lab and for backends; the box has messages written by hand, in
// uplink/wire, that cost less.
//
// # What is promised
//
//   - The generated code is that of the telemetry.proto beside it in the tree.
//   - Every field and every enumerated value of it is in the messages written
//     by hand, and the two read each other's bytes alike.
package telemetrypb

//go:generate protoc -I ../../uplink/wire --go_out=. --go_opt=paths=source_relative ../../uplink/wire/telemetry.proto
