// Package decoder holds a decoder of the wire format in a second language,
// decode.py, that needs nothing but Python 3 and was written from
// uplink/wire/SPEC.md. It proves that the specification is enough, and is where
// a backend in another language may start from.
//
// # What is promised
//
//   - decode.py reads every golden vector as the Go decoder does.
package decoder
