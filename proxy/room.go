package proxy

import "tenantgate/rewrite"

// What a large statement takes of memory the malloc of glibc gives back where it is
// free at the end of the heap, and the server's process gets it again for the next
// one, page by page; unless a larger piece has come and gone before
// (M_MMAP_THRESHOLD in mallopt(3)). One statement of the proxy's sees to that, once
// for each server connection, before the first that is large.

const (
	roomStatement = "tenantgate_room"

	// roomQuery has the server take and leave a piece of 4 MiB, four bytes for each
	// character that is to come in UTF8. It fills a quarter.
	roomQuery = "SELECT pg_catalog.length(pg_catalog.rpad('', 1048576, 'x'))"

	// largeStatement is from how many bytes of text on one is.
	largeStatement = 16 << 10

	// smallCopy is how many batches of a COPY from the client are not.
	smallCopy = 4
)

// wantsRoom reports whether a statement is the first large one of a server connection.
func (s *session) wantsRoom(st *rewrite.Statement) bool {
	return !s.conn.Roomy && st.Text.Length() >= largeStatement && !s.operator && s.status != 'E' && !s.fitsAlone(st.Kind)
}

// makeRoom goes before it, in its transaction.
func (s *session) makeRoom() {
	s.conn.Roomy = true
	s.sendOwn(roomStatement, request{await: awaitExecute})
}
