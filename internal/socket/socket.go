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
	"sync"
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
	c.in.call, c.late, c.out.call = c.tryRead, c.tryLate, c.tryWrite
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

	late    func(fd uintptr) (done bool)
	buffers *sync.Pool // of a ReadLate under way
	buffer  *Buffer    // that it has taken
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
	return c.in.n, c.readError(err)
}

// readError is how the read that has just ended failed, if it did.
func (c *Conn) readError(err error) error {
	switch {
	case err != nil:
		return err
	case c.in.err != nil:
		return &net.OpError{Op: "read", Net: c.RemoteAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: c.in.err}
	case c.in.n == 0:
		return io.EOF
	default:
		return nil
	}
}

// A Buffer is what ReadLate reads into.
type Buffer [8 << 10]byte

// ReadLate is Read into a buffer from a pool of *Buffer, which is taken once
// there is something to read: who waits holds none. It is the caller's then, who
// puts it back. With an error there is none.
func (c *Conn) ReadLate(buffers *sync.Pool) (*Buffer, int, error) {
	c.buffers, c.in.n, c.in.err = buffers, 0, nil
	err := c.readError(c.raw.Read(c.late))
	buffer := c.buffer
	c.buffers, c.buffer = nil, nil
	if err != nil && buffer != nil {
		buffers.Put(buffer)
		buffer = nil
	}
	return buffer, c.in.n, err
}

func (c *Conn) tryLate(fd uintptr) bool {
	buffer := c.buffers.Get().(*Buffer)
	c.in.n, c.in.err = Read(fd, buffer[:])
	if errors.Is(c.in.err, syscall.EAGAIN) {
		c.buffers.Put(buffer)
		return false
	}
	c.buffer = buffer
	return true
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
