// Package netfault breaks the network, the name service, the certificates and
// the broker under a box that delivers, and counts what that costs.
//
// # What is promised
//
//   - Under every fault nothing is lost: when it is over, every report that was
//     made is in the CEM's state, once.
//   - A fault that did not strike is an error, not a success: each trial sees
//     it take effect before it is mended, and the class of failure that the
//     agent gives it.
//
// How long recovery took is measured, and never asserted.
package netfault
