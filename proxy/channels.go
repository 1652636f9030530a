package proxy

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tenantgate/rewrite"
)

// A session listens by the listener of its backend, so that LISTEN pins no
// server connection. What LISTEN and UNLISTEN do when their transaction ends,
// the server tells: each becomes a LISTEN on a mark of its own, on the
// session's server connection, and what is left of the marks in the end has not
// been undone, by a rollback or a savepoint. Then UNLISTEN * takes them away.
// The client has its ReadyForQuery only after that.

const (
	// channelMark begins the names of marks. No notification has one.
	channelMark = "tenantgate: "

	marksStatement    = "tenantgate_marks"
	unlistenStatement = "tenantgate_unlisten"

	marksQuery = `SELECT pg_catalog.string_agg(c, ',') FROM pg_catalog.pg_listening_channels() AS c`
)

var errNotListening = newError("57P03", "the database server is not available for LISTEN", "Try again.")

// A channelChange is a LISTEN or UNLISTEN of the transaction under way.
type channelChange struct {
	name string      // "" is UNLISTEN *
	mark string      // the server has it while the change is not undone
	mail *earmark    // of LISTEN, else nil
	sub  *subscriber // likewise
}

// A subscription is a channel that the session listens on.
type subscription struct {
	name string
	sub  *subscriber
}

// channelKind reports whether a statement is LISTEN, UNLISTEN or NOTIFY.
func channelKind(st *rewrite.Statement) bool {
	switch st.Kind {
	case rewrite.KindListen, rewrite.KindUnlisten, rewrite.KindNotify:
		return true
	default:
		return false
	}
}

// serverChannel is what the server calls a channel of the session's.
func (s *session) serverChannel(name string) string {
	if s.backend.alone || s.operator {
		return name
	}
	return s.values.Channel(name)
}

// writeChannels writes the texts of LISTEN, UNLISTEN and NOTIFY among
// statements, which must be the session's own.
func (s *session) writeChannels(ctx context.Context, statements []rewrite.Statement) error {
	for i := range statements {
		if err := s.writeChannel(ctx, &statements[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) writeChannel(ctx context.Context, st *rewrite.Statement) error {
	switch st.Kind {
	case rewrite.KindNotify:
		st.Text = rewrite.Notify(s.serverChannel(st.Name), st.Value)
	case rewrite.KindListen:
		if s.status == 'E' { // the server says so
			st.Text = rewrite.Listen(channelMark)
			return nil
		}
		change, err := s.subscribe(ctx, st.Name)
		if err != nil {
			return err
		}
		st.Text = rewrite.Listen(s.change(change))
	case rewrite.KindUnlisten:
		if s.status == 'E' || len(s.listening) == 0 && len(s.changes) == 0 {
			st.Text = rewrite.Unlisten(st.Name)
			return nil
		}
		st.Text = rewrite.Listen(s.change(channelChange{name: st.Name}))
	default: // its text is there
	}
	return nil
}

// change notes what the transaction is about to change, and returns its mark.
func (s *session) change(c channelChange) string {
	c.mark = channelMark + strconv.Itoa(len(s.changes))
	s.changes = append(s.changes, c)
	return c.mark
}

// subscribe has the listener listen, to no effect yet: what is notified after
// the client's answer is missed by nobody.
func (s *session) subscribe(ctx context.Context, name string) (channelChange, error) {
	if len(s.listening)+len(s.changes) >= maxChannels {
		return channelChange{}, newError("53400", "too many channels", fmt.Sprintf("A session can listen on %d.", maxChannels))
	}
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	mail := &earmark{box: &s.mail, name: name, server: s.conn.PID, senders: &s.backend.senders}
	sub, err := s.backend.listener.listen(ctx, s.serverChannel(name), mail.deliver)
	if err != nil {
		return channelChange{}, err
	}
	return channelChange{name: name, mail: mail, sub: sub}, nil
}

// maxChannels bounds what a session listens on.
const maxChannels = 10_000

// settleChannels makes, when a transaction has ended, the changes that it has
// left. Then the client has the ReadyForQuery that it is owed.
func (s *session) settleChannels() error {
	if len(s.changes) > 0 || s.owed {
		if err := s.askMarks(); err != nil {
			return err
		}
		s.makeChanges(strings.Split(s.marks, ","))
	}
	if !s.owed {
		return nil
	}
	s.owed = false
	var err error
	if s.out, err = s.mail.take(s.out); err != nil {
		return err
	}
	s.out = appendReady(s.out, s.status)
	return s.flush()
}

// askMarks asks the server which marks are left, and takes them away.
func (s *session) askMarks() error {
	if s.conn == nil { // nobody knows what the session listens on
		return errServerLost
	}
	s.marks = ""
	s.sendOwn(marksStatement, request{await: awaitMarks, upkeep: true})
	s.sendOwn(unlistenStatement, request{await: awaitExecute, upkeep: true})
	s.send = appendBare(s.send, 'S')
	s.push(request{await: awaitSync, reply: replySkip, upkeep: true})
	if err := s.exchange(); err != nil {
		return err
	}
	if s.conn == nil {
		return errServerLost
	}
	return nil
}

// makeChanges makes those changes whose marks are left.
func (s *session) makeChanges(marks []string) {
	before := make(map[string]bool)
	for _, l := range s.listening {
		before[l.name] = true
	}
	for _, c := range s.changes {
		index := slices.IndexFunc(s.listening, func(l subscription) bool { return l.name == c.name })
		switch {
		case !slices.Contains(marks, c.mark):
			s.leaveChannel(c.sub)
		case c.mail == nil && c.name == "":
			s.unlistenAll()
		case c.mail == nil && index >= 0:
			s.leaveChannel(s.listening[index].sub)
			s.listening = slices.Delete(s.listening, index, index+1)
		case c.mail == nil:
		case index >= 0:
			s.leaveChannel(c.sub)
		default:
			c.mail.take(!before[c.name])
			s.listening = append(s.listening, subscription{c.name, c.sub})
		}
	}
	s.changes = nil
	s.nameChannels()
}

// dropChanges gives up the changes of a transaction that is lost.
func (s *session) dropChanges() {
	for _, c := range s.changes {
		s.leaveChannel(c.sub)
	}
	s.changes = nil
}

// unlistenAll ends what the session listens on.
func (s *session) unlistenAll() {
	for _, l := range s.listening {
		s.leaveChannel(l.sub)
	}
	s.listening = nil
	s.nameChannels()
}

func (s *session) leaveChannel(sub *subscriber) {
	if sub != nil {
		s.backend.listener.leave(sub)
	}
}

// nameChannels keeps what pg_listening_channels answers.
func (s *session) nameChannels() {
	names := make([]string, len(s.listening))
	for i, l := range s.listening {
		names[i] = l.name
	}
	if list := rewrite.Channels(names); list != s.values[rewrite.ValueChannels] {
		values := *s.values // statements under way have the old ones
		values[rewrite.ValueChannels] = list
		s.values = &values
	}
}

// ownChannels clones statements if there are channels among them, whose texts
// are the session's to write.
func ownChannels(statements []rewrite.Statement) []rewrite.Statement {
	if slices.ContainsFunc(statements, func(st rewrite.Statement) bool { return channelKind(&st) }) {
		return slices.Clone(statements)
	}
	return statements
}

// executeChannel runs LISTEN, UNLISTEN or NOTIFY in the extended protocol.
func (s *session) executeChannel(ctx context.Context, st rewrite.Statement) error {
	if err := s.lease(ctx); err != nil {
		return s.refuse(err)
	}
	if err := s.writeChannel(ctx, &st); err != nil {
		return s.refuse(err)
	}
	s.sendStatement(&st, nil)
	return s.boundGroup()
}

// channelTag is the command tag of a statement whose text has another one:
// UNLISTEN is sent as LISTEN on a mark.
func (s *session) channelTag(req request) []byte {
	var st *rewrite.Statement
	switch {
	case req.await == awaitQuery && req.text != nil:
		if req.nth >= len(req.text.statements) {
			return nil
		}
		st = &req.text.statements[req.nth]
	case req.await == awaitExecute && req.about != nil:
		st = req.about.statement
	}
	if st == nil || st.Kind != rewrite.KindUnlisten {
		return nil
	}
	return commandComplete("UNLISTEN")
}
