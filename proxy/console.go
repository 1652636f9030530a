package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/rs/zerolog"

	"tenantgate/auth"
)

// consoleDatabase is the database that logins with a console name to get there.
const consoleDatabase = "tenantgate"

// maxConsoleMessage bounds what a console reads: commands are short.
const maxConsoleMessage = 64 << 10

// maxConsoleNames bounds the statements and portals that one client prepares.
const maxConsoleNames = 1000

// A console is a session whose server is the proxy itself. One goroutine runs
// it; another one may only end it, through the connection.
type console struct {
	server     *Server
	id         uint32
	secret     []byte
	client     net.Conn
	in         *reader
	out        []byte // answers not yet written
	log        zerolog.Logger
	login      string
	begun      time.Time
	reported   map[string]string
	status     byte // of ReadyForQuery
	skipping   bool // an error came up in a group: ignore messages up to Sync
	statements map[string]*command
	portals    map[string]*consolePortal

	mu     sync.Mutex
	killed error // why it ends, told to the client; nil: it is not to end
}

// stat tells what is known of the console from outside.
func (c *console) stat() sessionStat {
	_, encrypted := c.client.(*tls.Conn)
	return sessionStat{
		id: c.id, login: c.login, address: c.client.RemoteAddr().String(), encrypted: encrypted,
		state: "console", begun: c.begun, database: consoleDatabase,
	}
}

// console makes the console of a login that may have one.
func (g *greeting) console(identity *auth.Identity) (func(), error) {
	reported := map[string]string{
		"application_name": g.params["application_name"], "client_encoding": "UTF8", "DateStyle": "ISO, MDY",
		"default_transaction_read_only": "off", "in_hot_standby": "off", "integer_datetimes": "on", "IntervalStyle": "postgres",
		"is_superuser": "off", "server_encoding": "UTF8", "server_version": consoleServerVersion + " (tenantgate " + g.server.cfg.Version + ")",
		"session_authorization": identity.Login, "standard_conforming_strings": "on", "TimeZone": "UTC",
	}
	c := &console{
		server: g.server, client: g.conn, in: g.in, log: g.log, login: identity.Login, begun: time.Now(), reported: reported, status: 'I',
		statements: make(map[string]*command), portals: make(map[string]*consolePortal),
	}
	c.in.limit = maxConsoleMessage
	if g.server.cfg.Observe {
		g.notice = &pgproto3.NoticeResponse{
			Severity: "WARNING", SeverityUnlocalized: "WARNING", Code: "01000", Message: observeWarning,
			Hint: "SHOW REFUSALS tells what was let through. Set tenancy.observe to false to enforce.",
		}
	}
	err := g.welcome(reported, func(id uint32, secret []byte) {
		c.id, c.secret = id, secret
		g.server.consoles[id] = c
	})
	if err != nil {
		return nil, err
	}
	c.log = c.log.With().Uint32("session", c.id).Bool("console", true).Logger()
	return func() {
		defer g.server.unregister(c.id)
		c.log.Info().Msg("console opened")
		c.run(g.server.ctx)
		c.log.Info().Msg("console closed")
	}, nil
}

// consoleServerVersion is the PostgreSQL that drivers take the console for when
// they decide what they say at the beginning.
const consoleServerVersion = "16.0"

// run answers the client until it leaves, ctx ends, or somebody ends it.
func (c *console) run(ctx context.Context) {
	defer c.client.Close()
	stop := context.AfterFunc(ctx, func() { c.end(errDraining) })
	defer stop()
	for {
		typ, body, err := c.in.next()
		if err == nil {
			err = c.message(typ, body)
		}
		if err != nil {
			c.parting(err)
			return
		}
	}
}

// end has the console tell its client why, and end.
func (c *console) end(why error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.killed == nil {
		c.killed = why
	}
	_ = c.client.SetReadDeadline(time.Unix(1, 0))
	_ = c.client.SetWriteDeadline(time.Now().Add(time.Second))
}

// parting tells the client why its console ends, if there is something to tell.
func (c *console) parting(err error) {
	c.mu.Lock()
	if c.killed != nil {
		err = c.killed
	}
	c.mu.Unlock()
	var told *Error
	if !errors.As(err, &told) && !errors.Is(err, errMalformed) {
		return
	}
	_ = c.client.SetWriteDeadline(time.Now().Add(time.Second))
	c.emitError("FATAL", err)
	_ = c.flush()
}

// message answers one message. An error ends the console.
func (c *console) message(typ byte, body []byte) error {
	if c.skipping && typ != 'S' && typ != 'X' {
		return nil
	}
	switch typ {
	case 'Q':
		return c.query(body)
	case 'P':
		return c.parse(body)
	case 'B':
		return c.bind(body)
	case 'D':
		return c.describe(body)
	case 'E':
		return c.execute(body)
	case 'C':
		return c.close(body)
	case 'H':
		return c.flush()
	case 'S':
		c.skipping = false
		return c.ready()
	case 'X':
		return errGone
	default:
		return newError("08P01", fmt.Sprintf("message type %q has no place in the console", typ), "")
	}
}

// query answers a simple query.
func (c *console) query(body []byte) error {
	text, rest, err := cstring(body)
	if err != nil || len(rest) > 0 {
		return errMalformed
	}
	cmd, err := parseCommand(text)
	if err != nil {
		c.fail(err)
		return c.ready()
	}
	if cmd == nil {
		c.out = appendBare(c.out, 'I')
		return c.ready()
	}
	answer, err := c.carryOut(cmd)
	if err != nil {
		c.fail(err)
		return c.ready()
	}
	if columns := c.columns(cmd); columns != nil {
		c.out = appendColumns(c.out, columns, nil)
	}
	for _, row := range answer.rows {
		c.out = appendRow(c.out, c.columns(cmd), row, nil)
		if len(c.out) >= directWrite {
			if err := c.flush(); err != nil {
				return err
			}
		}
	}
	c.out = append(c.out, commandComplete(answer.tag)...)
	return c.ready()
}

// fail tells the client of an error, which its transaction does not survive.
func (c *console) fail(err error) {
	if c.status == 'T' {
		c.status = 'E'
	}
	c.emitError("ERROR", err)
}

func (c *console) emitError(severity string, err error) {
	msg, internal := errorResponse(severity, err)
	if internal {
		c.log.Error().Err(err).Msg("internal error")
	}
	out, encodeErr := msg.Encode(c.out)
	if encodeErr != nil {
		c.log.Error().Err(encodeErr).Msg("error message cannot be encoded")
		return
	}
	c.out = out
}

// ready ends a query or a group.
func (c *console) ready() error {
	if c.status == 'I' {
		clear(c.portals)
	}
	c.out = appendReady(c.out, c.status)
	return c.flush()
}

func (c *console) flush() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.client.Write(c.out)
	if cap(c.out) > 2*directWrite {
		c.out = nil
	}
	c.out = c.out[:0]
	return err
}

// An outcome is what a command brings: rows, if it has columns, and its tag.
type outcome struct {
	rows []row
	tag  string
}

// carryOut runs a command.
func (c *console) carryOut(cmd *command) (outcome, error) {
	if c.status == 'E' && cmd.word != "COMMIT" && cmd.word != "ROLLBACK" {
		return outcome{}, errAborted
	}
	switch cmd.word {
	case "SHOW":
		if value, ok := c.parameter(cmd.argument); ok {
			return outcome{[]row{{value}}, "SHOW"}, nil
		}
		return outcome{showTables[cmd.argument].rows(c.server), "SHOW"}, nil
	case "BEGIN":
		c.status = 'T'
	case "COMMIT", "ROLLBACK":
		failed := c.status == 'E'
		if c.status = 'I'; failed {
			return outcome{tag: "ROLLBACK"}, nil
		}
	case "SET":
		// Of the client's own parameters, none of which concerns the console.
	case "KILL":
		if err := c.server.kill(cmd.session); err != nil {
			return outcome{}, err
		}
		c.log.Warn().Uint32("killed", cmd.session).Msg("session killed from the console")
	default:
		return outcome{}, newError("XX000", "internal error", "See the proxy's log.")
	}
	return outcome{tag: cmd.word}, nil
}

// columns describes a command's rows; nil if it brings none.
func (c *console) columns(cmd *command) []column {
	if cmd.word != "SHOW" {
		return nil
	}
	if _, ok := c.parameter(cmd.argument); ok {
		return []column{{name: strings.ToLower(cmd.argument)}}
	}
	return showTables[cmd.argument].columns
}

// parameter is the value of a run-time parameter as it was reported at login.
func (c *console) parameter(name string) (value string, ok bool) {
	for known, value := range c.reported {
		if strings.EqualFold(known, name) {
			return value, true
		}
	}
	return "", false
}
