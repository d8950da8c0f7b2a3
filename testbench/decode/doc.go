// Package decode shows messages of a box to people, and to programs as JSON.
//
// # What is promised
//
//   - It names metrics, units and states from the catalogue of this build, and
//     says so where a report was made under another.
//   - It prints times on the wall clock where the report says where that is,
//     else as time since the kernel booted.
//   - It prints what it can of a message that is partly damaged, and returns
//     what was wrong.
package decode
