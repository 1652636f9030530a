package proxy

import (
	"errors"
	"fmt"
	"os"
	"time"
)

const (
	// copyChunk is how much of a COPY FROM STDIN is gathered before it is written.
	copyChunk = 32 << 10

	// feedPatience is how long a server may take none of it before the proxy looks
	// whether it wants to be heard first.
	feedPatience = 5 * time.Millisecond
)

// beginFeed is called when the server asks for the data of a COPY FROM STDIN.
// In the extended protocol it ignores a Sync that is on its way already.
func (s *session) beginFeed() {
	for i := range s.outstanding {
		if s.outstanding[i].await == awaitSync {
			s.outstanding = append(s.outstanding[:i], s.outstanding[i+1:]...)
			s.swallowed = true
			return
		}
	}
}

// feedCopy passes the client's data of a COPY FROM STDIN to the server, until it
// ends or the server has something to say.
func (s *session) feedCopy() error {
	s.send = s.send[:0]
	for {
		typ, body, err := s.nextOfCopy()
		if err != nil || typ == 0 {
			return err
		}
		switch typ {
		case 'X':
			return errGone
		case 'H', 'S': // the server ignores them, too
		case 'd':
			s.send = appendMessage(s.send, typ, body)
		default: // ends or fails the COPY
			s.copyingIn = false
			s.send = appendMessage(s.send, typ, body)
		}
		if !s.copyingIn && !s.idle() && s.head().await == awaitExecute {
			s.send = appendBare(s.send, 'H') // or the server would say nothing before a Sync
		}
		if s.copyingIn && (len(s.send) == 0 || s.in.buffered() && len(s.send) < copyChunk) {
			continue
		}
		pending := s.send
		s.send = s.send[:0]
		if err := s.feed(pending); err != nil || !s.copyingIn {
			return err
		}
		if !s.conn.Quiet() {
			return s.conn.Fill()
		}
	}
}

// nextOfCopy waits for the client's next message. The type is 0 if the server has
// said something meanwhile, which is at hand then.
func (s *session) nextOfCopy() (typ byte, body []byte, err error) {
	for patience := feedPatience; ; patience = min(2*patience, glance) {
		waits := !s.in.buffered() && !speaks(s.client)
		if waits && !s.conn.Quiet() {
			return 0, nil, s.conn.Fill()
		}
		limited := waits && s.limitRead(time.Now().Add(patience))
		typ, body, err = s.in.nextOfStream()
		limited = limited && s.limitRead(time.Time{})
		switch {
		case err == nil:
			return typ, body, nil
		case !limited || !errors.Is(err, os.ErrDeadlineExceeded):
			return 0, nil, fmt.Errorf("%w: %w", errGone, err)
		}
	}
}

// limitRead has reads from the client end at a time, unless something else is to
// end them.
func (s *session) limitRead(until time.Time) (limited bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over() {
		return false
	}
	_ = s.client.SetReadDeadline(until)
	return true
}

// feed writes data of a COPY FROM STDIN to the server. One that has much to say
// of the rows, as notices of triggers, takes no more of them before it is heard:
// what it says is relayed while the write waits. It is no error if the server
// cannot be written to, for it may have said why.
func (s *session) feed(pending []byte) error {
	c := s.conn
	pending = pending[c.TryWrite(pending):]
	if len(pending) == 0 {
		return nil
	}
	written := make(chan error, 1)
	go func() {
		_, err := c.Net.Write(pending)
		written <- err
	}()
	look := time.NewTicker(feedPatience)
	defer look.Stop()
	for {
		select {
		case err := <-written:
			if err != nil {
				s.copyingIn = false
			}
			return nil
		case <-look.C:
		}
		for !c.Quiet() {
			err := c.Fill()
			if err == nil {
				err = s.relay()
			}
			if err != nil {
				_ = c.Net.SetWriteDeadline(time.Unix(1, 0)) // nobody will have it any more
				<-written                                   //nolint:errcheck // what it fails with is of this deadline
				return err
			}
		}
	}
}
