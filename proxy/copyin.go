package proxy

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"tenantgate/rewrite"
)

const (
	// copyBatch is how many rows one INSERT takes at most.
	copyBatch = 64
	// copyBatchBytes is how much its rows hold, but for the last one: long rows
	// go one by one.
	copyBatchBytes = 64 << 10
	// copyFlush is how much is sent before the server's answers are read.
	copyFlush = 64 << 10
)

// A copyIn is one COPY FROM STDIN under way: rows become the parameters of
// INSERTs in the client's transaction.
type copyIn struct {
	in     *rewrite.CopyIn
	stream copyStream
	one    *prepared // INSERT of one row
	many   *prepared // of batch rows
	batch  int
	rows   [][]byte // values that wait for a batch to fill, copied
	values []byte   // their bytes
}

// copyFrom answers COPY FROM STDIN.
func (s *session) copyFrom(ctx context.Context, in *rewrite.CopyIn) error {
	if s.status == 'E' {
		return s.refuseSimple(errAborted)
	}
	c := &copyIn{in: in, stream: copyStream{reader: newRowReader(in)}, batch: copyBatch}
	if n := len(in.Columns); n > 0 {
		c.batch = min(copyBatch, 32_000/n+1)
	}
	var err error
	if c.one, err = s.insertFor(ctx, in.Insert(1)); err != nil {
		return s.refuseSimple(err)
	}
	load := s.loader(in, c.one)
	if load == nil {
		c.many, err = s.insertFor(ctx, in.Insert(c.batch))
	}
	if err == nil {
		err = s.lease(ctx)
	}
	switch {
	case err != nil:
		return s.refuseSimple(err)
	case load != nil:
		return s.loadRows(load)
	}
	if !s.confined && s.status != 'E' && s.backend.confining {
		s.confineTransaction()
	}
	s.timedCopy = true
	s.beginCopy()
	s.forgetSequences(true)
	s.copied = 0
	s.ensure(c.one)
	if err := s.flushGroup(); err != nil { // what is wrong with the table shows before any row
		return err
	}
	if s.conn == nil || s.skipping {
		return s.endCopy(nil)
	}
	s.out = appendCopyInResponse(s.out, in)
	if err := s.flush(); err != nil {
		return err
	}
	for {
		typ, body, err := s.in.next()
		if err != nil {
			return err
		}
		refusal := s.copyStopped()
		if refusal != nil {
			return s.endCopy(refusal)
		}
		switch typ {
		case 'd':
			refusal = c.stream.feed(body, false, func(fields [][]byte) error { return s.copyRow(c, fields) })
		case 'c':
			refusal = c.stream.feed(nil, true, func(fields [][]byte) error { return s.copyRow(c, fields) })
			if refusal == nil && s.copyGoesOn() {
				refusal = s.copyRest(c)
			}
			if refusal == nil {
				if err := s.flushGroup(); err != nil {
					return err
				}
				return s.endCopy(nil)
			}
		case 'f':
			reason, _, err := cstring(body)
			if err != nil {
				return err
			}
			refusal = newError("57014", "COPY from stdin failed: "+reason, "")
		case 'H', 'S':
			continue // ignored in COPY
		case 'X':
			return errGone
		default:
			return newError("08P01", fmt.Sprintf("unexpected message type 0x%02X during COPY from stdin", typ), "")
		}
		if refusal != nil {
			if err := s.copyBefore(c); err != nil {
				return err
			}
			return s.endCopy(refusal)
		}
		if len(s.send) >= copyFlush {
			if err := s.flushGroup(); err != nil {
				return err
			}
		}
		if !s.copyGoesOn() {
			return s.endCopy(nil)
		}
	}
}

// copyGoesOn reports whether the server has taken all rows so far.
func (s *session) copyGoesOn() bool { return s.conn != nil && !s.skipping }

// insertFor prepares the INSERT that a COPY's rows go into.
func (s *session) insertFor(ctx context.Context, sql string) (*prepared, error) {
	result, err := s.confineText(ctx, rewrite.Request{SQL: sql, Extended: true})
	if err != nil {
		return nil, err
	}
	p := &prepared{parsed: true, statement: &result.Statements[0], values: s.values}
	p.shared = s.backend.shared(p.statement.Text.SQLFor(p.values), withKeys(nil, p.statement), "")
	return p, nil
}

// copyRow takes one row in.
func (s *session) copyRow(c *copyIn, fields [][]byte) error {
	for _, f := range fields {
		if f == nil {
			c.rows = append(c.rows, nil)
			continue
		}
		start := len(c.values)
		c.values = append(c.values, f...)
		c.rows = append(c.rows, c.values[start:len(c.values):len(c.values)])
	}
	switch {
	case len(c.rows) >= c.batch*len(fields):
		err := s.insertRows(c, c.many, c.rows)
		c.rows, c.values = c.rows[:0], c.values[:0]
		return err
	case len(c.values) >= copyBatchBytes:
		return s.copyRest(c)
	default:
		return nil
	}
}

// copyRest inserts the rows that did not fill a batch.
func (s *session) copyRest(c *copyIn) error {
	n := len(c.in.Columns)
	var err error
	for i := 0; n > 0 && i+n <= len(c.rows) && err == nil; i += n {
		err = s.insertRows(c, c.one, c.rows[i:i+n])
	}
	c.rows, c.values = c.rows[:0], c.values[:0]
	return err
}

// copyBefore has the server look at the rows before one that is refused: what is
// wrong with them comes first.
func (s *session) copyBefore(c *copyIn) error {
	if s.copyGoesOn() && s.copyRest(c) == nil {
		return s.flushGroup()
	}
	return nil
}

// insertRows sends one INSERT.
func (s *session) insertRows(c *copyIn, p *prepared, values [][]byte) error {
	args := &bindArgs{values: values, results: []byte{0, 0}}
	if c.in.Format == rewrite.CopyBinary {
		args.formats = []byte{0, 1}
	}
	if err := s.checkBind(p, args); err != nil {
		return err
	}
	if !s.copyGoesOn() {
		return nil
	}
	s.ensure(p)
	msg, at := beginMessage(s.send, 'B')
	msg = appendCString(append(msg, 0), p.serverName())
	s.send = finishMessage(args.appendWithKeys(msg, p.statement.Keys, s.values), at)
	s.push(request{await: awaitBind, reply: replySkip})
	s.send = appendExecute(s.send, "", 0)
	s.push(request{await: awaitExecute, reply: replySkip, copied: true})
	return nil
}

// endCopy ends a COPY: with its tag, with a refusal, or with the error that
// the server's answers brought already.
func (s *session) endCopy(refusal error) error {
	s.timedCopy = false
	s.endCopying()
	if s.conn == nil { // lost: the client knows
		s.out = appendReady(s.out, s.status)
		if err := s.flush(); err != nil {
			return err
		}
		return s.settled()
	}
	end := request{await: awaitSync}
	switch {
	case s.skipping:
	case refusal != nil:
		s.logRefusal(refusal)
		s.send = appendExecute(s.send, refusedPortal, 0)
		s.push(request{await: awaitRefusal, reply: replySkip, refusal: refusal})
	default:
		end.tag = true
	}
	s.send = appendBare(s.send, 'S')
	s.push(end)
	if err := s.exchange(); err != nil {
		return err
	}
	return s.settled()
}

// copyTag is the command tag of a COPY that has succeeded.
func (s *session) copyTag() []byte { return commandComplete("COPY " + strconv.Itoa(s.copied)) }

// countInserted adds the rows that an INSERT's command tag tells of.
func (s *session) countInserted(body []byte) error {
	tag, _, err := cstring(body)
	if err != nil {
		return fmt.Errorf("%w: CommandComplete: %w", errServerProtocol, err)
	}
	n, err := strconv.Atoi(tag[strings.LastIndexByte(tag, ' ')+1:])
	if err != nil || !bytes.HasPrefix(body, []byte("INSERT ")) {
		return fmt.Errorf("%w: command tag %q of an INSERT", errServerProtocol, tag)
	}
	s.copied += n
	return nil
}

func appendCopyInResponse(dst []byte, in *rewrite.CopyIn) []byte {
	format := byte(0)
	if in.Format == rewrite.CopyBinary {
		format = 1
	}
	dst, at := beginMessage(dst, 'G')
	dst = binary.BigEndian.AppendUint16(append(dst, format), uint16(len(in.Columns)))
	for range in.Columns {
		dst = append(dst, 0, format)
	}
	return finishMessage(dst, at)
}
