package rewrite

import (
	"reflect"
	"sync"

	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// equalTrees reports whether two parse trees are the same but for the places
// in the text that they come from. It looks at every exported field of every
// node, whatever its type, and compares constants as well.
//
// A tree that was decoded from the parser's answer is at most as deep as the
// protobuf decoder lets it be, so the recursion is bounded.
func equalTrees(a, b *pg_query.Node) bool {
	return equalValues(reflect.ValueOf(a), reflect.ValueOf(b))
}

func equalValues(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return equalStructs(a.Elem(), b.Elem())
	case reflect.Interface:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		a, b = a.Elem(), b.Elem()
		return a.Type() == b.Type() && equalValues(a, b)
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !equalValues(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.String:
		return a.String() == b.String()
	case reflect.Bool:
		return a.Bool() == b.Bool()
	case reflect.Int32, reflect.Int64:
		return a.Int() == b.Int()
	case reflect.Uint32, reflect.Uint64:
		return a.Uint() == b.Uint()
	default:
		return false // no node has such a field
	}
}

func equalStructs(a, b reflect.Value) bool {
	for _, i := range comparedFields(a.Type()) {
		if !equalValues(a.Field(i), b.Field(i)) {
			return false
		}
	}
	return true
}

// fieldsOf holds what comparedFields found out: reflect.Type to []int.
var fieldsOf sync.Map

// comparedFields are the fields of a node's struct that mean something: not
// protobuf's own, and not places in the text.
func comparedFields(t reflect.Type) []int {
	if known, ok := fieldsOf.Load(t); ok {
		return known.([]int)
	}
	var fields []int
	for i := range t.NumField() {
		f := t.Field(i)
		if f.IsExported() && f.Name != "Location" && f.Name != "StmtLocation" && f.Name != "StmtLen" {
			fields = append(fields, i)
		}
	}
	fieldsOf.Store(t, fields)
	return fields
}

// treeDepth is how many structs lie within each other at most.
func treeDepth(n *pg_query.Node) int {
	return valueDepth(reflect.ValueOf(n))
}

func valueDepth(v reflect.Value) int {
	depth := 0
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return 0
		}
		return valueDepth(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			depth = max(depth, valueDepth(v.Index(i)))
		}
	case reflect.Struct:
		for _, i := range comparedFields(v.Type()) {
			depth = max(depth, valueDepth(v.Field(i)))
		}
		depth++
	default:
	}
	return depth
}
