package rewrite

import (
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"strings"

	"tenantgate/rewrite/catalog"
)

// A Check is a value that a statement writes into a tenant column: it must be
// the key of whoever runs the statement. Or it is the pattern of a LIKE that
// runs on rows of others, too: it must not fail there.
type Check struct {
	table  string
	family family
	param  int    // a parameter, from 1; 0 for a constant
	text   bool   // the parameter has a type of text: binary format is the text itself
	null   bool   // the constant is NULL
	value  string // of the constant
	like   bool   // a parameter that is a pattern
}

// A family is the types whose values compare, and are cast, in one way.
type family uint8

const (
	familyExact   family = iota // the same text is the same value; others are taken to differ
	familyInteger               // smallint, integer, bigint
	familyText                  // text, character varying without length
	familyUUID
)

// Object ids of pg_type that mean the same in every database.
const (
	oidChar      = 18
	oidName      = 19
	oidInt8      = 20
	oidRegclass  = 2205
	oidInt2      = 21
	oidInt4      = 23
	oidText      = 25
	oidTextArray = 1009
	oidUnknown   = 705
	oidVarchar   = 1043
	oidUUID      = 2950
)

// familyOf returns the family of a tenant column's type.
func familyOf(t catalog.Type) family {
	switch t.OID {
	case oidInt2, oidInt4, oidInt8:
		return familyInteger
	case oidText, oidVarchar:
		return familyText
	case oidUUID:
		return familyUUID
	default:
		return familyExact
	}
}

// CheckKey reports whether the constants that the statement writes into tenant
// columns equal the key; else the error is a *WrongTenantError.
func (s *Statement) CheckKey(key string) error {
	for i := range s.Checks {
		c := &s.Checks[i]
		if c.param == 0 && (c.null || !c.family.equal(c.value, key)) {
			return &WrongTenantError{Table: c.table}
		}
	}
	return nil
}

// CheckBind does the same for the client's parameters, and looks at patterns.
// param returns the value of parameter i, counted from 0, as the client sent it.
func (s *Statement) CheckBind(key string, param func(i int) (value []byte, binary bool, null bool)) error {
	for i := range s.Checks {
		c := &s.Checks[i]
		if c.param == 0 {
			continue
		}
		value, binary, null := param(c.param - 1)
		if c.like {
			if !null && !wholePattern(string(value)) {
				return &DefinitionError{Problem: InvalidEscape, Message: "LIKE pattern must not end with escape character"}
			}
			continue
		}
		if null {
			return &WrongTenantError{Table: c.table}
		}
		text, ok := string(value), true
		if binary && !c.text {
			text, ok = c.family.decode(value)
		}
		if !ok || !c.family.equal(text, key) {
			return &WrongTenantError{Table: c.table}
		}
	}
	return nil
}

// equal reports whether value, as the server would read it, is the key.
func (f family) equal(value, key string) bool {
	switch f {
	case familyInteger:
		v, ok := integer(value)
		k, valid := integer(key)
		return ok && valid && v == k
	case familyUUID:
		v, ok := uuid(value)
		k, valid := uuid(key)
		return ok && valid && v == k
	default:
		return value == key
	}
}

// decode turns a value in binary format into text.
func (f family) decode(value []byte) (string, bool) {
	switch {
	case f == familyInteger && len(value) == 2:
		return strconv.Itoa(int(int16(binary.BigEndian.Uint16(value)))), true //nolint:gosec // two's complement is meant
	case f == familyInteger && len(value) == 4:
		return strconv.Itoa(int(int32(binary.BigEndian.Uint32(value)))), true //nolint:gosec // as above
	case f == familyInteger && len(value) == 8:
		return strconv.FormatInt(int64(binary.BigEndian.Uint64(value)), 10), true //nolint:gosec // as above
	case f == familyUUID && len(value) == 16:
		return hex.EncodeToString(value), true
	case f == familyText:
		return string(value), true
	default:
		return "", false
	}
}

// integer reads what every version of the server reads as a whole number.
func integer(s string) (int64, bool) {
	v, err := strconv.ParseInt(strings.Trim(s, " \t\n\v\f\r"), 10, 64)
	return v, err == nil
}

// uuid brings a uuid to 32 digits in lower case.
func uuid(s string) (string, bool) {
	if len(s) >= 2 && s[0] == '{' && s[len(s)-1] == '}' {
		s = s[1 : len(s)-1]
	}
	s = strings.ToLower(strings.ReplaceAll(s, "-", ""))
	if len(s) != 32 || strings.Trim(s, "0123456789abcdef") != "" {
		return "", false
	}
	return s, true
}
