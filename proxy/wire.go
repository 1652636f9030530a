package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"tenantgate/internal/socket"
)

// The relay never decodes what it only passes on: it looks at message heads (a
// type byte and a length) and cuts the stream there.

const (
	headSize       = 5
	clientBuffer   = len(socket.Buffer{})
	streamBuffer   = 128 << 10 // of a client in COPY FROM STDIN
	maxMessage     = 1 << 30   // as PostgreSQL: no allocation beyond 1 GiB
	maxStartupSize = 10_000    // as PostgreSQL's MAX_STARTUP_PACKET_LENGTH
	maxAuthMessage = 64 << 10  // as PostgreSQL bounds SASL messages
)

var errMalformed = errors.New("malformed message")

// buffers are lent to those of whose messages something is at hand.
var buffers = sync.Pool{New: func() any { return new(socket.Buffer) }}

// A reader cuts a client's bytes into messages. It keeps one small buffer,
// which grows as the bytes of a large message arrive, not on its word. While it
// waits for a plain socket it has none. A message of COPY FROM STDIN that does
// not fit makes it keep a larger one.
type reader struct {
	src        io.Reader
	late       *socket.Conn   // src; nil if it is something else
	lent       *socket.Buffer // buf, if that is one
	buf        []byte
	start, end int
	streams    bool          // a COPY is under way: a buffer that has grown is kept
	limit      int           // of one message's body
	count      *atomic.Int64 // of bytes read; nil: nobody counts
}

func newReader(src io.Reader) *reader {
	late, _ := src.(*socket.Conn)
	return &reader{src: src, late: late, limit: maxMessage}
}

// buffered reports whether unread bytes are at hand.
func (r *reader) buffered() bool { return r.start != r.end }

// next returns the next message. body is valid until the following call.
func (r *reader) next() (typ byte, body []byte, err error) {
	if err := r.need(headSize); err != nil {
		return 0, nil, err
	}
	typ = r.buf[r.start]
	size := int(binary.BigEndian.Uint32(r.buf[r.start+1:])) - 4
	if size < 0 || size > r.limit {
		return typ, nil, fmt.Errorf("%w: length %d of a message of type %q", errMalformed, size+4, typ)
	}
	if err := r.need(headSize + size); err != nil {
		return typ, nil, err
	}
	body = r.buf[r.start+headSize : r.start+headSize+size]
	r.start += headSize + size
	return typ, body, nil
}

// nextOfStream is next amidst the messages of a COPY.
func (r *reader) nextOfStream() (typ byte, body []byte, err error) {
	r.streams = true
	defer func() { r.streams = false }()
	return r.next()
}

// peek returns the message that begins so many bytes behind the next one, and
// where the one after it does, if all of it is at hand.
func (r *reader) peek(at int) (typ byte, body []byte, after int, ok bool) {
	rest := r.buf[r.start:r.end]
	if len(rest)-at < headSize {
		return 0, nil, at, false
	}
	size := int(binary.BigEndian.Uint32(rest[at+1:])) - 4
	if size < 0 || size > len(rest)-at-headSize {
		return 0, nil, at, false
	}
	after = at + headSize + size
	return rest[at], rest[at+headSize : after], after, true
}

// skip passes over messages that were peeked at.
func (r *reader) skip(bytes int) { r.start += bytes }

// packet returns the body of a start-up packet: a length and no type.
func (r *reader) packet() ([]byte, error) {
	if err := r.need(4); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint32(r.buf[r.start:]))
	if size < 8 || size > maxStartupSize {
		return nil, fmt.Errorf("%w: length %d of a start-up packet", errMalformed, size)
	}
	if err := r.need(size); err != nil {
		return nil, err
	}
	body := r.buf[r.start+4 : r.start+size]
	r.start += size
	return body, nil
}

// need reads until n unread bytes are buffered.
func (r *reader) need(n int) error {
	if r.end-r.start >= n {
		return nil
	}
	if r.start == r.end && r.late != nil && !r.keeps() {
		if err := r.wait(); err != nil || r.end >= n {
			return err
		}
	}
	r.makeRoom(n)
	for r.end-r.start < n {
		if r.end == len(r.buf) {
			size := min(2*len(r.buf), max(n, clientBuffer))
			if r.streams { // more of its kind will come
				size = max(size, streamBuffer)
			}
			r.replace(make([]byte, size))
		}
		got, err := r.src.Read(r.buf[r.end:])
		r.end += got
		if r.count != nil {
			r.count.Add(int64(got))
		}
		if got == 0 && err != nil {
			if errors.Is(err, io.EOF) && r.start != r.end {
				return io.ErrUnexpectedEOF
			}
			return err
		}
	}
	return nil
}

// keeps reports whether a COPY has made the buffer larger and is under way.
func (r *reader) keeps() bool { return r.streams && len(r.buf) > clientBuffer }

// wait reads when nothing is at hand.
func (r *reader) wait() error {
	r.replace(nil)
	lent, got, err := r.late.ReadLate(&buffers)
	if err != nil {
		return err
	}
	r.lent, r.buf, r.end = lent, lent[:], got
	if r.count != nil {
		r.count.Add(int64(got))
	}
	return nil
}

// makeRoom moves the unread bytes to the front of a buffer of ordinary size,
// or of the present one if n bytes are known to fit there.
func (r *reader) makeRoom(n int) {
	usual, most := clientBuffer, clientBuffer
	if r.keeps() {
		usual, most = streamBuffer, 8*streamBuffer
	}
	if len(r.buf) < clientBuffer || len(r.buf) > most && n <= usual {
		r.replace(make([]byte, max(usual, r.end-r.start)))
		return
	}
	if r.start > 0 {
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
}

// replace moves the unread bytes to another buffer.
func (r *reader) replace(buf []byte) {
	r.end = copy(buf, r.buf[r.start:r.end])
	r.buf, r.start = buf, 0
	if r.lent != nil {
		buffers.Put(r.lent)
		r.lent = nil
	}
}

// cstring splits a zero-terminated string off the front of body.
func cstring(body []byte) (s string, rest []byte, err error) {
	for i, b := range body {
		if b == 0 {
			return string(body[:i]), body[i+1:], nil
		}
	}
	return "", nil, fmt.Errorf("%w: string without end", errMalformed)
}

// beginMessage appends a head whose length finishMessage fills in.
func beginMessage(dst []byte, typ byte) (out []byte, at int) {
	return append(dst, typ, 0, 0, 0, 0), len(dst) + 1
}

func finishMessage(dst []byte, at int) []byte {
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at))
	return dst
}

// appendMessage appends a whole message.
func appendMessage(dst []byte, typ byte, body []byte) []byte {
	dst, at := beginMessage(dst, typ)
	return finishMessage(append(dst, body...), at)
}

func appendCString(dst []byte, s string) []byte {
	return append(append(dst, s...), 0)
}

func appendQuery(dst []byte, sql string) []byte {
	dst, at := beginMessage(dst, 'Q')
	return finishMessage(appendCString(dst, sql), at)
}

func appendParse(dst []byte, name, sql string, oids []uint32) []byte {
	dst, at := beginMessage(dst, 'P')
	dst = appendCString(appendCString(dst, name), sql)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(oids)))
	for _, oid := range oids {
		dst = binary.BigEndian.AppendUint32(dst, oid)
	}
	return finishMessage(dst, at)
}

// appendBindText binds text values to the unnamed portal, all results as text.
func appendBindText(dst []byte, statement string, values ...string) []byte {
	dst, at := beginMessage(dst, 'B')
	dst = appendCString(append(dst, 0), statement)
	dst = append(dst, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(values)))
	for _, v := range values {
		dst = appendValue(dst, v)
	}
	return finishMessage(append(dst, 0, 0), at)
}

// appendValue appends a value as it is in Bind, DataRow, arrays and COPY: its length
// and itself.
func appendValue[T string | []byte](dst []byte, value T) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(value))), value...)
}

// appendNull appends NULL there.
func appendNull(dst []byte) []byte { return append(dst, 0xff, 0xff, 0xff, 0xff) }

// appendTarget appends a Describe or Close message: what is 'S' or 'P'.
func appendTarget(dst []byte, typ, what byte, name string) []byte {
	dst, at := beginMessage(dst, typ)
	return finishMessage(appendCString(append(dst, what), name), at)
}

func appendExecute(dst []byte, portal string, maxRows uint32) []byte {
	dst, at := beginMessage(dst, 'E')
	dst = appendCString(dst, portal)
	return finishMessage(binary.BigEndian.AppendUint32(dst, maxRows), at)
}

// appendBare appends a message without a body: Sync, Flush and the like.
func appendBare(dst []byte, typ byte) []byte {
	return append(dst, typ, 0, 0, 0, 4)
}

func appendReady(dst []byte, status byte) []byte {
	return append(dst, 'Z', 0, 0, 0, 5, status)
}
