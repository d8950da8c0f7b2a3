// Package ubus asks the services of an OpenWrt or prplOS box over ubus, the
// message bus of these systems.
//
// # What is promised
//
//   - An exchange ends: at the deadline of its context, at once when that is
//     cancelled, and after DefaultTimeout where it has no deadline.
//   - What the bus or a service refuses comes back as a *CallError that wraps
//     its StatusError: collector.ErrNoData where the box does not have what
//     was asked for, collector.ErrRefused where the agent may not have it.
//   - An answer that comes late, after its exchange was given up, is never
//     taken for the answer to another.
//   - A truncated or malformed message is refused, never read past its end,
//     and no more is taken than MaxMessage bytes of a message, MaxAnswer of
//     an answer, and values MaxDepth deep.
//   - After an error the next exchange finds the bus again, also where it or
//     the service was started anew.
//   - A subscriber is told everything that an object notifies of, in order,
//     also while it asks the bus; and who waits for its answer gets one at once.
//
// # The protocol
//
// A message has a header of 8 bytes (version 0, type, sequence, peer) and one
// blob, which holds attributes (ubusmsg.h of ubus). A blob has a word of 32
// bits, big endian: whether it is extended (bit 31), its id (7 bits) and its
// length with that word (24 bits); it is padded to 4 bytes (blob.h of
// libubox). The values of a call are blobs whose id is their type and which,
// extended, begin with their name (blobmsg.h). The daemon sends HELLO first;
// the client looks an object up (LOOKUP), gets its number (DATA) and the end
// of the answer (STATUS), and calls a method of it (INVOKE), which is answered
// by any number of DATA and a STATUS.
//
// Who subscribes (SUBSCRIBE) does so with an object of its own (ADD_OBJECT), and
// is called by it (INVOKE): the method is what
// happened. When the object goes away the daemon says so
// (UNSUBSCRIBE).
package ubus
