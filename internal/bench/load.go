package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

func (c *contender) connect(ctx context.Context, tenant int) (*pgconn.PgConn, error) {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(c.user(tenant), password), Host: address(c.port),
		Path: "/" + c.database, RawQuery: "sslmode=disable",
	}
	return pgconn.Connect(ctx, u.String())
}

// connectAll opens connections, those of all tenants in turn, a few at a time.
func (c *contender) connectAll(ctx context.Context, connections, tenants int) ([]*pgconn.PgConn, error) {
	conns, failures := make([]*pgconn.PgConn, connections), make([]error, connections)
	var opening sync.WaitGroup
	next := make(chan int)
	for range 4 {
		opening.Go(func() {
			for i := range next {
				conns[i], failures[i] = c.connect(ctx, i%tenants+1)
			}
		})
	}
	for i := range conns {
		next <- i
	}
	close(next)
	opening.Wait()
	return conns, errors.Join(failures...)
}

func closeAll(ctx context.Context, conns []*pgconn.PgConn) {
	for _, conn := range conns {
		if conn != nil {
			_ = conn.Close(ctx) // it has served its purpose
		}
	}
}

// A crowd is 200 clients of that many tenants, of whom 16 at a time, chosen at
// random, run a prepared statement: with many tenants hardly any two
// transactions on a server connection are of the same one. All crowds read as
// many rows of the same table.
type crowd struct {
	tenants int
}

const (
	crowdSize   = 200
	crowdActive = 16
	crowdRows   = 200_000

	// crowdWarmUp is how long a crowd runs before it is measured: what is compared
	// is the price of another tenant, not that of server connections, which a
	// proxy opens more of for many tenants than for one.
	crowdWarmUp = 300 * time.Millisecond

	// crowdTimes is how many times as long as others it is measured: the
	// difference is smaller than what the machine does to single seconds.
	crowdTimes = 3
)

func (w crowd) run(ctx context.Context, b *bench, c *contender) (sample, error) {
	conns, err := w.gather(ctx, c)
	defer closeAll(ctx, conns)
	if err != nil {
		return sample{}, err
	}
	warm, err := w.load(ctx, conns, crowdWarmUp)
	if err != nil {
		return sample{}, err
	}
	began := time.Now()
	latencies, err := w.load(ctx, conns, crowdTimes*time.Duration(b.options.seconds)*time.Second)
	s := sample{transactions: len(warm) + len(latencies), rate: float64(len(latencies)) / time.Since(began).Seconds()}
	s.setLatencies(latencies)
	return s, err
}

// crowdTurn is how long a crowd runs before it is another's turn: what disturbs
// the machine for a second disturbs both.
const crowdTurn = 300 * time.Millisecond

// besideOne has the crowd and one of a single tenant take turns. The sample's rate
// is the median of the crowd's rate by that of the other in the same turn.
func (w crowd) besideOne(ctx context.Context, b *bench, c *contender) (s sample, err error) {
	crowds := []crowd{w, {tenants: 1}}
	var conns [2][]*pgconn.PgConn
	for i, of := range crowds {
		conns[i], err = of.gather(ctx, c)
		defer closeAll(ctx, conns[i])
		if err != nil {
			return s, err
		}
	}
	var ratios []sample
	for turn := range 1 + crowdTimes*time.Duration(b.options.seconds)*time.Second/crowdTurn {
		var rates [2]float64
		for k := range crowds {
			i := (k + int(turn)) % len(crowds) // neither is always behind the other
			began := time.Now()
			latencies, err := crowds[i].load(ctx, conns[i], crowdTurn)
			if err != nil {
				return s, err
			}
			s.transactions += len(latencies)
			rates[i] = float64(len(latencies)) / time.Since(began).Seconds()
		}
		if turn > 0 { // the first one is the warm-up
			ratios = append(ratios, sample{rate: rates[0] / rates[1]})
		}
	}
	s.rate = median(ratios, rate)
	return s, nil
}

// gather opens the crowd's connections and prepares its statement.
func (w crowd) gather(ctx context.Context, c *contender) ([]*pgconn.PgConn, error) {
	conns, err := c.connectAll(ctx, crowdSize, w.tenants)
	if err != nil {
		return conns, err
	}
	for _, conn := range conns {
		if _, err := conn.Prepare(ctx, "one", "SELECT abalance FROM crowd_accounts WHERE aid = $1", nil); err != nil {
			return conns, err
		}
	}
	return conns, nil
}

// load has the crowd run its statement for so long, and tells what each took.
func (w crowd) load(ctx context.Context, conns []*pgconn.PgConn, during time.Duration) ([]time.Duration, error) {
	var (
		running   sync.WaitGroup
		latencies [crowdActive][]time.Duration
		failures  [crowdActive]error
	)
	end := time.Now().Add(during)
	for i := range crowdActive { // each has its own share of the clients
		share := (crowdSize - i + crowdActive - 1) / crowdActive
		running.Go(func() {
			for start := time.Now(); start.Before(end); start = time.Now() {
				j := i + crowdActive*rand.IntN(share)
				if failures[i] = w.lookUp(ctx, conns[j], j%w.tenants); failures[i] != nil {
					return
				}
				latencies[i] = append(latencies[i], time.Since(start))
			}
		})
	}
	running.Wait()
	return slices.Concat(latencies[:]...), errors.Join(failures[:]...)
}

// lookUp runs the statement once, for one of a tenant's accounts. Tenants count
// from 0 here.
func (w crowd) lookUp(ctx context.Context, conn *pgconn.PgConn, tenant int) error {
	share := crowdRows / w.tenants
	aid := w.tenants*1_000_000 + tenant*share + 1 + rand.IntN(share)
	result := conn.ExecPrepared(ctx, "one", [][]byte{strconv.AppendInt(nil, int64(aid), 10)}, nil, nil).Read()
	if result.Err != nil {
		return result.Err
	}
	if len(result.Rows) != 1 {
		return fmt.Errorf("of %d tenants, number %d has %d accounts %d", w.tenants, tenant+1, len(result.Rows), aid)
	}
	return nil
}

// reading returns a workload that takes one large answer in, as fast as it comes,
// and looks at message heads alone.
func reading(sql string) func(context.Context, *bench, *contender) (sample, error) {
	return func(ctx context.Context, _ *bench, c *contender) (sample, error) {
		n, took, err := c.readAll(ctx, sql, func(conn net.Conn) io.Reader { return conn })
		return sample{transactions: 1, rate: float64(n) / 1e6 / took.Seconds(), p50: took}, err
	}
}

// readAll runs a statement with a large answer and reads that in some way.
func (c *contender) readAll(ctx context.Context, sql string, way func(net.Conn) io.Reader) (total int, took time.Duration, err error) {
	conn, err := c.connect(ctx, 1)
	if err != nil {
		return 0, 0, err
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		return 0, 0, err
	}
	defer hijacked.Conn.Close()
	query := append([]byte{'Q', 0, 0, 0, 0}, sql...)
	query = append(query, 0)
	binary.BigEndian.PutUint32(query[1:], uint32(len(query)-1))
	began := time.Now()
	if _, err := hijacked.Conn.Write(query); err != nil {
		return 0, 0, err
	}
	total, err = readAnswer(way(hijacked.Conn))
	if err == nil && total < 50e6 {
		err = fmt.Errorf("an answer of %d bytes", total)
	}
	return total, time.Since(began), err
}

// slowly reads in small pieces, and twenty times in a GiB not at all for a while.
type slowly struct {
	from  io.Reader
	total int
}

func (s *slowly) Read(p []byte) (int, error) {
	const each = 50 << 20
	before := s.total / each
	n, err := s.from.Read(p[:min(len(p), 8<<10)])
	if s.total += n; s.total/each > before {
		time.Sleep(200 * time.Millisecond)
	}
	return n, err
}

// slowReader measures the most memory that a proxy has while a client reads a
// large result slowly.
func slowReader(sql string) func(context.Context, *bench, *contender) (sample, error) {
	return func(ctx context.Context, _ *bench, c *contender) (sample, error) {
		if err := c.process.forgetMost(); err != nil {
			return sample{}, err
		}
		if _, _, err := c.readAll(ctx, sql, func(conn net.Conn) io.Reader { return &slowly{from: conn} }); err != nil {
			return sample{}, err
		}
		most, err := c.process.mostMemory()
		return sample{rate: float64(most)}, err
	}
}

// readAnswer reads up to ReadyForQuery and returns how many bytes there were.
func readAnswer(conn io.Reader) (total int, err error) {
	buf := make([]byte, 256<<10)
	start, end, skip := 0, 0, 0 // unread bytes; of a message, still to come
	for {
		for {
			n := min(skip, end-start)
			start, skip = start+n, skip-n
			if end-start < 5 {
				break
			}
			size := 1 + int(binary.BigEndian.Uint32(buf[start+1:]))
			switch buf[start] {
			case 'E':
				return total, fmt.Errorf("the server says %q", buf[start:min(start+size, end)])
			case 'Z':
				return total, nil
			}
			skip = size
		}
		end = copy(buf, buf[start:end])
		start = 0
		n, err := conn.Read(buf[end:])
		if n == 0 && err != nil {
			return total, err
		}
		end += n
		total += n
	}
}

const copiedRows = 200_000

// copied is what copyIn copies: rows of about 100 bytes.
var copied = sync.OnceValue(func() []byte {
	var text []byte
	for i := range copiedRows {
		text = fmt.Appendf(text, "%d\t2026-03-%02d\t%d.75\tA note about line %[1]d, which is as long as notes of that kind are: %[1]d times\n", i, i%28+1, i%9973)
	}
	return text
})

// copyIn copies rows in.
func copyIn(ctx context.Context, _ *bench, c *contender) (sample, error) {
	conn, err := c.connect(ctx, 1)
	if err != nil {
		return sample{}, err
	}
	defer func() { _ = conn.Close(ctx) }() // it has served its purpose
	text := copied()
	began := time.Now()
	tag, err := conn.CopyFrom(ctx, &blocks{text}, "COPY lines_in (id, placed, amount, note) FROM STDIN")
	if err == nil && tag.RowsAffected() != copiedRows {
		err = fmt.Errorf("copied: %s", tag)
	}
	took := time.Since(began)
	return sample{transactions: 1, rate: float64(len(text)) / 1e6 / took.Seconds(), p50: took}, err
}

// blocks reads text in the pieces in which libpq's users tend to send it.
type blocks struct {
	text []byte
}

func (b *blocks) Read(p []byte) (int, error) {
	if len(b.text) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), 16<<10)], b.text)
	b.text = b.text[n:]
	return n, nil
}

const idleClients = 10_000

// idle measures what a client takes that has run a statement and waits.
func idle(ctx context.Context, _ *bench, c *contender) (sample, error) {
	before, err := c.process.memory()
	if err != nil {
		return sample{}, err
	}
	conns, err := c.connectAll(ctx, idleClients, tenants)
	defer closeAll(ctx, conns)
	if err != nil {
		return sample{}, err
	}
	for i, conn := range conns {
		sql := fmt.Sprintf("SELECT abalance FROM pgbench_accounts WHERE aid = %d", i%tenants*5000+1)
		if _, err := conn.Exec(ctx, sql).ReadAll(); err != nil {
			return sample{}, err
		}
	}
	time.Sleep(time.Second)
	after, err := c.process.memory()
	return sample{rate: float64(max(after-before, 0)) / idleClients}, err
}

// cachedStatements measures what the proxy takes to remember a statement: those of
// a dozen lines here, each read with two values of a constant.
func cachedStatements(ctx context.Context, _ *bench, c *contender) (sample, error) {
	const statements = 2000
	var bytes, entries int
	count := func(sign int) error {
		b, err := c.process.metric(ctx, "tenantgate_rewrite_cache_bytes")
		if err != nil {
			return err
		}
		n, err := c.process.metric(ctx, "tenantgate_rewrite_cache_entries")
		bytes, entries = bytes+sign*b, entries+sign*n
		return err
	}
	if err := count(-1); err != nil {
		return sample{}, err
	}
	conn, err := c.connect(ctx, 1)
	if err != nil {
		return sample{}, err
	}
	defer func() { _ = conn.Close(ctx) }() // it has served its purpose
	for i := range 2 * statements {
		sql := strings.NewReplacer(":low", strconv.Itoa(i), "last_account", fmt.Sprintf("last_account_%d", i%statements)).Replace(join)
		if _, err := conn.Prepare(ctx, "", sql, nil); err != nil {
			return sample{}, err
		}
	}
	if err := count(+1); err != nil {
		return sample{}, err
	}
	if entries < statements {
		return sample{}, fmt.Errorf("%d statements, and %d more are remembered", statements, entries)
	}
	return sample{rate: float64(bytes) / float64(entries)}, nil
}
