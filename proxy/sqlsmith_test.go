//go:build sqlsmith

// A build tag, for the program is not everywhere; docs/oracle.md has more.

package proxy

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

// A tap passes a client's bytes on to the proxy and looks for marks of other
// tenants in what comes back.
type tap struct {
	net.Listener
	to    string
	marks [][]byte

	found atomic.Int64 // marks
	bytes atomic.Int64 // from the server
	conns sync.WaitGroup
}

func (p *tap) serve() {
	for {
		client, err := p.Accept()
		if err != nil {
			return
		}
		p.conns.Go(func() { p.relay(client) })
	}
}

func (p *tap) relay(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.to)
	if err != nil {
		return
	}
	defer server.Close()
	var up sync.WaitGroup
	up.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.(*net.TCPConn).CloseWrite()
	})
	defer up.Wait()
	defer client.Close()
	buffer, kept := make([]byte, 64<<10), 0
	for {
		n, err := server.Read(buffer[kept:])
		if err != nil {
			return
		}
		p.bytes.Add(int64(n))
		for _, mark := range p.marks {
			p.found.Add(int64(bytes.Count(buffer[:kept+n], mark)))
		}
		if _, err := client.Write(buffer[kept : kept+n]); err != nil {
			return
		}
		if kept+n >= 2 { // a mark may go on in the next read
			kept = copy(buffer, buffer[kept+n-2:kept+n])
		}
	}
}

// TestSqlsmithSeesNoOtherTenant lets sqlsmith send what it makes of the clinic's
// schema, and looks at all that is sent back. ORACLE_SEED and ORACLE_STATEMENTS
// say which statements and how many.
func TestSqlsmithSeesNoOtherTenant(t *testing.T) {
	program, err := exec.LookPath("sqlsmith")
	require.NoError(t, err)
	c := clinic.New(t, 3)
	for _, database := range []string{c.Policies(), c.Plain()} {
		watch(t, c, database, "1")
	}
	g := open(t, c, Both, nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &tap{Listener: listener, to: g.addr, marks: [][]byte{[]byte(clinic.Mark("2")), []byte(clinic.Mark("3"))}}
	go p.serve()
	host, port, err := net.SplitHostPort(listener.Addr().String())
	require.NoError(t, err)
	//nolint:gosec // the arguments are this test's
	cmd := exec.CommandContext(t.Context(), program, "--verbose", "--exclude-catalog",
		"--seed="+envOr(envSeed, "1"), "--max-queries="+envOr(envStatements, "2000"),
		"--target=host="+host+" port="+port+" user=tenant1 password='"+password+"' dbname="+g.database+" sslmode=disable options='-c statement_timeout=1s'")
	out, err := cmd.CombinedOutput()
	require.NoError(t, listener.Close())
	p.conns.Wait()
	require.NotContains(t, string(out), "internal error")
	require.NotContains(t, string(out), "could not be rewritten with certainty", "the audit refused what the rewriter made")
	t.Logf("%d bytes from the server\n%s", p.bytes.Load(), out)
	require.NoError(t, err)
	require.Zero(t, p.found.Load(), "marks of other tenants")
	conn := g.tenant("1")
	require.Equal(t, [][]string{{"13"}}, pgtest.Must(t, conn, "SELECT count(*) FROM patients"))
}

func envOr(name, usual string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return usual
}
