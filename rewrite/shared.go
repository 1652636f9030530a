package rewrite

import (
	"reflect"
	"sort"
)

// templated reports whether the texts of all statements are templates of the
// client's text, and nothing else of them comes from free literals.
func (r *Result) templated() bool {
	for i := range r.Statements {
		s := &r.Statements[i]
		if s.Text.unknown || s.Copy != nil || s.CopyOut != nil || s.Prepare != nil || len(s.Arguments) > 0 || s.Refusal != nil {
			return false
		}
	}
	return true
}

// anchor makes the templates' spots count from the ends of the text's
// literals. needs are those that are counted from. It is false if a part
// begins or ends within a literal.
func (r *Result) anchor(starts, ends []int32) (needs []int32, ok bool) {
	var spots []*spot
	for i := range r.Statements {
		for p := range r.Statements[i].Text.parts {
			at := &r.Statements[i].Text.parts[p]
			spots = append(spots, &at.from, &at.to)
		}
	}
	literals := make([]int32, len(spots)) // before each spot
	used := make([]bool, len(ends)+1)
	for i, at := range spots {
		n := sort.Search(len(ends), func(i int) bool { return ends[i] > at.behind })
		if n < len(starts) && starts[n] < at.behind {
			return nil, false
		}
		literals[i], used[n] = int32(n), true //nolint:gosec // texts are bounded
	}
	number := make([]int32, len(ends)+1)
	for n := 1; n < len(used); n++ {
		if used[n] {
			needs = append(needs, int32(n-1)) //nolint:gosec // as above
			number[n] = int32(len(needs))     //nolint:gosec // as above
		}
	}
	for i, at := range spots {
		if n := literals[i]; n > 0 {
			*at = spot{literal: number[n], behind: at.behind - ends[n-1]}
		}
	}
	r.place(needed(ends, needs))
	return needs, true
}

// needed picks the ends that templates count from.
func needed(ends, needs []int32) []int32 {
	picked := make([]int32, len(needs))
	for i, n := range needs {
		picked[i] = ends[n]
	}
	return picked
}

func (r *Result) place(ends []int32) {
	for i := range r.Statements {
		r.Statements[i].Text.ends = ends
	}
}

// of is the result of another text of the shape.
func (r *Result) of(sql string, ends, needs []int32) *Result {
	var room struct {
		Result
		one [1]Statement
	}
	other := &room.Result
	other.Statements = append(room.one[:0], r.Statements...)
	picked := needed(ends, needs)
	for i := range other.Statements {
		other.Statements[i].Text.sql, other.Statements[i].Text.ends = sql, picked
	}
	return other
}

// detached is a copy that holds no text of a client's.
func (r *Result) detached() *Result { return r.of("", nil, nil) }

// same reports whether two results are those of one shape.
func (r *Result) same(other *Result) bool {
	return reflect.DeepEqual(r.detached(), other.detached())
}
