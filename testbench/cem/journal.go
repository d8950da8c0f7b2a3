package cem

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"
)

const (
	// maxEntry bounds what is read of one entry: the largest message taken and
	// its topic.
	maxEntry = 1 << 20
	// defaultJournalBytes bounds the two files of a journal together.
	defaultJournalBytes = 1 << 30
)

// A journal is the log of a CEM whose broker keeps none: what came by MQTT,
// synced before it is acknowledged. It is two files, of which the older goes
// when the newer has half of the bytes.
type journal struct {
	dir   string
	most  int64
	file  *os.File
	bytes int64
	next  uint64 // sequence of the next entry, from 1
}

// openJournal opens the journal in dir and hands every entry to take. What a
// loss of power left behind the last whole entry is cut off.
func openJournal(dir string, most int64, take func(message)) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	j := &journal{dir: dir, most: most, next: 1}
	for _, name := range []string{j.name("old"), j.name("log")} {
		if j.file != nil {
			if err := j.file.Close(); err != nil {
				return nil, err
			}
		}
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		j.file = f
		if j.bytes, err = j.replay(f, take); err != nil {
			return nil, errors.Join(fmt.Errorf("journal %s: %w", name, err), f.Close())
		}
	}
	return j, nil
}

func (j *journal) name(ext string) string { return filepath.Join(j.dir, "journal."+ext) }

// replay hands over the entries of a file and cuts off what is none.
func (j *journal) replay(f *os.File, take func(message)) (whole int64, err error) {
	in := bufio.NewReader(f)
	for {
		m, n, err := readEntry(in)
		if err != nil {
			break // the end, or what a loss of power left
		}
		m.sequence = j.next
		j.next++
		whole += n
		take(m)
	}
	if err := f.Truncate(whole); err != nil {
		return 0, err
	}
	_, err = f.Seek(whole, io.SeekStart)
	return whole, err
}

var errEntry = errors.New("damaged entry")

// An entry is length and CRC-32C, each of four bytes, little endian, and so
// many bytes: the time in nanoseconds, the length of the subject in two bytes,
// subject and payload.
const (
	entryHead   = 8
	entryPrefix = 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func appendEntry(b []byte, m message) []byte {
	at := len(b)
	b = append(b, make([]byte, entryHead)...)
	b = binary.LittleEndian.AppendUint64(b, uint64(m.stored.UnixNano()))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(m.subject)))
	b = append(append(b, m.subject...), m.payload...)
	body := b[at+entryHead:]
	binary.LittleEndian.PutUint32(b[at:], uint32(len(body)))
	binary.LittleEndian.PutUint32(b[at+4:], crc32.Checksum(body, castagnoli))
	return b
}

// readEntry reads one entry and returns its length in the file.
func readEntry(in io.Reader) (m message, n int64, err error) {
	var head [entryHead]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return message{}, 0, err
	}
	length := binary.LittleEndian.Uint32(head[:])
	if length < entryPrefix || length > maxEntry {
		return message{}, 0, errEntry
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(in, body); err != nil {
		return message{}, 0, err
	}
	subject := entryPrefix + int(binary.LittleEndian.Uint16(body[8:]))
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(head[4:]) || subject > len(body) {
		return message{}, 0, errEntry
	}
	return message{
		stored:  time.Unix(0, int64(binary.LittleEndian.Uint64(body))),
		subject: string(body[entryPrefix:subject]), payload: body[subject:],
	}, entryHead + int64(length), nil
}

// append stores messages, synced, and gives them their sequences.
func (j *journal) append(batch []message) error {
	if j.bytes >= j.most/2 {
		if err := j.turn(); err != nil {
			return err
		}
	}
	var b []byte
	for i := range batch {
		batch[i].sequence = j.next
		j.next++
		b = appendEntry(b, batch[i])
	}
	n, err := j.file.Write(b)
	j.bytes += int64(n)
	if err != nil {
		return err
	}
	return j.file.Sync()
}

// turn makes the newer file the older.
func (j *journal) turn() error {
	if err := j.file.Close(); err != nil {
		return err
	}
	if err := os.Rename(j.name("log"), j.name("old")); err != nil {
		return err
	}
	f, err := os.OpenFile(j.name("log"), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	j.file, j.bytes = f, 0
	return nil
}

func (j *journal) close() error { return j.file.Close() }
