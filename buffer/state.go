package buffer

import (
	"encoding/binary"
	"hash/crc32"

	"go.etcd.io/bbolt"
)

// The values of the state bucket are as old as the format, and have no room for
// a checksum of their own. A value beside them, the seal, has one for each:
//
//	transaction 8 · events 4 · windows 4 · CRC-32C of each other value, 4 each · CRC-32C of all that 4
//
// with the number of the commit that it belongs to and that of the reports of
// each lane after it. The version before passes over the seal and leaves it as
// it is: its commits have a higher number than the seal then, and what they
// wrote is taken as it is found, as it was before there were seals. So either
// reads what the other wrote. A format of a later version is believed only
// where the seal holds: it must be written with one.

// sealedKeys are the values that the seal is for, in the order of their sums.
func sealedKeys() [][]byte { return [][]byte{formatKey(), ledgerKey(), accountKey(), countKey()} }

const (
	sealed  = 4 // keys
	sealLen = 8 + 4*lanes + 4*sealed + 4
)

// sumOf is the checksum of a value of the state bucket; one that is empty or
// not there has 0.
func sumOf(key, value []byte) uint32 {
	if len(value) == 0 {
		return 0
	}
	t := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(key, t), t, value)
}

// seal puts the seal into tx, when everything else is there.
func seal(tx *bbolt.Tx, reports [lanes]uint32) error {
	state := tx.Bucket(stateBucket())
	b := binary.BigEndian.AppendUint64(make([]byte, 0, sealLen), uint64(tx.ID()))
	for _, n := range reports {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	for _, key := range sealedKeys() {
		b = binary.BigEndian.AppendUint32(b, sumOf(key, state.Get(key)))
	}
	return state.Put(sealKey(), binary.BigEndian.AppendUint32(b, sumOf(sealKey(), b)))
}

// A state is what the state bucket of one commit says.
type state struct {
	version byte
	losses  []Loss
	account []byte
	// reports is how many there were, in each lane and in all; -1 unknown.
	lanes   [lanes]int64
	reports int64
	// torn: a tolerant walk had to skip something, or everything.
	torn bool
	// sealed: the seal is of this commit. The values that it does not fit are
	// left out, damage is about one of them.
	sealed                  bool
	damage                  error
	lostLedger, lostAccount bool
}

// state reads the state bucket.
func (p *pages) state() (s state, err error) {
	s = state{reports: -1, lanes: [lanes]int64{-1, -1}}
	found := make(map[string][]byte)
	bad := p.bad
	err = p.visit(stateBucket(), func(key, value []byte) error {
		found[string(key)] = append([]byte{}, value...)
		return nil
	})
	if err != nil {
		return s, err
	}
	s.torn = p.bad > bad
	s.unseal(found, p.txid)
	if v := found[string(formatKey())]; len(v) > 0 {
		s.version = v[0]
	}
	s.losses = decodeLosses(found[string(ledgerKey())])
	s.account = found[string(accountKey())]
	if v := found[string(countKey())]; len(v) == 4 && !s.sealed {
		s.reports = int64(binary.BigEndian.Uint32(v))
	}
	return s, nil
}

// unseal checks what was found against the seal and takes out what does not
// fit.
func (s *state) unseal(found map[string][]byte, txid uint64) {
	b := found[string(sealKey())]
	if len(b) != sealLen || binary.BigEndian.Uint32(b[sealLen-4:]) != sumOf(sealKey(), b[:sealLen-4]) ||
		binary.BigEndian.Uint64(b) != txid {
		return // damaged itself, or the version before was the last to write
	}
	s.sealed, s.reports = true, 0
	b = b[8:]
	for i := range s.lanes {
		s.lanes[i] = int64(binary.BigEndian.Uint32(b))
		s.reports += s.lanes[i]
		b = b[4:]
	}
	for _, key := range sealedKeys() {
		if sum := binary.BigEndian.Uint32(b); sum != sumOf(key, found[string(key)]) {
			s.damage = damagef("%s does not fit its checksum", key)
			s.lostLedger = s.lostLedger || string(key) == string(ledgerKey())
			s.lostAccount = s.lostAccount || string(key) == string(accountKey())
			delete(found, string(key))
		}
		b = b[4:]
	}
}

// check reports what is wrong with the state.
func (s *state) check() error {
	switch {
	case s.damage != nil:
		return s.damage
	case s.version > formatVersion && s.sealed:
		return newerError{s.version}
	case s.version > formatVersion:
		return damagef("format %d without a checksum", s.version)
	case s.version < formatOldest:
		return damagef("format %d is no longer read", s.version)
	}
	return nil
}

// whole reports whether nothing of the state is missing.
func (s *state) whole() bool {
	return s.damage == nil && (s.sealed || !s.torn && s.version >= formatOldest)
}

// fill takes from the commit before what this one has lost.
func (s *state) fill(before state) {
	switch {
	case !s.sealed:
		*s = before
		s.reports = -1 // what the last commit brought is not in it
	default:
		if s.lostLedger {
			s.losses = before.losses
		}
		if s.lostAccount {
			s.account = before.account
		}
	}
}
