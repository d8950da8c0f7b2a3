// Package sysbus asks a Livebox over its web service: JSON calls of functions
// of a tree of objects, by POST to /ws, as the box's own web page makes them.
//
// # What is promised
//
//   - One call is in flight at a time, whoever asks: a box answers one in up
//     to 25 seconds, and slower for every other that waits.
//   - A lost session is opened again once; what is then still denied is
//     refused, and is not asked again for RefusedFor.
//   - A wrong password is tried again after LoginPause or when its file
//     changes, not before: boxes lock out who tries too often.
//   - The password comes from a file that nobody but its owner may read, is
//     not kept, and is in no error, no log and no printed form of a Client.
//   - A reply that is no reply (a redirect, a page of HTML, a body without
//     end) is an error of that call, and no redirect is followed.
//   - A reply takes memory as it comes: a length that is announced and does
//     not come takes 16 kB, or what the reply to the same call had before.
//
// # The protocol
//
// A call is {"service":OBJECT,"method":METHOD,"parameters":{…}}. The reply is
// {"status":…}, sometimes with "data", or {"errors":[…]} with HTTP status 200.
// With one of the two content types that boxes take, both are inside
// {"result":…}. A session is opened by calling createContext of
// sah.Device.Information, and from then on shown by the header X-Context and
// by a cookie whose name holds a slash, which http.Cookie drops.
//
// The sources of these facts are the published clients of the protocol:
// rene-d/sysbus, p-dor/LiveboxMonitor, cyr-ius/aiosysbus and
// Tomy2e/livebox-api-client.
package sysbus
