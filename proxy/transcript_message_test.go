package proxy

import (
	"encoding/binary"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// encodeWire turns a line's messages into bytes; ready counts those that the
// server answers with ReadyForQuery.
func encodeWire(t *testing.T, line string) (bytes []byte, ready int) {
	for _, words := range wireWords(t, line) {
		name, args := words[0], words[1:]
		arg := func(i int) string {
			require.Less(t, i, len(args), line)
			text := unquote(t, args[i])
			return text
		}
		switch name {
		case "Query":
			bytes = appendQuery(bytes, arg(0))
			ready++
		case "Parse":
			var oids []uint32
			for _, a := range args[2:] {
				oid, err := strconv.ParseUint(a, 10, 32)
				require.NoError(t, err, line)
				oids = append(oids, uint32(oid))
			}
			bytes = appendParse(bytes, arg(0), arg(1), oids)
		case "Bind":
			bytes = appendWireBind(t, bytes, arg(0), arg(1), args[2:])
		case "Describe", "Close":
			bytes = appendTarget(bytes, name[0], args[0][0], arg(1))
		case "Execute":
			rows := uint64(0)
			if len(args) > 1 {
				var err error
				rows, err = strconv.ParseUint(args[1], 10, 32)
				require.NoError(t, err, line)
			}
			bytes = appendExecute(bytes, arg(0), uint32(rows))
		case "Sync":
			bytes = appendBare(bytes, 'S')
			ready++
		case "Flush":
			bytes = appendBare(bytes, 'H')
		case "Terminate":
			bytes = appendBare(bytes, 'X')
			ready++ // or the end
		case "CopyData":
			bytes = appendWire(bytes, 'd', arg(0))
		case "CopyDone":
			bytes = appendBare(bytes, 'c')
		case "CopyFail":
			bytes = appendWire(bytes, 'f', arg(0)+"\x00")
		case "Message": // of any type
			bytes = appendWire(bytes, args[0][0], arg(1))
		case "Ready": // one more than the messages tell
			ready++
		default:
			require.Fail(t, "no such message", line)
		}
	}
	return bytes, ready
}

func appendWire(dst []byte, typ byte, body string) []byte {
	dst, at := beginMessage(dst, typ)
	return finishMessage(append(dst, body...), at)
}

// appendWireBind appends a Bind: parameters are "text", b"binary" or null;
// results=0,1 are formats.
func appendWireBind(t *testing.T, dst []byte, portal, statement string, args []string) []byte {
	var formats, results []uint16
	var values [][]byte
	for _, a := range args {
		if list, ok := strings.CutPrefix(a, "results="); ok {
			for _, f := range strings.Split(list, ",") {
				n, err := strconv.ParseUint(f, 10, 16)
				require.NoError(t, err)
				results = append(results, uint16(n))
			}
			continue
		}
		format := uint16(0)
		var value []byte
		switch {
		case a == "null":
		case strings.HasPrefix(a, "b"):
			format, value = 1, []byte(unquote(t, a[1:]))
		default:
			value = []byte(unquote(t, a))
		}
		formats, values = append(formats, format), append(values, value)
	}
	dst, at := beginMessage(dst, 'B')
	dst = appendCString(appendCString(dst, portal), statement)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(formats)))
	for _, f := range formats {
		dst = binary.BigEndian.AppendUint16(dst, f)
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(values)))
	for _, v := range values {
		if v == nil {
			dst = binary.BigEndian.AppendUint32(dst, 0xffffffff)
			continue
		}
		dst = append(binary.BigEndian.AppendUint32(dst, uint32(len(v))), v...)
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(results)))
	for _, f := range results {
		dst = binary.BigEndian.AppendUint16(dst, f)
	}
	return finishMessage(dst, at)
}

func unquote(t *testing.T, word string) string {
	text, err := strconv.Unquote(word)
	require.NoError(t, err, word)
	return text
}

// wireWords splits a line at semicolons into messages, and these at blanks;
// neither counts within quotes.
func wireWords(t *testing.T, line string) [][]string {
	var messages [][]string
	var words []string
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimLeft(line, " ") {
		if line[0] == ';' {
			messages, words, line = append(messages, words), nil, line[1:]
			continue
		}
		end := 0
		for end < len(line) && line[end] != ' ' && line[end] != ';' {
			if line[end] != '"' {
				end++
				continue
			}
			quoted, err := strconv.QuotedPrefix(line[end:])
			require.NoError(t, err, line)
			end += len(quoted)
		}
		words, line = append(words, line[:end]), line[end:]
	}
	return append(messages, words)
}
