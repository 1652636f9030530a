package pool

import (
	"context"
	"slices"
	"time"
)

// usualSilence is Config.Silence unless it says otherwise.
const usualSilence = 30 * time.Second

// syncMessage asks a server that has nothing to do for readyIdle.
var syncMessage = []byte{'S', 0, 0, 0, 4}

const readyIdle = "Z\x00\x00\x00\x05I"

// checkIdle has the servers of connections that have been idle for a while asked
// whether they are there: what lies between may have forgotten the connection
// and say nothing.
func (p *Pool) checkIdle(now time.Time) {
	kept := p.idle[:0]
	for _, c := range p.idle {
		if now.Sub(c.heard) < p.cfg.Silence {
			kept = append(kept, c)
			continue
		}
		p.checking[c] = struct{}{}
		p.tasks.Go(func() { p.check(c) })
	}
	clear(p.idle[len(kept):])
	p.idle = kept
}

// Suspect has all idle connections asked at once, for the way to the server has
// been found lost for another one. Until they answer they are not lent.
func (p *Pool) Suspect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.checkIdle(time.Now().Add(p.cfg.Silence))
	}
}

// check asks for one, which is among those being checked, and puts it back where
// it was.
func (p *Pool) check(c *Conn) {
	answered := c.answers(p.ctx, p.cfg.Silence/3)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.checking, c)
	if !answered || p.closed {
		p.discard(c)
		p.dialForWaiters()
		return
	}
	c.heard = time.Now()
	if !p.serve(c) {
		at, _ := slices.BinarySearchFunc(p.idle, c, func(a, b *Conn) int { return a.idleSince.Compare(b.idleSince) })
		p.idle = slices.Insert(p.idle, at, c)
	}
}

// answers asks the server of an idle connection for a sign of life.
func (c *Conn) answers(ctx context.Context, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.Net.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	c.Request(syncMessage)
	for c.End-c.Start < len(readyIdle) {
		if err := c.Fill(); err != nil {
			return false
		}
	}
	said := string(c.Buffer[c.Start:c.End])
	c.Start = c.End
	return stop() && said == readyIdle
}
