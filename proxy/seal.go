package proxy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// errOtherProcess is a server connection whose process is not the one that
// answers, as behind another pooler. Tokens are good for one process.
var errOtherProcess = errors.New("tenancy.seal needs connections to PostgreSQL itself: another pooler stands between")

// tenantValue is what the tenant setting is given: the key, or, where policies
// verify it, a token for this server process and this moment.
func (s *session) tenantValue(key string) string {
	b := s.backend
	if b.sealKey == nil {
		return key
	}
	return b.sealKey.Token(key, s.conn.PID, time.Now().Add(time.Duration(b.ahead.Load())))
}

// meetServer makes sure that tokens for a new server connection will be good
// there: they hold its process, and the time by the server's clock.
func (b *backend) meetServer(ctx context.Context, pg *pgconn.PgConn) error {
	asked := time.Now()
	result := pg.ExecParams(ctx, "SELECT pg_catalog.pg_backend_pid(), pg_catalog.date_part('epoch', pg_catalog.clock_timestamp())",
		nil, nil, nil, nil).Read()
	answered := time.Now()
	if result.Err != nil {
		return fmt.Errorf("read the server's clock: %w", result.Err)
	}
	if len(result.Rows) != 1 || len(result.Rows[0]) != 2 {
		return fmt.Errorf("%w: a row of two values was due", errServerProtocol)
	}
	if string(result.Rows[0][0]) != strconv.FormatUint(uint64(pg.PID()), 10) {
		return errOtherProcess
	}
	seconds, err := strconv.ParseFloat(string(result.Rows[0][1]), 64)
	if err != nil {
		return fmt.Errorf("read the server's clock: %w", err)
	}
	there := time.UnixMicro(int64(seconds * 1e6))
	b.ahead.Store(int64(there.Sub(asked.Add(answered.Sub(asked) / 2))))
	return nil
}
