package pool

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"tenantgate/internal/socket"
)

// connect opens, prepares and takes over one server connection.
func connect(ctx context.Context, cfg Config) (*Conn, error) {
	pg, err := dialServer(ctx, cfg.Server, cfg.AcquireTimeout, cfg.Silence)
	if err != nil {
		return nil, fmt.Errorf("connect to server: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, max(cfg.AcquireTimeout, leastPatience))
	defer cancel()
	if err := pg.SyncConn(ctx); err != nil {
		_ = pg.Close(ctx)
		return nil, fmt.Errorf("settle new server connection: %w", err)
	}
	hijacked, err := pg.Hijack()
	if err != nil {
		_ = pg.Close(ctx)
		return nil, fmt.Errorf("take over server connection: %w", err)
	}
	if hijacked.TxStatus != 'I' {
		_ = hijacked.Conn.Close()
		return nil, fmt.Errorf("new server connection is in transaction status %q", hijacked.TxStatus)
	}
	life := cfg.MaxLifetime - rand.N(cfg.MaxLifetime/10+1) // #nosec G404 -- jitter is no secret
	c := &Conn{
		Net:        socket.Wrap(hijacked.Conn),
		PID:        hijacked.PID,
		Reported:   maps.Clone(hijacked.ParameterStatuses),
		Settings:   make(map[string]string),
		Statements: newStatements(cfg.MaxStatements),
		Buffer:     make([]byte, bufferSize),
		secret:     hijacked.SecretKey,
		silence:    cfg.Silence,
		server:     hijacked.Config,
		opened:     time.Now(),
		dies:       time.Now().Add(life),
	}
	if err := c.watch(); err != nil {
		_ = c.Net.Close()
		return nil, err
	}
	return c, nil
}

// hopeless reports whether trying again cannot help soon: the server answered
// and refused our role, password or database.
func hopeless(err error) bool {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) {
		return false
	}
	return strings.HasPrefix(pg.Code, "28") || pg.Code == "3D000" || pg.Code == "42501"
}
