package sysbus

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"livebox-agent/collector/platform/tree"
)

// Statuses of HTTP that mean something here.
const (
	statusSwitchingProtocols = 101
	statusOK                 = 200
	statusNoContent          = 204
	statusNotModified        = 304
	statusUnauthorized       = 401
	statusForbidden          = 403
	statusNotFound           = 404
	statusMethodNotAllowed   = 405
)

// maxHeader is how much a box may send before the body, interim replies
// included.
const maxHeader = 64 << 10

// A head is what counts of the status line and the header of a reply. All
// other headers are dropped as they come.
type head struct {
	status      int
	contentType string
	// cookies are the headers Set-Cookie as they came.
	cookies []string
	// length is that of the body: 0 where there is none, less where the
	// connection's end or the last chunk ends it.
	length  int64
	chunked bool
	// last says that the connection serves no further request.
	last bool
}

// A framing is what the header says about the end of the body and of the
// connection.
type framing struct {
	// old says that the reply is of HTTP/1.0, in which a connection serves
	// one request unless it is to be kept, and nothing comes in chunks.
	old, keep, end bool
	encodings      []string
	length         int64 // less than 0: not given
}

// malformed returns an error that wraps tree.ErrMalformed.
func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{tree.ErrMalformed}, args...)...)
}

// readHead reads a status line and the header after it, of which left bytes
// may still come.
func readHead(in *bufio.Reader, left *int) (head, error) {
	line, err := readLine(in, left)
	if err != nil {
		return head{}, err
	}
	h := head{}
	f := framing{length: -1}
	if h.status, f.old, err = parseStatus(string(line)); err != nil {
		return head{}, err
	}
	var field []byte // the one before, which the next line may continue
	for {
		if line, err = readLine(in, left); err != nil {
			return head{}, err
		}
		if len(line) > 0 && (line[0] == ' ' || line[0] == '\t') {
			if field == nil {
				return head{}, malformed("a header that continues none")
			}
			field = append(append(field, ' '), bytes.Trim(line, " \t")...)
			continue
		}
		if field != nil {
			if err := h.add(string(field), &f); err != nil {
				return head{}, err
			}
		}
		if len(line) == 0 {
			return h, h.frame(f)
		}
		field = line
	}
}

// readLine reads one line and returns it without its end. The bytes are the
// caller's to keep.
func readLine(in *bufio.Reader, left *int) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if *left -= len(part); *left < 0 {
			return nil, malformed("more than %d bytes before the body", maxHeader)
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
		case errors.Is(err, bufio.ErrBufferFull):
		default:
			return nil, unexpected(err)
		}
	}
}

// unexpected returns io.ErrUnexpectedEOF for the end of the connection within
// a reply, and any other error as it is.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseStatus reads a line such as "HTTP/1.1 200 OK".
func parseStatus(line string) (status int, old bool, err error) {
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	minor, ok := strings.CutPrefix(version, "HTTP/1.")
	if !ok || len(minor) != 1 || !isDigits(minor) || len(code) != 3 || !isDigits(code) || code[0] == '0' {
		return 0, false, malformed("no HTTP: %q", clip(line))
	}
	status, err = strconv.Atoi(code)
	return status, minor == "0", err
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// isToken says whether s can be the name of a header.
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

// add takes one header. What is no header is an error: it might have been the
// one that says where the body ends.
func (h *head) add(field string, f *framing) error {
	name, value, ok := strings.Cut(field, ":")
	if !ok || !isToken(name) {
		return malformed("a header that is none: %q", clip(field))
	}
	value = strings.Trim(value, " \t")
	switch strings.ToLower(name) {
	case "content-length":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || !isDigits(value) || f.length >= 0 && f.length != n {
			return malformed("length %q", clip(value))
		}
		f.length = n
	case "transfer-encoding":
		f.encodings = append(f.encodings, value)
	case "connection":
		for option := range strings.SplitSeq(value, ",") {
			option = strings.Trim(option, " \t")
			f.end = f.end || strings.EqualFold(option, "close")
			f.keep = f.keep || strings.EqualFold(option, "keep-alive")
		}
	case "set-cookie":
		h.cookies = append(h.cookies, value)
	case "content-type":
		h.contentType = value
	}
	return nil
}

// frame settles where the body ends and whether the connection lives on.
func (h *head) frame(f framing) error {
	h.last = f.end || f.old && !f.keep
	h.length = f.length
	if len(f.encodings) > 0 {
		if f.old || len(f.encodings) > 1 || !strings.EqualFold(f.encodings[0], "chunked") {
			return malformed("transfer encoding %q", clip(strings.Join(f.encodings, ", ")))
		}
		// With a length beside it, somebody on the way may have seen another
		// end than this.
		h.last = h.last || f.length >= 0
		h.chunked, h.length = true, -1
	}
	switch {
	case h.status < statusOK, h.status == statusNoContent, h.status == statusNotModified:
		h.chunked, h.length = false, 0
	case h.length < 0 && !h.chunked:
		h.last = true
	}
	return nil
}

// atOnce is what is taken for a body before any of it has come.
const atOnce = 16 << 10

// A body is that of a reply, as far as it has come. Memory is taken for what
// came and not for what is announced: it doubles, up to most. What such a body
// had before is believed at once.
type body struct {
	bytes       []byte
	known, most int
}

// grow makes room where there is none, for n bytes or a part of them.
func (b *body) grow(n int) {
	have := len(b.bytes)
	if have < cap(b.bytes) {
		return
	}
	room := max(b.known, 2*have, have+min(n, atOnce))
	grown := make([]byte, have, min(room, b.most))
	copy(grown, b.bytes)
	b.bytes = grown
}

// read adds n bytes, which are not beyond most.
func (b *body) read(in *bufio.Reader, n int) error {
	for n > 0 {
		b.grow(n)
		free := b.bytes[len(b.bytes):min(cap(b.bytes), len(b.bytes)+n)]
		if _, err := io.ReadFull(in, free); err != nil {
			return unexpected(err)
		}
		b.bytes = b.bytes[:len(b.bytes)+len(free)]
		n -= len(free)
	}
	return nil
}

// readBody reads the body, at most tree.MaxBytes of it. One like it had known
// bytes; 0: there was none.
func (h *head) readBody(in *bufio.Reader, known int) ([]byte, error) {
	b := body{known: known, most: tree.MaxBytes}
	switch {
	case h.chunked:
		if err := b.readChunks(in); err != nil {
			return nil, err
		}
	case h.length > tree.MaxBytes:
		return nil, malformed("%d bytes announced", h.length)
	case h.length >= 0:
		b.most = int(h.length)
		if err := b.read(in, b.most); err != nil {
			return nil, err
		}
	default:
		if err := b.readAll(in); err != nil {
			return nil, err
		}
	}
	return b.bytes, nil
}

// readAll adds what comes until the connection ends.
func (b *body) readAll(in *bufio.Reader) error {
	b.most++ // so that one byte too many is seen
	for {
		b.grow(atOnce)
		n, err := in.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		switch {
		case len(b.bytes) == b.most:
			return malformed("more than %d bytes", tree.MaxBytes)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}

// readChunks reads a body that comes in chunks, and the trailer after it,
// which says nothing.
func (b *body) readChunks(in *bufio.Reader) error {
	for {
		left := maxHeader
		line, err := readLine(in, &left)
		if err != nil {
			return err
		}
		size, _, _ := strings.Cut(string(line), ";")
		n, err := parseChunkSize(strings.TrimRight(size, " \t"))
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if n > int64(b.most-len(b.bytes)) {
			return malformed("more than %d bytes", b.most)
		}
		if err := b.read(in, int(n)); err != nil {
			return err
		}
		if line, err = readLine(in, &left); err != nil {
			return err
		}
		if len(line) > 0 {
			return malformed("a chunk that is longer than it says")
		}
	}
	for left := maxHeader; ; {
		line, err := readLine(in, &left)
		if err != nil || len(line) == 0 {
			return err
		}
	}
}

func parseChunkSize(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 16, 31)
	if err != nil || s[0] == '+' || strings.Contains(s, "_") {
		return 0, malformed("chunk of %q bytes", clip(s))
	}
	return int64(n), nil
}
