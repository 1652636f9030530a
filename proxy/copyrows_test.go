package proxy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/rewrite"
)

// rowsOf reads a stream that arrives in pieces of a size.
func rowsOf(in *rewrite.CopyIn, data []byte, size int) (rows [][]string, err error) {
	stream := copyStream{reader: newRowReader(in)}
	row := func(fields [][]byte) error {
		texts := make([]string, len(fields))
		for i, f := range fields {
			if f == nil {
				texts[i] = "NULL"
			} else {
				texts[i] = "=" + string(f)
			}
		}
		rows = append(rows, texts)
		return nil
	}
	for len(data) > 0 {
		n := min(size, len(data))
		if err := stream.feed(data[:n], false, row); err != nil {
			return rows, err
		}
		data = data[n:]
	}
	return rows, stream.feed(nil, true, row)
}

func TestEndMarkerIsAloneSincePostgreSQL18(t *testing.T) {
	in := &rewrite.CopyIn{Delimiter: '\t', Null: `\N`, Columns: make([]rewrite.CopyColumn, 2)}
	for _, in.EndMarker = range []bool{true, false} {
		rows, err := rowsOf(in, []byte("a\tb\n\\.\nc\n"), 1)
		require.NoError(t, err)
		require.Equal(t, [][]string{{"=a", "=b"}}, rows)
	}
	_, err := rowsOf(in, []byte("a\t\\.\n"), 1)
	require.ErrorContains(t, err, "end-of-copy marker is not alone on its line")
	in.EndMarker = true
	rows, err := rowsOf(in, []byte("a\t\\.\n"), 1)
	require.NoError(t, err)
	require.Equal(t, [][]string{{"=a", "="}}, rows)
}

// FuzzCopyRows feeds any bytes as any format: however they are cut, the rows
// are the same, and no row has another number of fields than there are columns.
func FuzzCopyRows(f *testing.F) {
	f.Add([]byte("a\tb\nc\t\\N\n\\.\n"), byte(0))
	f.Add([]byte("a\tb\r\nc\\\r\n\t\\x41\\101\\\\\r\n"), byte(0))
	f.Add([]byte("a,\"b\n\"\"\"\r\nc,d"), byte(1))
	f.Add([]byte("a,b\r\\.\rc"), byte(1))
	f.Add([]byte("a\tb\r\n\\.\r\nx"), byte(0))
	f.Add([]byte("\\.\n\"a,\\"), byte(3))
	f.Add([]byte(binaryCopy("x", "yz")), byte(2))
	f.Fuzz(func(t *testing.T, data []byte, format byte) {
		in := &rewrite.CopyIn{EndMarker: format < 128, Delimiter: '\t', Null: `\N`, Quote: '"', Escape: '"', Columns: make([]rewrite.CopyColumn, 2)}
		switch format % 4 {
		case 1:
			in.Format, in.Delimiter, in.Null = rewrite.CopyCSV, ',', ""
		case 2:
			in.Format = rewrite.CopyBinary
		case 3:
			in.Format, in.Delimiter, in.Null, in.Escape, in.Header = rewrite.CopyCSV, ';', "nil", '\\', rewrite.HeaderSkip
		}
		whole, wholeErr := rowsOf(in, data, len(data)+1)
		for _, row := range whole {
			require.Len(t, row, 2)
		}
		for _, size := range []int{1, 3} {
			pieces, err := rowsOf(in, data, size)
			require.Equal(t, wholeErr == nil, err == nil, "%v, %v", wholeErr, err)
			require.Equal(t, whole, pieces)
		}
	})
}
