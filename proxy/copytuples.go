package proxy

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// Rows in COPY's binary format
// (https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format").

// tuplesHead and tuplesEnd are what comes before them and behind them.
var (
	tuplesHead = append(append([]byte{}, binarySignature...), 0, 0, 0, 0, 0, 0, 0, 0)
	tuplesEnd  = []byte{0xff, 0xff}
)

// appendTuple appends a row: fields in their forms, and what else is ready. ok is
// false if one has none.
func appendTuple(dst []byte, fields [][]byte, forms []binaryForm, ready []byte) (tuple []byte, ok bool) {
	count := len(fields)
	if len(ready) > 0 {
		count++
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(count)) //nolint:gosec // as many as a table has
	for i, field := range fields {
		if dst, ok = appendTupleField(dst, field, forms[i]); !ok {
			return dst, false
		}
	}
	return append(dst, ready...), true
}

// appendTupleField appends one field; nil is NULL.
func appendTupleField(dst, field []byte, form binaryForm) (tuple []byte, ok bool) {
	switch {
	case field == nil:
		return appendNull(dst), true
	case form == nil:
		return appendValue(dst, field), true
	}
	at := len(dst)
	if dst, ok = form(append(dst, 0, 0, 0, 0), field); !ok {
		return dst, false
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4)) //nolint:gosec // less than 1 GiB
	return dst, true
}

// typmodHead is what type modifiers of lengths and precisions have on top (VARHDRSZ).
const typmodHead = 4

// tupleForm is the form of values of a type with a type modifier, which is -1 if
// there is none. What has one the server takes: in binary format its errors show no
// value. ok is false if the type has none.
func tupleForm(oid uint32, modifier int32) (form binaryForm, ok bool) {
	form, ok = binaryForms[oid]
	limit := int(modifier) - typmodHead
	switch oid {
	case oidJSON, oidJSONB: // only the server knows whether it is
		return nil, false
	case oidChar, oidVarchar:
		if limit >= 0 {
			form = func(dst, text []byte) ([]byte, bool) {
				return append(dst, text...), len(text) <= limit || utf8.RuneCount(text) <= limit
			}
		}
	case oidNumeric:
		if limit >= 0 {
			form = limitedNumericForm(limit>>16, limit&0xffff)
		}
	}
	return form, ok
}

// limitedNumericForm is of numbers of so many digits at most, so many of them behind
// the point, to which the server rounds.
func limitedNumericForm(precision, scale int) binaryForm {
	return func(dst, text []byte) ([]byte, bool) {
		whole, fraction, _ := bytes.Cut(bytes.TrimPrefix(text, []byte{'-'}), []byte{'.'})
		whole = bytes.TrimLeft(whole, "0")
		dst, ok := numericForm(dst, text)
		room := precision - scale - len(whole)
		return dst, ok && (room > 0 || room == 0 && len(fraction) <= scale)
	}
}
