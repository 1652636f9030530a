package sqlgen

import (
	"slices"
	"strings"
)

// A kind is a set of types that expressions may mix.
type kind byte

const (
	integer   kind = 'i'
	number    kind = 'n' // numeric
	text      kind = 's'
	boolean   kind = 'b'
	date      kind = 'd'
	timestamp kind = 't'
	document  kind = 'j' // jsonb
	texts     kind = 'a' // text[]
	integers  kind = 'e' // int[]
	uuid      kind = 'u'
	status    kind = 'o' // an enum
	other     kind = 'x' // what is selected and compared to NULL alone
)

// A column is one of a table's or query's.
type column struct {
	name string
	kind kind
	role string // what a statement that writes must know of it
}

// A relation is a table of the clinic with its columns in their order.
type relation struct {
	name    string
	columns []column
	key     string // the number that is unique within the tenant
}

// roles: k part of the key; T tenant column; f refers to another table; g
// generated; r required and free; q required and restricted; v restricted.
var relations = []relation{
	table("patients", "id", "tenant_id:i:T id:i:k name:s:r born:d: email:s:v country:s:v balance:n: tags:a:"),
	table("practitioners", "id", "id:i:k name:s:r speciality:s: supervisor:i:f tenant_id:i:T active:b:"),
	table("appointments", "id", "id:i:k tenant_id:i:T patient_id:i:q practitioner_id:i:f starts:t:r minutes:i:v status:o: room:s:v"),
	table("invoices", "id", "id:i:k tenant_id:i:T number:s:q patient_id:i:q issued:d:r net:n:q vat:n:v gross:n:g paid:b: revision:i:g"),
	table("invoice_lines", "", "invoice_id:i:q line:i:k tenant_id:i:T item:s:r quantity:n:v price:n:q"),
	table("notes", "", "id:u:k tenant_id:i:T patient_id:i:q author:i:f body:s:r pinned:b:"),
	table("documents", "id", "tenant_id:i:T id:i:k title:s:r meta:j: pages:e: content:x:g"),
	table("events", "id", "id:i:k at:d:q kind:s:r payload:j: tenant_id:i:T"),
	table("legacy_codes", "", "code:s:k tenant_id:s:T meaning:s:"),
	table("settings", "", "name:s:k tenant_id:i:T value:s:"),
	table("log_lines", "", "tenant_id:i:T level:s:r line:s:r"),
	table(`"Order"`, `"Id"`, `"Id":i:k tenant_id:i:T "user":s: "Total_Amount":n:`),
	table("billing.payments", "id", "id:i:k invoice_id:i:f received:d:r amount:n:q method:x: tenant_id:i:T"),
	table("feature_flags", "", "name:s:k enabled:b: note:s:"),
	table("tenants", "id", "id:i:T slug:s:q name:s:r country:s:q since:d:r"),
	table("countries", "", "code:s:k name:s:r vat:n:r"),
}

// views are the clinic's views that show one tenant's rows.
var views = []relation{
	table("open_invoices", "id", "tenant_id:i:T id:i:k number:s: patient:s: gross:n:"),
	table("open_totals", "", "patient:s: invoices:i: gross:n:"),
	table("status_counts", "", `status:o: long:i: "all":i:`),
	table("patient_countries", "id", "id:i:k name:s: country:s: vat:n:"),
	table("busy_patients", "id", "id:i:k name:s: n:i:"),
	table("people", "", "kind:s: name:s:"),
	table("supervisors", "id", "id:i:k boss:i: depth:i:"),
	table(`"Order Totals"`, `"Id"`, `"Id":i:k "Sum":n:`),
	table("own_patients", "id", "tenant_id:i:T id:i:k name:s:r born:d: email:s:v country:s:v balance:n: tags:a:"),
}

// written are the first relations: those that statements write to.
const written = 14

func table(name, key, columns string) relation {
	r := relation{name: name, key: key}
	for field := range strings.FieldsSeq(columns) {
		parts := strings.Split(field, ":")
		r.columns = append(r.columns, column{strings.ReplaceAll(parts[0], "_A", " A"), kind(parts[1][0]), parts[2]})
	}
	return r
}

func relationNamed(name string) relation {
	return relations[slices.IndexFunc(relations, func(r relation) bool { return r.name == name })]
}

// conflicts are the unique keys of relations, with the tenant column.
var conflicts = map[string]string{
	"patients": "(tenant_id, id)", "practitioners": "(id)", "appointments": "(tenant_id, id)", "invoices": "(tenant_id, number)",
	"notes": "(id)", "documents": "(tenant_id, id)", "events": "(tenant_id, id, at)", "legacy_codes": "(tenant_id, code)",
	"settings": "(tenant_id, name)", `"Order"`: `(tenant_id, "Id")`, "billing.payments": "(tenant_id, id)", "feature_flags": "(name)",
	"invoice_lines": "(invoice_id, line)",
}
