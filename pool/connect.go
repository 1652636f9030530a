package pool

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// leastPatience is what one address has at least to take a login.
const leastPatience = time.Second

// Connect logs in to the first of a configuration's hosts that lets us in. All
// their addresses share the time given, so that one that stays silent leaves the
// others theirs; a connect_timeout is for each of them instead. The kernel asks
// a server that says nothing whether it is there.
func Connect(ctx context.Context, server *pgconn.Config, within time.Duration) (*pgconn.PgConn, error) {
	return dialServer(ctx, server, within, usualSilence)
}

// dialServer is Connect with another patience with silence.
func dialServer(ctx context.Context, server *pgconn.Config, within, silence time.Duration) (*pgconn.PgConn, error) {
	server = server.Copy()
	within = max(within, leastPatience)
	resolving, cancel := context.WithTimeout(ctx, within)
	addresses := resolve(resolving, server)
	cancel()
	if server.ConnectTimeout == 0 {
		server.ConnectTimeout = max(within/time.Duration(addresses), leastPatience)
	}
	ctx, cancel = context.WithTimeout(ctx, max(within, server.ConnectTimeout*time.Duration(addresses)))
	defer cancel()
	dial := server.DialFunc
	server.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		if err := keepAlive(conn, silence); err != nil {
			_ = conn.Close()
			return nil, fmt.Errorf("have the kernel watch the connection: %w", err)
		}
		return conn, nil
	}
	return pgconn.ConnectConfig(ctx, server)
}

// keepAlive has the kernel end a connection on which nothing comes back for so
// long, though something was sent or asked for.
func keepAlive(conn net.Conn, silence time.Duration) error {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	return errors.Join(endAfter(raw, silence), tcp.SetKeepAliveConfig(net.KeepAliveConfig{
		Enable: true, Count: 3,
		Idle: max(silence/2, time.Second), Interval: max(silence/6, time.Second),
	}))
}

// resolve looks all hosts up, for this once, and returns how many addresses they
// have; at least one.
func resolve(ctx context.Context, server *pgconn.Config) (addresses int) {
	type answer struct {
		ips []string
		err error
	}
	known := make(map[string]answer)
	different := make(map[string]struct{}) // a host comes twice where TLS is only preferred
	add := func(host string, port uint16) {
		if network, address := pgconn.NetworkAddress(host, port); network == "unix" {
			different[address] = struct{}{}
			return
		}
		if _, asked := known[host]; !asked {
			ips, err := server.LookupFunc(ctx, host)
			known[host] = answer{ips, err}
		}
		for _, ip := range known[host].ips {
			_, address := pgconn.NetworkAddress(ip, port)
			different[address] = struct{}{}
		}
	}
	add(server.Host, server.Port)
	for _, f := range server.Fallbacks {
		add(f.Host, f.Port)
	}
	server.LookupFunc = func(_ context.Context, host string) ([]string, error) {
		if a, ok := known[host]; ok {
			return a.ips, a.err
		}
		return nil, errors.New("host is not in the configuration")
	}
	return max(len(different), 1)
}
