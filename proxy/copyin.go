package proxy

import (
	"context"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"tenantgate/rewrite"
)

// copyFlush is how much is gathered before it is sent.
const copyFlush = 64 << 10

// A copyIn is one COPY FROM STDIN under way: rows become the parameters of
// INSERTs in the client's transaction. While the server takes some, the next
// are read.
type copyIn struct {
	stream  copyStream
	row     bindArgs // for what is checked of each
	batch   copyBatch
	batches int             // that have been sent
	writing *sync.WaitGroup // of rows that are outstanding; nil if the socket took all at once
}

// copyFrom answers COPY FROM STDIN.
func (s *session) copyFrom(ctx context.Context, in *rewrite.CopyIn) error {
	if s.status == 'E' {
		return s.refuseSimple(errAborted)
	}
	one, err := s.insertFor(ctx, rewrite.Request{SQL: in.Insert(1), Extended: true})
	if err != nil {
		return s.refuseSimple(err)
	}
	if err := s.lease(ctx); err != nil {
		return s.refuseSimple(err)
	}
	if load := s.loader(in, one); load != nil {
		return s.loadRows(load)
	}
	if !s.confined && s.status != 'E' && s.backend.confining {
		s.confineTransaction()
	}
	s.timedCopy = true
	s.beginCopy()
	s.forgetSequences(true)
	s.copied = 0
	s.ensure(one)
	s.learnTypes(one)
	if err := s.flushGroup(); err != nil { // what is wrong with the table shows before any row
		return err
	}
	if s.conn == nil || s.skipping {
		return s.endCopy(nil)
	}
	c := &copyIn{stream: newCopyStream(in)}
	if in.Format == rewrite.CopyBinary {
		c.row.formats = []byte{0, 1}
	}
	if c.batch, err = s.batchFor(ctx, in, one); err != nil {
		return s.endCopy(err)
	}
	s.out = appendCopyInResponse(s.out, in)
	if err := s.flush(); err != nil {
		return err
	}
	err = s.copyRows(c)
	if c.writing != nil { // the session is over
		s.destroy()
		c.writing.Wait()
	}
	return err
}

// copyRows takes the client's messages in until the COPY has ended.
func (s *session) copyRows(c *copyIn) error {
	for {
		if !s.idle() && !s.in.buffered() && !speaks(s.client) {
			if err := s.hearRows(c, 0); err != nil {
				return err
			}
		}
		if !s.copyGoesOn() {
			return s.endCopy(nil)
		}
		typ, body, err := s.in.nextOfStream()
		if err != nil {
			return err
		}
		if stopped := s.copyStopped(); stopped != nil {
			if err := s.hearRows(c, 0); err != nil {
				return err
			}
			return s.endCopy(stopped)
		}
		var refusal error
		switch typ {
		case 'd':
			refusal = c.stream.feed(body, false, c.add(s))
		case 'c':
			refusal = c.stream.feed(nil, true, c.add(s))
		case 'f':
			reason, _, err := cstring(body)
			if err != nil {
				return err
			}
			refusal = c.stream.broken(newError("57014", "COPY from stdin failed: "+reason, ""))
		case 'H', 'S':
			continue // ignored in COPY
		case 'X':
			return errGone
		default:
			return newError("08P01", fmt.Sprintf("unexpected message type 0x%02X during COPY from stdin", typ), "")
		}
		ends := typ == 'c' || refusal != nil
		if ends {
			c.batch.close() // what is wrong with the rows before a refusal comes first
		}
		if ends || len(c.batch.ready) >= copyFlush {
			if err := s.sendRows(c); err != nil {
				return err
			}
		}
		if ends {
			if err := s.hearRows(c, 0); err != nil {
				return err
			}
			return s.endCopy(refusal)
		}
	}
}

// add returns what takes one row in.
func (c *copyIn) add(s *session) func(fields [][]byte) error {
	return func(fields [][]byte) error {
		c.row.values = fields
		if err := s.checkBind(c.batch.one, &c.row); err != nil {
			return err
		}
		c.batch.add(fields, c.stream.line())
		return nil
	}
}

// sendRows hands the server the rows that are ready, and hears what it says of
// those before: it takes some while the next are on their way.
func (s *session) sendRows(c *copyIn) error {
	if c.writing != nil { // they fill what lies between
		if err := s.hearRows(c, 0); err != nil {
			return err
		}
	}
	if !s.copyGoesOn() || len(c.batch.inserts) == 0 {
		return nil
	}
	before, begin := len(s.outstanding), 0
	if c.batches += len(c.batch.inserts); c.batches > smallCopy && !s.conn.Roomy {
		s.makeRoom()
	}
	for _, insert := range c.batch.inserts {
		s.ensure(insert.statement)
		s.send = append(s.send, c.batch.ready[begin:insert.end]...)
		begin = insert.end
		s.push(request{await: awaitBind, reply: replySkip, copied: insert.rows})
		s.push(request{await: awaitExecute, reply: replySkip, copied: insert.rows})
	}
	c.batch.sent()
	s.send = appendBare(s.send, 'H')
	if n := s.conn.TryWrite(s.send); n < len(s.send) {
		c.writing = writeBeside(s.conn.Net, s.send[n:])
		s.send = nil
	}
	s.send = s.send[:0]
	return s.hearRows(c, len(s.outstanding)-before)
}

// hearRows relays what the server says of the rows that it has been handed, but
// for the last requests, so many of them, if all goes well.
func (s *session) hearRows(c *copyIn, ahead int) error {
	if len(s.outstanding) <= ahead {
		return nil
	}
	s.ahead = ahead
	err := s.exchange()
	s.ahead = 0
	if c.writing != nil && err == nil && s.idle() {
		c.writing.Wait()
		c.writing = nil
	}
	return err
}

// copyGoesOn reports whether the server has taken all rows so far.
func (s *session) copyGoesOn() bool { return s.conn != nil && !s.skipping }

// insertFor prepares an INSERT that a COPY's rows go into.
func (s *session) insertFor(ctx context.Context, req rewrite.Request) (*prepared, error) {
	result, err := s.confineText(ctx, req)
	if err != nil {
		return nil, err
	}
	p := &prepared{parsed: true, statement: &result.Statements[0], values: s.values}
	p.shared = s.backend.shared(p.statement.Text.SQLFor(p.values), withKeys(req.ParamOIDs, p.statement), "")
	return p, nil
}

// batchFor returns what a COPY's rows are gathered in.
func (s *session) batchFor(ctx context.Context, in *rewrite.CopyIn, one *prepared) (b copyBatch, err error) {
	b = copyBatch{one: one, binary: in.Format == rewrite.CopyBinary, lines: copiedRows{table: in.Table()}}
	sql, types, key := in.InsertArrays(one.types)
	if sql != "" && (in.KeyColumn < 0 || !s.server.cfg.Observe) {
		if key {
			b.key = []byte(s.key())
		}
		if b.many, err = s.insertFor(ctx, rewrite.Request{SQL: sql, Extended: true, ParamOIDs: types}); err == nil {
			b.limit, b.arrays = arrayRows, newCopyArrays(in)
			return b, nil
		}
	}
	b.limit = valueRows
	if n := len(in.Columns); n > 0 {
		b.limit = min(valueRows, 32_000/n+1)
	}
	b.many, err = s.insertFor(ctx, rewrite.Request{SQL: in.Insert(b.limit), Extended: true})
	return b, err
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

// countCopied adds the rows that the tag of such a command tells of.
func (s *session) countCopied(command string, body []byte) error {
	tag, _, err := cstring(body)
	if err != nil {
		return fmt.Errorf("%w: CommandComplete: %w", errServerProtocol, err)
	}
	n, err := strconv.Atoi(tag[strings.LastIndexByte(tag, ' ')+1:])
	if err != nil || !strings.HasPrefix(tag, command+" ") {
		return fmt.Errorf("%w: command tag %q of %s", errServerProtocol, tag, command)
	}
	s.copied += n
	return nil
}

func appendCopyInResponse(dst []byte, in *rewrite.CopyIn) []byte {
	format := byte(0)
	if in.Format == rewrite.CopyBinary {
		format = 1
	}
	return appendCopyResponse(dst, 'G', format, len(in.Columns))
}

// appendCopyResponse appends CopyInResponse or CopyOutResponse, typ: 0 is text, 1 is
// binary format, of all columns.
func appendCopyResponse(dst []byte, typ, format byte, columns int) []byte {
	dst, at := beginMessage(dst, typ)
	dst = binary.BigEndian.AppendUint16(append(dst, format), uint16(columns)) //nolint:gosec // as many as a table has
	for range columns {
		dst = append(dst, 0, format)
	}
	return finishMessage(dst, at)
}
