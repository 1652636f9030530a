package pool

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

const cancelRequestCode = 80877102

// Cancel asks the server to cancel what c is running and returns when the
// server has taken notice. The holder must not give c back meanwhile, or the
// cancel could hit the next holder's statement.
func (c *Conn) Cancel(ctx context.Context) error {
	conn, err := c.dialAgain(ctx)
	if err != nil {
		return fmt.Errorf("dial server to cancel: %w", err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	msg := binary.BigEndian.AppendUint32(nil, uint32(12+len(c.secret)))
	msg = binary.BigEndian.AppendUint32(msg, cancelRequestCode)
	msg = binary.BigEndian.AppendUint32(msg, c.PID)
	msg = append(msg, c.secret...)
	if _, err := conn.Write(msg); err != nil {
		return fmt.Errorf("send cancel request: %w", err)
	}
	_, _ = io.Copy(io.Discard, conn) // the server closes when it has sent the signal
	return nil
}

// dialAgain connects to the address that c is connected to.
func (c *Conn) dialAgain(ctx context.Context) (net.Conn, error) {
	remote := c.Net.RemoteAddr()
	return c.server.DialFunc(ctx, remote.Network(), remote.String())
}
