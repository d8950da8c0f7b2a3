// Package faultproxy stands between a box and its broker and breaks their
// connections as a test tells it: at a phase of the protocol, for one
// direction or both, or by being slow.
//
// # What is promised
//
//   - A fault strikes at the phase it names, on as many connections as it says,
//     and no other; how often it struck is counted.
//   - Without a fault every byte passes, in order, both ways.
//   - A reset is a reset: both sides see ECONNRESET, not an end of stream.
//   - A delay holds back bytes without slowing the stream; a rate holds the
//     stream to so many bits a second.
//
// By default the proxy passes bytes on and sees no further than TLS's first
// messages. Where it is given certificates of both sides it ends TLS and begins
// it anew, and knows the packets of MQTT.
package faultproxy
