package proxy

import (
	"slices"

	"tenantgate/rewrite"
)

// serverGroups is the first version that ends no transaction with a Query that
// came behind messages of the extended protocol, and is confused by the Sync
// that would. The tenant's setting is such messages, so a simple query that
// begins a transaction becomes a group of the extended protocol there.
const serverGroups = 180000

// needsGroup reports whether a piece that begins a transaction has to be a
// group. One with parameters, which nobody binds, fails as a Query does.
func (b *backend) needsGroup(p *piece) bool {
	return b.catalog.Snapshot().ServerVersion >= serverGroups &&
		!slices.ContainsFunc(p.statements, func(st rewrite.Statement) bool { return st.Params > 0 })
}

// sendGroup runs one piece that begins a transaction as a group. more is that
// of sendPiece.
func (s *session) sendGroup(p *piece, more bool) error {
	for i := range p.statements {
		s.sendStatement(&p.statements[i], nil)
	}
	s.send = appendBare(s.send, 'S')
	s.push(request{await: awaitSync, cut: more})
	return s.exchange()
}

// sendStatement sends one statement of a simple query by messages of the
// extended protocol, which are answered as the Query would be. u is of one whose text
// the proxy may write, or nil.
func (s *session) sendStatement(st *rewrite.Statement, u *copyUnload) {
	s.confineFor(st)
	p := &prepared{unnamed: true, statement: st, values: s.values}
	text := &st.Text
	if u.writes() {
		text = &st.CopyOut.Binary
	}
	s.send = appendParse(s.send, "", text.SQLFor(p.values), nil)
	s.push(request{await: awaitParse, reply: replySkip, about: p})
	s.conn.Unnamed = nil
	s.send = appendBindText(s.send, "")
	s.push(request{await: awaitBind, reply: replySkip, about: p})
	s.send = appendTarget(s.send, 'D', 'P', "")
	s.push(request{await: awaitDescribePortal, about: p, rowsOnly: true})
	s.send = appendExecute(s.send, "", 0)
	s.push(request{await: awaitExecute, about: p, unload: u})
	s.send = appendTarget(s.send, 'C', 'P', "")
	s.push(request{await: awaitClose, reply: replySkip})
	delete(s.portals, "")
	delete(s.ownPortals, "")
	s.noteEffect(st)
}
