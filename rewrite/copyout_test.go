package rewrite

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCopyOfATableCanBeInBinaryFormat(t *testing.T) {
	const query = "(SELECT id, customer_id FROM ONLY public.orders WHERE public.orders.tenant_id = '1'::pg_catalog.int4)"
	for sql, want := range map[string][2]string{ // as policies confine it, and as a rewrite does
		"COPY orders (id, customer_id) TO STDOUT":             {"COPY orders (id, customer_id) TO STDOUT (FORMAT binary)", "COPY " + query + " TO STDOUT (FORMAT binary)"},
		"COPY orders(id,customer_id) TO STDOUT ;":             {"COPY orders(id,customer_id) TO STDOUT (FORMAT binary) ;", "COPY " + query + " TO STDOUT (FORMAT binary) ;"},
		"copy orders (id, customer_id) to stdout with -- all": {"copy orders (id, customer_id) to stdout with (FORMAT binary) -- all", "copy " + query + " to stdout with (FORMAT binary) -- all"},
		"COPY orders (id, customer_id) TO STDOUT; /* ; */ -- ;": {
			"COPY orders (id, customer_id) TO STDOUT (FORMAT binary); /* ; */ -- ;", "COPY " + query + " TO STDOUT (FORMAT binary); /* ; */ -- ;",
		},
		"COPY orders (id) TO STDOUT NULL 'x'":       {},
		"COPY orders (id) TO STDOUT (FORMAT text)":  {},
		"COPY BINARY orders (id) TO STDOUT":         {},
		"COPY (SELECT id FROM orders) TO STDOUT":    {},
		"COPY (TABLE orders) TO STDOUT":             {},
		"COPY pg_catalog.pg_type TO STDOUT":         {},
		"COPY orders (id, customer_id) FROM STDIN":  {},
		"SELECT id, customer_id FROM orders":        {},
		"COPY orders (id, customer_id) TO STDOUT()": {},
	} {
		for i, confine := range []bool{false, true} {
			result, err := newRewriter(t, Config{Confine: confine}).Rewrite(Request{SQL: sql}, shop())
			if err != nil {
				require.Empty(t, want[i], "%s: %v", sql, err)
				continue
			}
			out := result.Statements[0].CopyOut
			if want[i] == "" {
				require.Nil(t, out, sql)
				continue
			}
			require.NotNil(t, out, sql)
			require.Equal(t, want[i], out.Binary.SQL("1"), sql)
			require.Equal(t, "SELECT * FROM ONLY public.orders", out.Select())
			require.Equal(t, []string{"id", "customer_id"}, out.Columns)
			require.False(t, out.All)
		}
	}
}
