package proxy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/rewrite"
)

// BenchmarkRowsOfACopy reads rows and writes them anew.
func BenchmarkRowsOfACopy(b *testing.B) {
	formats := map[string]*rewrite.CopyIn{
		"text": {Format: rewrite.CopyText, Delimiter: '\t', Null: `\N`, EndMarker: true},
		"csv":  {Format: rewrite.CopyCSV, Delimiter: ',', Quote: '"', Escape: '"', EndMarker: true},
	}
	for name, in := range formats {
		b.Run(name, func(b *testing.B) {
			for _, column := range []string{"id", "placed", "amount", "note"} {
				in.Columns = append(in.Columns, rewrite.CopyColumn{Name: column})
			}
			var data []byte
			for i := range 600 {
				data = fmt.Appendf(data, "%d%c2026-01-01%c%d.25%c%s\n", i, in.Delimiter, in.Delimiter, i, in.Delimiter, strings.Repeat("0123456789abcdef", 6))
			}
			stream := copyStream{reader: newRowReader(in)}
			var out []byte
			row := func(fields [][]byte) error {
				for _, f := range fields {
					out = appendCopyText(out, f)
				}
				return nil
			}
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				out = out[:0]
				require.NoError(b, stream.feed(data, false, row))
			}
		})
	}
}
