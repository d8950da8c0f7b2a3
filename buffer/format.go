package buffer

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"livebox-agent/collector/catalogue"
)

// The file is a bbolt database with two buckets.
//
// "reports" has one key per part of a report, so that thinning and withdrawal
// delete keys and rewrite no value:
//
//	class 1 · run counter 4 · run id 8 · sequence 8 · part 1
//
// The class is the lane, but for the columns of windows, which have a class of
// their own: their pages then hold nothing else, and thinning frees whole
// pages where it would otherwise leave holes between the summaries. Part 0 is
// the report's header, parts 1 to 64 are its sections in their order.
//
// A value is
//
//	magic 1 · version 1 · purpose 1 · fidelity 1 · CRC-32C 4 · body
//
// where the checksum covers the key, purpose, fidelity and body (bbolt has a
// checksum on its meta pages only). The body of part 0 is
//
//	kernel boot 4 · opened 8 · sealed 8 (nanoseconds) · header
//
// "state" has the format's version, the ledger, the account of bytes written,
// the number of reports and a seal (state.go) with checksums of these; it is
// small enough for bbolt to keep it inside the root page, which every commit
// writes anyway.
//
// All our numbers are big endian. bbolt's own are in the byte order of the
// machine: such a file does not move between boxes of different byte order,
// and is set aside where it does.

const (
	classEvents  = byte(Events)
	classWindows = byte(Windows)
	classColumns = 3

	keyLen = 22

	valueMagic     = 'L'
	valueHeaderLen = 8
	bootHeaderLen  = 20

	// formatVersion is written; formatOldest to formatVersion can be read.
	formatVersion = 1
	formatOldest  = 1
)

func reportsBucket() []byte { return []byte("reports") }
func stateBucket() []byte   { return []byte("state") }

// The keys of the state bucket.
func formatKey() []byte  { return []byte("format") }
func ledgerKey() []byte  { return []byte("ledger") }
func accountKey() []byte { return []byte("account") }
func countKey() []byte   { return []byte("count") }
func sealKey() []byte    { return []byte("seal") }

var errValue = errors.New("value damaged")

// appendKey appends the key of one part of the report k.
func appendKey(b []byte, class byte, k Key, part int) []byte {
	b = append(b, class)
	b = binary.BigEndian.AppendUint32(b, k.Run.Counter)
	b = binary.BigEndian.AppendUint64(b, k.Run.ID)
	b = binary.BigEndian.AppendUint64(b, k.Sequence)
	return append(b, byte(part))
}

// parseKey is the reverse of appendKey; the kernel boot is in part 0's value.
func parseKey(b []byte) (class byte, k Key, part int, ok bool) {
	if len(b) != keyLen {
		return 0, Key{}, 0, false
	}
	class, part = b[0], int(b[keyLen-1])
	k.Run.Counter = binary.BigEndian.Uint32(b[1:])
	k.Run.ID = binary.BigEndian.Uint64(b[5:])
	k.Sequence = binary.BigEndian.Uint64(b[13:])
	switch class {
	case classEvents:
		k.Lane = Events
	case classWindows:
		k.Lane = Windows
	case classColumns:
		k.Lane = Windows
		ok = part > 0
		return class, k, part, ok && part <= MaxSections && k.Sequence > 0
	default:
		return 0, Key{}, 0, false
	}
	return class, k, part, part <= MaxSections && k.Sequence > 0
}

// valueSum is the checksum of a value under its key.
func valueSum(key []byte, purpose, fidelity byte, body []byte) uint32 {
	t := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Checksum(key, t)
	sum = crc32.Update(sum, t, []byte{purpose, fidelity})
	return crc32.Update(sum, t, body)
}

// encodeValue returns the value of one part.
func encodeValue(key []byte, purpose catalogue.Purpose, fidelity Fidelity, body []byte) []byte {
	b := make([]byte, valueHeaderLen, valueHeaderLen+len(body))
	b[0], b[1], b[2], b[3] = valueMagic, formatVersion, byte(purpose), byte(fidelity)
	binary.BigEndian.PutUint32(b[4:], valueSum(key, b[2], b[3], body))
	return append(b, body...)
}

// decodeValue checks a value; the section's body is part of v.
func decodeValue(key, v []byte) (Section, error) {
	if len(v) < valueHeaderLen || v[0] != valueMagic ||
		v[1] < formatOldest || v[1] > formatVersion ||
		binary.BigEndian.Uint32(v[4:]) != valueSum(key, v[2], v[3], v[valueHeaderLen:]) {
		return Section{}, errValue
	}
	return Section{
		Purpose:  catalogue.Purpose(v[2]),
		Fidelity: Fidelity(v[3]),
		Body:     v[valueHeaderLen:],
	}, nil
}

// encodeHeader returns the body of part 0.
func encodeHeader(r *Report) []byte {
	b := make([]byte, 0, bootHeaderLen+len(r.Header))
	b = binary.BigEndian.AppendUint32(b, r.Key.Run.KernelBoot)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Opened))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Sealed))
	return append(b, r.Header...)
}

// decodeHeader fills r from the body of part 0.
func decodeHeader(r *Report, body []byte) error {
	if len(body) < bootHeaderLen {
		return errValue
	}
	r.Key.Run.KernelBoot = binary.BigEndian.Uint32(body)
	r.Opened = time.Duration(binary.BigEndian.Uint64(body[4:]))
	r.Sealed = time.Duration(binary.BigEndian.Uint64(body[12:]))
	r.Header = body[bootHeaderLen:]
	return nil
}

// A pair is one key and value of the reports bucket.
type pair struct{ key, value []byte }

// pairs returns what stands for r in the reports bucket.
func (r *Report) pairs() []pair {
	class := byte(r.Key.Lane)
	ps := make([]pair, 0, len(r.Sections)+1)
	add := func(class byte, part int, s Section) {
		key := appendKey(make([]byte, 0, keyLen), class, r.Key, part)
		ps = append(ps, pair{key, encodeValue(key, s.Purpose, s.Fidelity, s.Body)})
	}
	add(class, 0, Section{Body: encodeHeader(r)})
	for i, s := range r.Sections {
		if r.thinnable(s) {
			add(classColumns, i+1, s)
		} else {
			add(class, i+1, s)
		}
	}
	return ps
}
