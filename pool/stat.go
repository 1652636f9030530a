package pool

import (
	"cmp"
	"slices"
	"time"
)

// A Stat is a snapshot of a pool's counters.
type Stat struct {
	Size, Idle, Leased, Dialing, Waiting int // now

	Acquired, Timeouts, Dialed, DialFailures, Destroyed int64         // since New
	WaitTime                                            time.Duration // of all Acquires that had to wait
}

// Plus adds another pool's counters.
func (s Stat) Plus(o Stat) Stat {
	s.Size += o.Size
	s.Idle += o.Idle
	s.Leased += o.Leased
	s.Dialing += o.Dialing
	s.Waiting += o.Waiting
	s.Acquired += o.Acquired
	s.Timeouts += o.Timeouts
	s.Dialed += o.Dialed
	s.DialFailures += o.DialFailures
	s.Destroyed += o.Destroyed
	s.WaitTime += o.WaitTime
	return s
}

// Stat returns the pool's counters as they are now.
func (p *Pool) Stat() Stat {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stat
	s.Size = p.cfg.Size
	s.Idle, s.Leased, s.Dialing = len(p.idle)+len(p.checking), len(p.leased), p.dialing
	s.Waiting = p.waiting.len()
	return s
}

// A ConnStat is one server connection as it is now.
type ConnStat struct {
	PID    uint32
	Opened time.Time
	Leased bool
	Group  string // that has it; empty if none
}

// Conns tells of all server connections that are open, by their process ids.
func (p *Pool) Conns() []ConnStat {
	p.mu.Lock()
	defer p.mu.Unlock()
	conns := make([]ConnStat, 0, len(p.idle)+len(p.checking)+len(p.leased))
	for _, c := range p.idle {
		conns = append(conns, ConnStat{PID: c.PID, Opened: c.opened})
	}
	for c := range p.checking {
		conns = append(conns, ConnStat{PID: c.PID, Opened: c.opened})
	}
	for c := range p.leased {
		conns = append(conns, ConnStat{PID: c.PID, Opened: c.opened, Leased: true, Group: c.holder.name})
	}
	slices.SortFunc(conns, func(a, b ConnStat) int { return cmp.Compare(a.PID, b.PID) })
	return conns
}
