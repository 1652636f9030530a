// Package socket reads and writes sockets with fewer detours through Go's
// scheduler.
//
// Before a system call Go makes ready for one that blocks: if it is not back
// within some 20 µs, another thread takes over the goroutines. No call on a
// non-blocking socket blocks, but on a busy machine many a write is that slow,
// for the reader on the other side wakes up and runs first. What follows are
// threads that wake each other and a monitor that never sleeps. Here such calls
// are made as what they are: short.
package socket

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// Wrap returns a connection that reads and writes like conn, which it owns from
// now on. One goroutine may read and one may write at a time. What is no plain
// socket, as TLS, comes back as it is; TLS goes on top.
func Wrap(conn net.Conn) net.Conn {
	plain, ok := conn.(plainConn)
	if !ok || !direct {
		return conn
	}
	raw, err := plain.SyscallConn()
	if err != nil {
		return conn
	}
	c := &Conn{plainConn: plain, raw: raw}
	c.in.call, c.out.call = c.tryRead, c.tryWrite
	return c
}

type plainConn interface {
	net.Conn
	syscall.Conn
}

// A Conn is what Wrap makes of a plain socket.
type Conn struct {
	plainConn
	raw syscall.RawConn
	in  transfer
	out transfer
}

// A transfer is a Read or Write under way.
type transfer struct {
	call func(fd uintptr) (done bool) // made once: what is passed to RawConn escapes
	b    []byte
	n    int
	err  error
}

// Read is that of io.Reader.
func (c *Conn) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	c.in.b, c.in.n, c.in.err = b, 0, nil
	err := c.raw.Read(c.in.call)
	c.in.b = nil
	switch {
	case err != nil:
		return 0, err
	case c.in.err != nil:
		return 0, &net.OpError{Op: "read", Net: c.RemoteAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: c.in.err}
	case c.in.n == 0:
		return 0, io.EOF
	}
	return c.in.n, nil
}

func (c *Conn) tryRead(fd uintptr) bool {
	c.in.n, c.in.err = Read(fd, c.in.b)
	return !errors.Is(c.in.err, syscall.EAGAIN)
}

// Write is that of io.Writer.
func (c *Conn) Write(b []byte) (int, error) {
	c.out.b, c.out.n, c.out.err = b, 0, nil
	err := c.raw.Write(c.out.call)
	c.out.b = nil
	if err == nil && c.out.err != nil {
		err = &net.OpError{Op: "write", Net: c.RemoteAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: c.out.err}
	}
	return c.out.n, err
}

func (c *Conn) tryWrite(fd uintptr) bool {
	for len(c.out.b) > 0 {
		n, err := Write(fd, c.out.b)
		if errors.Is(err, syscall.EAGAIN) {
			return false
		}
		if err != nil {
			c.out.err = err
			return true
		}
		c.out.n += n
		c.out.b = c.out.b[n:]
	}
	return true
}
