package pgtest

import (
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A Network is what lies between a client and a server, and can fail. It passes
// on what comes to its own address.
type Network struct {
	Addr string

	target   string
	listener net.Listener
	ended    chan struct{}
	passing  sync.WaitGroup

	mu     sync.Mutex
	flows  chan struct{} // closed while bytes flow
	near   []*net.TCPConn
	far    []net.Conn
	closed bool
}

// NewNetwork opens a way to a TCP address, which the end of the test closes.
func NewNetwork(t testing.TB, target string) *Network {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := &Network{Addr: listener.Addr().String(), target: target, listener: listener, ended: make(chan struct{}), flows: make(chan struct{})}
	close(n.flows)
	n.passing.Go(n.accept)
	t.Cleanup(n.Close)
	return n
}

// Via is a connection string for the same database by way of n.
func (n *Network) Via(url string) string { return strings.Replace(url, n.target, n.Addr, 1) }

// Stall keeps back all bytes from now on. Connections can be made, as to a
// program that has stopped.
func (n *Network) Stall() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.stall()
}

func (n *Network) stall() {
	select {
	case <-n.flows:
		n.flows = make(chan struct{})
	default:
	}
}

// Resume has bytes flow again.
func (n *Network) Resume() {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.flows:
	default:
		close(n.flows)
	}
}

// Cut ends all connections that there are.
func (n *Network) Cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.near {
		_ = c.SetLinger(0)
		_ = c.Close()
	}
	for _, c := range n.far {
		_ = c.Close()
	}
	n.near, n.far = nil, nil
}

// Connections is how many there have been since the last Cut.
func (n *Network) Connections() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.near)
}

// Close ends all connections and takes no further ones.
func (n *Network) Close() {
	n.mu.Lock()
	if !n.closed {
		n.closed = true
		close(n.ended)
	}
	n.mu.Unlock()
	_ = n.listener.Close()
	n.Cut()
	n.passing.Wait()
}

func (n *Network) accept() {
	for {
		near, err := n.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", n.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		n.mu.Lock()
		n.near, n.far = append(n.near, near.(*net.TCPConn)), append(n.far, far)
		closed := n.closed
		n.mu.Unlock()
		if closed {
			n.Cut()
			return
		}
		n.passing.Go(func() { n.pass(near, far) })
		n.passing.Go(func() { n.pass(far, near) })
	}
}

// pass passes on what one side says, and that it has ended.
func (n *Network) pass(from, to net.Conn) {
	buf := make([]byte, 32<<10)
	for {
		got, err := from.Read(buf)
		n.mu.Lock()
		flows := n.flows
		n.mu.Unlock()
		select {
		case <-flows:
		case <-n.ended:
			return
		}
		if _, writeErr := to.Write(buf[:got]); err != nil || writeErr != nil {
			_ = from.Close()
			_ = to.Close()
			return
		}
	}
}
