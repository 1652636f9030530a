package proxy

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strconv"
	"time"
)

// Values that a COPY brings as text go to the server in binary format where the
// text is plain: its numbers and dates cost the server less than to read the
// text again. Whatever else a type's input takes, or refuses, stays text.

// A binaryForm appends what a type's receive function reads as the same value as
// its input function reads the text. ok is false if that is not for it to say.
type binaryForm func(dst, text []byte) (form []byte, ok bool)

// binaryForms are those of PostgreSQL's own types, by OID (pg_type.dat); nil
// where all text is its own form.
var binaryForms = map[uint32]binaryForm{
	16:         boolForm,
	17:         byteaForm,
	20:         int8Form,
	21:         int2Form,
	23:         int4Form,
	25:         nil, // text
	oidJSON:    nil,
	700:        float4Form,
	701:        float8Form,
	oidChar:    nil,
	oidVarchar: nil,
	1082:       dateForm,
	1114:       timestampForm,
	1184:       timestamptzForm,
	oidNumeric: numericForm,
	2950:       uuidForm,
	oidJSONB:   jsonbForm,
}

const (
	oidJSON    = 114
	oidChar    = 1042 // char(n)
	oidVarchar = 1043
	oidNumeric = 1700
	oidJSONB   = 3802
)

// jsonbForm is a version and the text.
func jsonbForm(dst, text []byte) ([]byte, bool) { return append(append(dst, 1), text...), true }

func boolForm(dst, text []byte) ([]byte, bool) {
	switch string(text) {
	case "t", "true":
		return append(dst, 1), true
	case "f", "false":
		return append(dst, 0), true
	default:
		return dst, false
	}
}

func int2Form(dst, text []byte) ([]byte, bool) {
	n, ok := decimal(text)
	return binary.BigEndian.AppendUint16(dst, uint16(n)), ok && n == int64(int16(n)) //nolint:gosec // two's complement
}

func int4Form(dst, text []byte) ([]byte, bool) {
	n, ok := decimal(text)
	return binary.BigEndian.AppendUint32(dst, uint32(n)), ok && n == int64(int32(n)) //nolint:gosec // two's complement
}

func int8Form(dst, text []byte) ([]byte, bool) {
	n, ok := decimal(text)
	return binary.BigEndian.AppendUint64(dst, uint64(n)), ok //nolint:gosec // two's complement
}

// decimal reads an integer of at most 18 digits.
func decimal(text []byte) (n int64, ok bool) {
	digits := text
	if len(text) > 0 && text[0] == '-' {
		digits = text[1:]
	}
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	if len(digits) < len(text) {
		n = -n
	}
	return n, true
}

// byteaForm takes the hex format without white space.
func byteaForm(dst, text []byte) ([]byte, bool) {
	digits, ok := bytes.CutPrefix(text, []byte(`\x`))
	dst, err := hex.AppendDecode(dst, digits)
	return dst, ok && err == nil
}

func float4Form(dst, text []byte) ([]byte, bool) {
	f, ok := float(text, 32, 1e-37)
	return binary.BigEndian.AppendUint32(dst, math.Float32bits(float32(f))), ok
}

func float8Form(dst, text []byte) ([]byte, bool) {
	f, ok := float(text, 64, 1e-300)
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(f)), ok
}

// float reads a number in digits, with a point and an exponent or without. What
// is too large, or near 0, is for the server to refuse.
func float(text []byte, bits int, least float64) (f float64, ok bool) {
	if len(text) > 40 {
		return 0, false
	}
	for _, c := range text {
		if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(string(text), bits)
	return f, err == nil && (math.Abs(f) > least || f == 0 && !bytes.ContainsAny(text, "123456789"))
}

// numericForm takes numbers in digits, with a point between them or without:
// groups of four from the point on, behind how many there are, the power of
// 10,000 that the first one counts, the sign, and the digits behind the point.
func numericForm(dst, text []byte) ([]byte, bool) {
	const group, negative = 4, 0x4000
	digits, minus := bytes.CutPrefix(text, []byte{'-'})
	whole, fraction, point := bytes.Cut(digits, []byte{'.'})
	if len(text) > 100 || len(whole) == 0 || point && len(fraction) == 0 {
		return dst, false
	}
	wholes, fractions := (len(whole)+group-1)/group, (len(fraction)+group-1)/group
	sign := 0
	if minus {
		sign = negative
	}
	for _, n := range [...]int{wholes + fractions, wholes - 1, sign, len(fraction)} {
		dst = binary.BigEndian.AppendUint16(dst, uint16(n)) //nolint:gosec // of a short text
	}
	value, ok := uint16(0), true
	for i, c := range whole {
		value = 10*value + uint16(c-'0')
		ok = ok && c >= '0' && c <= '9'
		if (len(whole)-i)%group == 1 {
			dst, value = binary.BigEndian.AppendUint16(dst, value), 0
		}
	}
	for i := range fractions * group {
		if value *= 10; i < len(fraction) {
			value += uint16(fraction[i] - '0')
			ok = ok && fraction[i] >= '0' && fraction[i] <= '9'
		}
		if i%group == group-1 {
			dst, value = binary.BigEndian.AppendUint16(dst, value), 0
		}
	}
	return dst, ok
}

// postgresEpoch is 2000-01-01, from which PostgreSQL counts, in seconds of Unix.
const postgresEpoch = 946684800

const daySeconds = 24 * 60 * 60

func dateForm(dst, text []byte) ([]byte, bool) {
	seconds, ok := isoDate(text)
	return binary.BigEndian.AppendUint32(dst, uint32(seconds/daySeconds)), ok && len(text) == len(time.DateOnly) //nolint:gosec // two's complement
}

func timestampForm(dst, text []byte) ([]byte, bool) {
	micros, rest, ok := isoTimestamp(text)
	return binary.BigEndian.AppendUint64(dst, uint64(micros)), ok && len(rest) == 0 //nolint:gosec // two's complement
}

// timestamptzForm takes those with an offset in digits: others go by the
// session's time zone.
func timestamptzForm(dst, text []byte) ([]byte, bool) {
	micros, rest, ok := isoTimestamp(text)
	offset, zoned := isoOffset(rest)
	return binary.BigEndian.AppendUint64(dst, uint64(micros-offset*1e6)), ok && zoned //nolint:gosec // two's complement
}

// isoDate reads the date that text begins with, YYYY-MM-DD, as seconds from
// 2000-01-01. Whatever DateStyle is, four digits that come first are the year.
func isoDate(text []byte) (seconds int64, ok bool) {
	if len(text) < len(time.DateOnly) || text[4] != '-' || text[7] != '-' {
		return 0, false
	}
	century, ok1 := twoDigits(text)
	year, ok2 := twoDigits(text[2:])
	month, ok3 := twoDigits(text[5:])
	day, ok4 := twoDigits(text[8:])
	if year += 100 * century; !ok1 || !ok2 || !ok3 || !ok4 || year == 0 || month < 1 || month > 12 || day < 1 {
		return 0, false
	}
	date := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return date.Unix() - postgresEpoch, date.Day() == day // the 30th of February is another day
}

// isoTimestamp reads YYYY-MM-DD HH:MM:SS with up to six digits of a second, as
// microseconds from 2000-01-01, and returns what is behind.
func isoTimestamp(text []byte) (micros int64, rest []byte, ok bool) {
	date, ok := isoDate(text)
	if !ok || len(text) < len(time.DateTime) || text[10] != ' ' || text[13] != ':' || text[16] != ':' {
		return 0, nil, false
	}
	hour, ok1 := twoDigits(text[11:])
	minute, ok2 := twoDigits(text[14:])
	second, ok3 := twoDigits(text[17:])
	if !ok1 || !ok2 || !ok3 || hour > 23 || minute > 59 || second > 59 {
		return 0, nil, false
	}
	micros = 1e6 * (date + int64(hour*60*60+minute*60+second))
	rest = text[19:]
	if len(rest) == 0 || rest[0] != '.' {
		return micros, rest, true
	}
	rest = rest[1:]
	unit := int64(1e6)
	for len(rest) > 0 && rest[0] >= '0' && rest[0] <= '9' {
		if unit /= 10; unit == 0 { // the server rounds
			return 0, nil, false
		}
		micros += unit * int64(rest[0]-'0')
		rest = rest[1:]
	}
	return micros, rest, unit < 1e6
}

// isoOffset reads +HH or +HH:MM, or with minus, as seconds east of Greenwich.
func isoOffset(text []byte) (seconds int64, ok bool) {
	if len(text) != 3 && (len(text) != 6 || text[3] != ':') || text[0] != '+' && text[0] != '-' {
		return 0, false
	}
	hours, ok := twoDigits(text[1:])
	minutes, okMinutes := 0, true
	if len(text) == 6 {
		minutes, okMinutes = twoDigits(text[4:])
	}
	if !ok || !okMinutes || hours > 14 || minutes > 59 {
		return 0, false
	}
	if seconds = int64(hours*60*60 + minutes*60); text[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

// twoDigits reads the two that text begins with.
func twoDigits(text []byte) (n int, ok bool) {
	high, low := text[0]-'0', text[1]-'0'
	return int(high)*10 + int(low), high <= 9 && low <= 9
}

// uuidForm takes 32 digits with hyphens behind the 8th, 12th, 16th and 20th.
func uuidForm(dst, text []byte) ([]byte, bool) {
	if len(text) != 36 {
		return dst, false
	}
	for i := 0; i < len(text); i += 2 {
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if text[i] != '-' {
				return dst, false
			}
			i++
		}
		high, low := hexDigit(text[i]), hexDigit(text[i+1])
		if high < 0 || low < 0 {
			return dst, false
		}
		dst = append(dst, byte(high<<4|low))
	}
	return dst, true
}
