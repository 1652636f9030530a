package proxy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/rs/zerolog"

	"tenantgate/pool"
)

const (
	// listenPing is how often a silent listening connection is asked whether it
	// is there, and listenTimeout how long any answer may take.
	listenPing    = 30 * time.Second
	listenTimeout = 10 * time.Second

	// listenPause, doubled each time up to the last one, is between attempts to
	// connect.
	listenPause    = 100 * time.Millisecond
	listenPauseMax = 5 * time.Second
)

// A listener has the one server connection of a database that listens, for all
// sessions. It knows channels by the server's names. The connection is made
// when somebody listens first, and again when it is lost; what is sent
// meanwhile is lost.
type listener struct {
	server *pgconn.Config
	log    zerolog.Logger

	mu       sync.Mutex
	closed   bool
	channels map[string]*channel
	wake     context.CancelFunc // of the wait for notifications; nil while there is none
	stop     context.CancelFunc // of run; nil before it was started
	running  sync.WaitGroup
}

// A channel is one that somebody listens on, or waits to.
type channel struct {
	listening   bool          // the server has it
	held        bool          // and has had it on an earlier connection, perhaps
	settled     chan struct{} // closed when it has, or refuses
	err         error         // why it refuses
	subscribers map[*subscriber]struct{}
}

// A subscriber is given the notifications of one channel. deliver is called in
// their order by one goroutine, and must not block.
type subscriber struct {
	channel string
	deliver func(*pgconn.Notification)
}

func newListener(server *pgconn.Config, log zerolog.Logger) *listener {
	l := &listener{server: server.Copy(), log: log, channels: make(map[string]*channel)}
	if l.server.RuntimeParams == nil {
		l.server.RuntimeParams = make(map[string]string)
	}
	l.server.RuntimeParams["client_encoding"] = "UTF8"
	l.server.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { l.notified(n) }
	return l
}

// listen returns once the server listens on a channel. What is sent from then
// on is delivered until leave.
func (l *listener) listen(ctx context.Context, name string, deliver func(*pgconn.Notification)) (*subscriber, error) {
	s := &subscriber{channel: name, deliver: deliver}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, errDraining
	}
	c := l.channels[name]
	if c == nil {
		c = &channel{settled: make(chan struct{}), subscribers: make(map[*subscriber]struct{})}
		l.channels[name] = c
	}
	c.subscribers[s] = struct{}{}
	listening := c.listening
	if !listening {
		l.changed()
	}
	settled := c.settled
	l.mu.Unlock()
	if listening {
		return s, nil
	}
	select {
	case <-settled:
	case <-ctx.Done():
		l.leave(s)
		return nil, errNotListening
	}
	l.mu.Lock()
	err := c.err
	l.mu.Unlock()
	if err != nil {
		l.leave(s)
		return nil, err
	}
	return s, nil
}

// leave ends a subscription. deliver may be under way for the last time.
func (l *listener) leave(s *subscriber) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.channels[s.channel]
	if c == nil {
		return
	}
	delete(c.subscribers, s)
	if len(c.subscribers) == 0 {
		l.changed()
	}
}

// close ends the connection and waits for what the listener has started.
func (l *listener) close() {
	l.mu.Lock()
	l.closed = true
	if l.stop != nil {
		l.stop()
	}
	l.mu.Unlock()
	l.running.Wait()
}

// changed has the server told what channels there are. The lock is held.
func (l *listener) changed() {
	switch {
	case l.closed:
	case l.stop == nil:
		ctx, cancel := context.WithCancel(context.Background())
		l.stop = cancel
		l.running.Go(func() { l.run(ctx) })
	case l.wake != nil:
		l.wake()
	}
}

// run keeps a connection until close.
func (l *listener) run(ctx context.Context) {
	pause := listenPause
	for ctx.Err() == nil {
		began := time.Now()
		err := l.connected(ctx)
		l.lost()
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > listenPauseMax {
			pause = listenPause
		}
		l.log.Warn().Err(err).Dur("pause", pause).Msg("listening connection lost: what is notified meanwhile reaches nobody")
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, listenPauseMax)
	}
}

// connected listens on one connection until it fails.
func (l *listener) connected(ctx context.Context) error {
	pg, err := pool.Connect(ctx, l.server, listenTimeout)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer func() {
		gone, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = pg.Close(gone)
	}()
	l.log.Debug().Uint32("server_pid", pg.PID()).Msg("listening connection made")
	for {
		add, remove, wait := l.pending(ctx)
		if len(add) > 0 || len(remove) > 0 {
			wait.cancel()
			if err := l.tell(ctx, pg, add, remove); err != nil {
				return err
			}
			continue
		}
		err := pg.WaitForNotification(wait.ctx)
		ping := errors.Is(wait.ctx.Err(), context.DeadlineExceeded)
		l.waited(wait)
		switch {
		case pg.IsClosed():
			return fmt.Errorf("wait: %w", err)
		case ctx.Err() != nil:
			return ctx.Err()
		case ping:
			if err := l.exec(ctx, pg, ""); err != nil {
				return fmt.Errorf("ping: %w", err)
			}
		}
	}
}

// A waiting is a wait for notifications that a change ends.
type waiting struct {
	ctx    context.Context //nolint:containedctx // it lives for one wait
	cancel context.CancelFunc
}

// pending returns what the server is to be told. While there is nothing, a
// change ends the wait that it returns.
func (l *listener) pending(ctx context.Context) (add, remove []string, wait waiting) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, c := range l.channels {
		switch {
		case len(c.subscribers) == 0:
			if c.listening { // who comes from now on has to wait
				c.listening, c.settled = false, make(chan struct{})
			}
			remove = append(remove, name)
		case !c.listening:
			add = append(add, name)
		}
	}
	slices.Sort(add)
	wait.ctx, wait.cancel = context.WithTimeout(ctx, listenPing)
	l.wake = wait.cancel
	return add, remove, wait
}

func (l *listener) waited(wait waiting) {
	l.mu.Lock()
	l.wake = nil
	l.mu.Unlock()
	wait.cancel()
}

// tell has the server listen on some channels and no longer on others. An
// error is the connection's.
func (l *listener) tell(ctx context.Context, pg *pgconn.PgConn, add, remove []string) error {
	var text []string
	for _, name := range remove {
		text = append(text, "UNLISTEN "+quoteName(name))
	}
	for _, name := range add {
		text = append(text, "LISTEN "+quoteName(name))
	}
	err := l.exec(ctx, pg, strings.Join(text, ";"))
	var refused *pgconn.PgError
	if err != nil && (pg.IsClosed() || !errors.As(err, &refused)) {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range add {
		if err != nil && l.channels[name].held {
			return err // whoever listens there waits for a server that does
		}
	}
	for _, name := range add {
		c := l.channels[name]
		if err != nil { // as of a server that recovers
			delete(l.channels, name)
			c.err = &Error{Code: refused.Code, Message: refused.Message, Detail: refused.Detail, Hint: refused.Hint}
		} else {
			c.listening, c.held = true, true
		}
		close(c.settled)
	}
	for _, name := range remove {
		if c := l.channels[name]; c != nil && len(c.subscribers) == 0 {
			delete(l.channels, name)
		}
	}
	return nil
}

func (l *listener) exec(ctx context.Context, pg *pgconn.PgConn, sql string) error {
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	_, err := pg.Exec(ctx, sql).ReadAll()
	return err
}

// lost notes that the server listens on nothing. At the end nobody waits.
func (l *listener) lost() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wake = nil
	for name, c := range maps.Clone(l.channels) {
		if c.listening {
			c.listening, c.settled = false, make(chan struct{})
		}
		switch {
		case l.closed:
			c.err = errDraining
			close(c.settled)
			delete(l.channels, name)
		case len(c.subscribers) == 0:
			delete(l.channels, name)
		}
	}
}

// notified hands a notification to all who listen.
func (l *listener) notified(n *pgconn.Notification) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.channels[n.Channel]; c != nil {
		for s := range c.subscribers {
			s.deliver(n)
		}
	}
}
