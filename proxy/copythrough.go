package proxy

// copyChunk is how much of a COPY FROM STDIN is gathered before it is written.
const copyChunk = 32 << 10

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
		typ, body, err := s.in.next()
		if err != nil {
			return errGone
		}
		switch typ {
		case 'd':
		case 'c', 'f':
			s.copyingIn = false
		case 'H', 'S':
			continue // the server ignores them, too
		case 'X':
			return errGone
		default: // fails the COPY there
			s.copyingIn = false
		}
		s.send = appendMessage(s.send, typ, body)
		if !s.copyingIn && !s.idle() && s.head().await == awaitExecute {
			s.send = appendBare(s.send, 'H') // or the server would say nothing before a Sync
		}
		if s.copyingIn && s.in.buffered() && len(s.send) < copyChunk {
			continue
		}
		pending := s.send
		s.send = s.send[:0]
		if _, err := s.conn.Net.Write(pending); err != nil {
			s.copyingIn = false
			return nil // the server may have said why
		}
		if !s.copyingIn {
			return nil
		}
		if !s.conn.Quiet() {
			return s.conn.Fill()
		}
	}
}
