package proxy

import (
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"tenantgate/auth"
	"tenantgate/internal/pgtest"
	"tenantgate/internal/pgtest/clinic"
)

func TestStatusPageShowsTenantsPoolsPinsAndRefusalsEscaped(t *testing.T) {
	const hostile = `<script>alert("1")</script>&amp;'`
	g := open(t, clinic.New(t, 1), RLS, func(cfg *Config) {
		var err error
		cfg.Auth, err = auth.New(auth.Config{
			Tenants: []auth.Tenant{{ID: hostile, Key: "1", Backend: "main"}},
			Logins:  []auth.Login{{User: "tenant1", Password: password, Tenants: []string{hostile}}},
		})
		require.NoError(t, err)
		cfg.Version = "1.2.3<"
	})
	conn := g.tenant("1")
	pgtest.Simple(t, conn, "TRUNCATE patients")
	pgtest.Must(t, conn, "BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT 1; COMMIT")
	html := g.page("/")
	for _, part := range []string{
		"tenantgate 1.2.3&lt;", "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;&amp;amp;&#39;", "statement.truncate", "cursors with hold",
		"<td>main</td><td>" + g.database + "</td>", `<th class="n">pool_size</th>`,
	} {
		require.Contains(t, html, part)
	}
	require.NotContains(t, html, "<script")
	require.NotContains(t, html, "http")
	require.NotContains(t, html, `<p class="warning">`)

	decoder := xml.NewDecoder(strings.NewReader(strings.Replace(html, "<!DOCTYPE html>", "", 1)))
	decoder.Strict, decoder.AutoClose, decoder.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	cells := 0
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == "td" {
			cells++
		}
	}
	require.GreaterOrEqual(t, cells, len(showTables["TENANTS"].columns)+len(showTables["POOLS"].columns)+len(showTables["PINS"].columns))

	answer := httptest.NewRecorder()
	g.server.HTTP().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Contains(t, answer.Header().Get("Content-Security-Policy"), "default-src 'none'")
	for path, status := range map[string]int{"/other": http.StatusNotFound, "/index.html": http.StatusNotFound} {
		answer := httptest.NewRecorder()
		g.server.HTTP().ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		require.Equal(t, status, answer.Code)
	}
}

func TestStatusPageIsLoudAboutObserving(t *testing.T) {
	var log journal
	require.Contains(t, open(t, clinic.New(t, 1), RLS, observing(&log)).page("/"), `<p class="warning">observe is on`)
}
