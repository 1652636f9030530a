package proxy

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Values that COPY TO gives in binary format, as COPY writes them in text format.
// The types are those of which that is certain: for floats, times of day or arrays
// the server has rules that are not repeated here.

// A textForm appends what COPY writes for a value, given as the type's send function
// wrote it. ok is false if it is none.
type textForm func(dst, value []byte) (text []byte, ok bool)

const oidTimestamptz = 1184

// textForms are those of PostgreSQL's own types, by OID, where dates are in ISO
// format.
var textForms = map[uint32]textForm{
	16:             boolText,
	20:             int8Text,
	21:             int2Text,
	23:             int4Text,
	25:             textText,
	oidJSON:        textText,
	oidChar:        textText,
	oidVarchar:     textText,
	1082:           dateText,
	1114:           timestampText,
	oidTimestamptz: timestamptzText,
	oidNumeric:     numericText,
	2950:           uuidText,
	oidJSONB:       jsonbText,
}

// textFormsOf are the forms of the columns of a COPY, if all have one under these
// settings.
func textFormsOf(types []uint32, timeZone, dateStyle string) []textForm {
	if !strings.HasPrefix(dateStyle, "ISO,") {
		return nil
	}
	forms := make([]textForm, len(types))
	for i, oid := range types {
		forms[i] = textForms[oid]
		if forms[i] == nil || oid == oidTimestamptz && timeZone != "UTC" && timeZone != "Etc/UTC" && timeZone != "GMT" {
			return nil
		}
	}
	return forms
}

func boolText(dst, value []byte) ([]byte, bool) {
	if len(value) != 1 {
		return dst, false
	}
	if value[0] == 0 {
		return append(dst, 'f'), true
	}
	return append(dst, 't'), true
}

func int2Text(dst, value []byte) ([]byte, bool) {
	if len(value) != 2 {
		return dst, false
	}
	return strconv.AppendInt(dst, int64(int16(binary.BigEndian.Uint16(value))), 10), true //nolint:gosec // two's complement
}

func int4Text(dst, value []byte) ([]byte, bool) {
	if len(value) != 4 {
		return dst, false
	}
	return strconv.AppendInt(dst, int64(int32(binary.BigEndian.Uint32(value))), 10), true //nolint:gosec // two's complement
}

func int8Text(dst, value []byte) ([]byte, bool) {
	if len(value) != 8 {
		return dst, false
	}
	return strconv.AppendInt(dst, int64(binary.BigEndian.Uint64(value)), 10), true //nolint:gosec // two's complement
}

// jsonbText is of a version and the text.
func jsonbText(dst, value []byte) ([]byte, bool) {
	if len(value) == 0 || value[0] != 1 {
		return dst, false
	}
	return textText(dst, value[1:])
}

// textText writes control characters that have a letter, and backslashes, with a
// backslash.
func textText(dst, value []byte) ([]byte, bool) {
	for {
		n := unplain(value)
		dst = append(dst, value[:n]...)
		if n == len(value) {
			return dst, true
		}
		switch c := value[n]; c {
		case '\b', '\t', '\n', '\v', '\f', '\r':
			dst = append(dst, '\\', "btnvfr"[c-'\b'])
		case '\\':
			dst = append(dst, '\\', '\\')
		default:
			dst = append(dst, c)
		}
		value = value[n+1:]
	}
}

// unplain is where the first control character or backslash is in b, or the length
// of b.
func unplain(b []byte) int {
	i := 0
	for ; len(b)-i >= 8; i += 8 {
		word := binary.LittleEndian.Uint64(b[i:])
		if found := ((word-' '*lowBits)&^word | zeros(word^'\\'*lowBits)) & highBits; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(b); i++ {
		if b[i] < ' ' || b[i] == '\\' {
			break
		}
	}
	return i
}

func uuidText(dst, value []byte) ([]byte, bool) {
	if len(value) != 16 {
		return dst, false
	}
	for i, b := range value {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst = append(dst, '-')
		}
		dst = append(dst, "0123456789abcdef"[b>>4], "0123456789abcdef"[b&15])
	}
	return dst, true
}

func dateText(dst, value []byte) ([]byte, bool) {
	if len(value) != 4 {
		return dst, false
	}
	switch days := int32(binary.BigEndian.Uint32(value)); days { //nolint:gosec // two's complement
	case math.MaxInt32:
		return append(dst, "infinity"...), true
	case math.MinInt32:
		return append(dst, "-infinity"...), true
	default:
		dst, before := appendDate(dst, int(days))
		return append(dst, before...), true
	}
}

func timestampText(dst, value []byte) ([]byte, bool) { return appendTimestamp(dst, value, "") }

// timestamptzText is of those in UTC.
func timestamptzText(dst, value []byte) ([]byte, bool) { return appendTimestamp(dst, value, "+00") }

// appendTimestamp appends the time that microseconds from 2000-01-01 on are.
func appendTimestamp(dst, value []byte, zone string) ([]byte, bool) {
	if len(value) != 8 {
		return dst, false
	}
	micros := int64(binary.BigEndian.Uint64(value)) //nolint:gosec // two's complement
	switch micros {
	case math.MaxInt64:
		return append(dst, "infinity"...), true
	case math.MinInt64:
		return append(dst, "-infinity"...), true
	}
	const second = 1_000_000
	days, rest := micros/(daySeconds*second), micros%(daySeconds*second)
	if rest < 0 {
		days, rest = days-1, rest+daySeconds*second
	}
	dst, before := appendDate(dst, int(days))
	seconds, fraction := int(rest/second), int(rest%second)
	dst = appendPair(append(dst, ' '), seconds/3600)
	dst = appendPair(append(dst, ':'), seconds/60%60)
	dst = appendPair(append(dst, ':'), seconds%60)
	if fraction > 0 {
		dst = append(dst, '.')
		for unit := second / 10; fraction > 0; unit /= 10 {
			dst = append(dst, byte('0'+fraction/unit))
			fraction %= unit
		}
	}
	return append(append(dst, zone...), before...), true
}

// appendDate appends the date so many days from 2000-01-01 on, and returns what
// comes last: the era, of dates before the first year
// ("chrono-Compatible Low-Level Date Algorithms", Howard Hinnant).
func appendDate(dst []byte, days int) (text []byte, before string) {
	const (
		toMarch = 730_425 // from 0000-03-01 to 2000-01-01
		cycle   = 146_097 // days of 400 years
	)
	days += toMarch
	era := days / cycle
	if days < 0 {
		era = (days - cycle + 1) / cycle
	}
	day := days - era*cycle
	year := (day - day/1460 + day/36524 - day/146096) / 365
	day -= 365*year + year/4 - year/100
	month := (5*day + 2) / 153 // from March on
	day -= (153*month + 2) / 5
	if year += 400 * era; month < 10 {
		month += 3
	} else {
		month -= 9
		year++
	}
	if year <= 0 {
		year, before = 1-year, " BC"
	}
	if year < 10_000 {
		dst = appendGroup(dst, year)
	} else {
		dst = strconv.AppendInt(dst, int64(year), 10)
	}
	dst = appendPair(append(dst, '-'), month)
	return appendPair(append(dst, '-'), day+1), before
}

// appendPair appends two digits.
func appendPair(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

// appendGroup appends four.
func appendGroup(dst []byte, n int) []byte {
	return append(dst, byte('0'+n/1000), byte('0'+n/100%10), byte('0'+n/10%10), byte('0'+n%10))
}

// numericText is of what numericForm writes.
func numericText(dst, value []byte) ([]byte, bool) {
	const head, group, negative = 8, 4, 0x4000
	if len(value) < head {
		return dst, false
	}
	count, weight := int(binary.BigEndian.Uint16(value)), int(int16(binary.BigEndian.Uint16(value[2:]))) //nolint:gosec // two's complement
	sign, scale := binary.BigEndian.Uint16(value[4:]), int(binary.BigEndian.Uint16(value[6:]))
	digits := value[head:]
	switch sign {
	case 0:
	case negative:
		dst = append(dst, '-')
	case 0xc000:
		return append(dst, "NaN"...), true
	case 0xd000:
		return append(dst, "Infinity"...), true
	case 0xf000:
		return append(dst, "-Infinity"...), true
	default:
		return dst, false
	}
	if len(digits) != 2*count {
		return dst, false
	}
	at := func(i int) int { // the digits of 10,000 to the power of weight-i
		if i < 0 || i >= count {
			return 0
		}
		return int(binary.BigEndian.Uint16(digits[2*i:]))
	}
	dst = strconv.AppendInt(dst, int64(at(min(weight, 0))), 10)
	for i := 1; i <= weight; i++ {
		dst = appendGroup(dst, at(i))
	}
	if scale == 0 {
		return dst, true
	}
	dst = append(dst, '.')
	end := len(dst) + scale
	for i := weight + 1; len(dst) < end; i++ {
		dst = appendGroup(dst, at(i))
	}
	return dst[:end], true
}
