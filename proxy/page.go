package proxy

import (
	"bytes"
	"html/template"
	"net/http"
)

// pageTables are what the status page shows, as the console does.
var pageTables = []string{"TENANTS", "POOLS", "PINS", "REFUSALS"}

// statusPage escapes what it shows: names come from clients.
var statusPage = template.Must(template.New("status").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>tenantgate</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 2rem; color: #222; background: #fff }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
table { border-collapse: collapse } th, td { padding: .2rem .8rem; border-bottom: 1px solid #ddd; text-align: left }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums }
.warning { background: #b00020; color: #fff; padding: .6rem 1rem; font-weight: bold }
</style>
</head>
<body>
<h1>tenantgate {{.Version}}</h1>
{{if .Warning}}<p class="warning">{{.Warning}}</p>{{end}}
<p>enforce: {{.Enforce}}. Metrics for Prometheus are at <a href="/metrics">/metrics</a>; the console shows more.</p>
{{range .Tables}}<h2>{{.Name}}</h2>
{{$columns := .Columns}}<table>
<tr>{{range .Columns}}<th{{if .Number}} class="n"{{end}}>{{.Name}}</th>{{end}}</tr>
{{range .Rows}}<tr>{{range $i, $value := .}}<td{{if (index $columns $i).Number}} class="n"{{end}}>{{if ne $value nil}}{{$value}}{{end}}</td>{{end}}</tr>
{{else}}<tr><td colspan="{{len .Columns}}">none</td></tr>
{{end}}</table>
{{end}}</body>
</html>
`))

// A pageColumn and a pageTable are what the template may read.
type pageColumn struct {
	Name   string
	Number bool
}

type pageTable struct {
	Name    string
	Columns []pageColumn
	Rows    []row
}

// status answers with the status page.
func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	page := struct {
		Version, Enforce, Warning string
		Tables                    []pageTable
	}{Version: s.cfg.Version, Enforce: s.cfg.Enforce.String()}
	if s.cfg.Observe {
		page.Warning = observeWarning
	}
	for _, name := range pageTables {
		table := pageTable{Name: name, Rows: showTables[name].rows(s)}
		for _, c := range showTables[name].columns {
			table.Columns = append(table.Columns, pageColumn{c.name, c.number})
		}
		page.Tables = append(page.Tables, table)
	}
	var html bytes.Buffer
	if err := statusPage.Execute(&html, page); err != nil {
		s.log.Error().Err(err).Msg("status page cannot be made")
		writeText(w, http.StatusInternalServerError, "internal error\n")
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	_, _ = html.WriteTo(w)
}
