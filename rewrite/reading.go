package rewrite

import (
	"errors"
	"slices"

	"tenantgate/rewrite/catalog"
)

// A reading is what is known of the texts with one key. It is immutable.
type reading struct {
	about  about
	fixed  literalSet // of aboutShape
	result *Result    // of all others
	sql    string     // of aboutOne: the text
	needs  []int32    // of aboutOne and aboutAll: the literals that the result's templates count from
}

// about says what a reading holds for.
//
// The first text of a shape is read as it is. So is the next one that has other
// literals; if both have become the same, the result is that of all texts of
// the shape. That they do follows from what is free; should it ever not hold,
// every literal is fixed.
type about uint8

const (
	aboutText  about = iota // the key holds all of the text
	aboutShape              // the result depends on literals that belong in the key, behind the shape
	aboutOne                // the result is that of one text
	aboutAll                // the result is that of all texts with the key
)

// Rewrite confines a text, or refuses it with one of the errors of this
// package. All statements of the text are looked at before any is returned.
func (r *Rewriter) Rewrite(req Request, cat *catalog.Snapshot) (*Result, error) {
	s := shapers.Get().(*shaper)
	defer s.putBack()
	s.plain(req, cat.Version)
	if e := r.cache.get(s.key); e != nil && e.about == aboutText {
		r.cache.hit(e)
		return e.result, nil
	}
	if len(req.SQL) > maxShapedText || !s.shape(req, cat.Version) {
		return r.read(req, cat, nil)
	}
	if len(s.ends) == 0 {
		return r.learnText(req, cat, s)
	}
	known := r.cache.get(s.key)
	var fixed literalSet
	if known != nil && known.about == aboutShape {
		fixed = known.fixed
		s.fix(req.SQL, fixed)
		known = r.cache.get(s.key)
	}
	switch {
	case known == nil:
		return r.learn(req, cat, s, fixed)
	case known.about == aboutAll:
		r.cache.hit(known)
		return known.result.of(req.SQL, s.ends, known.needs), nil
	case known.about == aboutText, known.sql == req.SQL:
		r.cache.hit(known)
		return known.result, nil
	default:
		return r.compare(req, cat, s, &known.reading)
	}
}

// read reads a text that the cache does not know.
func (r *Rewriter) read(req Request, cat *catalog.Snapshot, c *constants) (*Result, error) {
	r.misses.Add(1)
	if len(req.SQL) > largeText {
		r.large <- struct{}{}
		defer func() { <-r.large }()
	}
	result, err := r.rewrite(req, cat, c)
	var enforced *enforcedError
	switch {
	case err == nil:
		return result, nil
	case errors.As(err, &enforced):
		return nil, enforced.refusal
	case r.config.Observe:
		return observeText(req.SQL, refusalOf(err, req.SQL))
	default:
		return nil, refusalOf(err, req.SQL)
	}
}

// learnText reads a text without literals, of which the key is a copy.
func (r *Rewriter) learnText(req Request, cat *catalog.Snapshot, s *shaper) (*Result, error) {
	key := string(s.key)
	req.SQL = key[len(key)-len(req.SQL):] // one copy is enough
	result, err := r.read(req, cat, nil)
	if err == nil {
		r.cache.put(key, reading{about: aboutText, result: result})
	}
	return result, err
}

// learn reads the first text with a key. Some literals may be known to be
// fixed; the reading shows which are.
func (r *Rewriter) learn(req Request, cat *catalog.Snapshot, s *shaper, known literalSet) (*Result, error) {
	var c constants
	result, err := r.read(req, cat, &c)
	if err != nil {
		return nil, err
	}
	needs, ok := result.anchor(s.starts, s.ends)
	if !ok || !result.templated() {
		c.all = true
	}
	fixed := c.fixed(s.starts, known)
	if !slices.Equal(fixed, known) {
		s.unfix()
		r.cache.put(string(s.key), reading{about: aboutShape, fixed: fixed})
		s.fix(req.SQL, fixed)
	}
	if fixed.count() == len(s.ends) {
		r.cache.put(string(s.key), reading{about: aboutText, result: result})
	} else {
		r.cache.put(string(s.key), reading{about: aboutOne, result: result, sql: req.SQL, needs: needs})
	}
	return result, nil
}

// compare reads a second text with a key. What it becomes is what the first one
// has become, or else the key must have all literals.
func (r *Rewriter) compare(req Request, cat *catalog.Snapshot, s *shaper, known *reading) (*Result, error) {
	result, err := r.read(req, cat, nil)
	if err == nil {
		needs, ok := result.anchor(s.starts, s.ends)
		if ok && slices.Equal(needs, known.needs) && result.templated() && result.same(known.result) {
			r.addLookup(req, cat, result)
			r.cache.put(string(s.key), reading{about: aboutAll, result: result.detached(), needs: needs})
			return result, nil
		}
	}
	s.unfix()
	r.cache.put(string(s.key), reading{about: aboutShape, fixed: (&constants{all: true}).fixed(s.starts, nil)})
	return result, err
}

// size is about how many bytes of memory the reading holds.
func (r *reading) size() int64 {
	n := int64(len(r.fixed))*8 + int64(len(r.sql)) + int64(len(r.needs))*4
	if r.result != nil {
		n += r.result.size()
	}
	return n
}

// A literalSet has a bit for each literal of a text. Nil is the empty set.
type literalSet []uint64

func (s literalSet) has(i int) bool { return i/64 < len(s) && s[i/64]&(1<<(i%64)) != 0 }

func (s literalSet) count() (n int) {
	for _, word := range s {
		for ; word != 0; word &= word - 1 {
			n++
		}
	}
	return n
}

// constants are what a reading has found out about literals, by the bytes where
// they start.
type constants struct {
	free map[int32]bool // in places where nobody reads them
	read map[int32]bool // but somebody did
	all  bool           // all must be taken to have been read
}

// fixed are the literals that start there and are not free, and those that are
// known to be fixed.
func (c *constants) fixed(starts []int32, known literalSet) literalSet {
	var set literalSet
	for i, start := range starts {
		if !c.all && c.free[start] && !c.read[start] && !known.has(i) {
			continue
		}
		if set == nil {
			set = make(literalSet, (len(starts)+63)/64)
		}
		set[i/64] |= 1 << (i % 64)
	}
	return set
}
