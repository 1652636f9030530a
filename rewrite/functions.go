package rewrite

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

//go:embed functions.txt
var functionList string

const (
	schemaCatalog     = "pg_catalog"
	schemaInformation = "information_schema"
)

// A functionRule is what functions.txt says about a name in pg_catalog.
type functionRule struct {
	allowed     bool
	args        int  // allowed with so many arguments alone; 0 is any number
	catalogOnly bool // allowed only beside system catalogs
	apart       bool // allowed where what it names can be made the tenant's own
	withheld    bool // allowed where it can be called with NULL
	rule        string
	reason      string
}

// functionRules are functions.txt, by name.
type functionRules struct {
	allowed  map[string]functionRule
	refused  map[string]functionRule
	prefixes map[string]functionRule
	schemas  map[string]map[string]bool // allowed functions of schemas other than pg_catalog
}

var builtins = parseFunctions(functionList)

func parseFunctions(list string) functionRules {
	rules := functionRules{
		allowed:  make(map[string]functionRule),
		refused:  make(map[string]functionRule),
		prefixes: make(map[string]functionRule),
		schemas:  make(map[string]map[string]bool),
	}
	for _, s := range parseSections(list) {
		rule := functionRule{rule: ruleFunctionUnlisted, reason: s.reason}
		switch s.header[0] {
		case "allow", "allow-catalog":
			rule.allowed, rule.catalogOnly = true, s.header[0] == "allow-catalog"
			for _, name := range s.names {
				name, args, _ := strings.Cut(name, "/")
				rule.args, _ = strconv.Atoi(args)
				rules.allowed[name] = rule
			}
		case "allow-schema":
			rules.schemas[s.header[1]] = make(map[string]bool)
			for _, name := range s.names {
				rules.schemas[s.header[1]][name] = true
			}
		case "refuse", "apart", "withhold", "internal":
			if s.header[0] != "internal" {
				rule.rule = s.header[1]
			}
			rule.apart, rule.withheld = s.header[0] == "apart", s.header[0] == "withhold"
			for _, name := range s.names {
				if prefix, ok := strings.CutSuffix(name, "*"); ok {
					rules.prefixes[prefix] = rule
				} else {
					rules.refused[name] = rule
				}
			}
		default:
			panic("rewrite: functions.txt has a section " + s.header[0])
		}
	}
	return rules
}

// find returns the rule for a function of pg_catalog. known is false for a
// name on no list.
func (r *functionRules) find(name string, args int) (rule functionRule, known bool) {
	if rule, ok := r.allowed[name]; ok && (rule.args == 0 || rule.args == args) {
		return rule, true
	}
	if rule, ok := r.refused[name]; ok {
		return rule, true
	}
	for prefix, rule := range r.prefixes {
		if strings.HasPrefix(name, prefix) {
			return rule, true
		}
	}
	return functionRule{rule: ruleFunctionUnlisted}, false
}

// A call is a function's name as a statement has it.
type call struct {
	schema, name string
	args         int
	variadic     bool // VARIADIC: the number of arguments is not known
	location     int32
}

func (c *call) String() string {
	if c.schema == "" {
		return c.name
	}
	return c.schema + "." + c.name
}

// funcCall decides about one function call.
func (w *walk) funcCall(f *pg_query.FuncCall) error {
	names, ok := nameParts(f.Funcname)
	if !ok {
		return w.unlistedNode("a function without a name", f.Location)
	}
	c := call{name: names[len(names)-1], args: len(f.Args), variadic: f.FuncVariadic, location: f.Location}
	if f.AggWithinGroup {
		c.args += len(f.AggOrder)
	}
	switch len(names) {
	case 1:
	case 2:
		c.schema = names[0]
	default:
		return w.forbid(ruleFunctionUnlisted, fmt.Sprintf("permission denied for function %s", strings.Join(names, ".")),
			"Write schema.function.", f.Location)
	}
	if c.name == "current_setting" && (c.schema == "" || c.schema == schemaCatalog) {
		return w.currentSetting(f, &c)
	}
	switch c.name {
	case nextval, currval, lastval:
		if c.schema == "" || c.schema == schemaCatalog {
			return w.sequence(f, &c)
		}
	}
	if rule := builtins.refused[c.name]; c.schema == "" || c.schema == schemaCatalog {
		switch {
		case rule.apart:
			return w.apartCall(f, &c, rule)
		case rule.withheld:
			return w.withheldCall(f, &c, rule)
		}
	}
	if c.name == unlockAll {
		w.hold |= HoldUnlocks
	}
	return w.call(&c)
}

// call decides about a function by its name: first what stands in for
// PostgreSQL's own, then the lists.
func (w *walk) call(c *call) error {
	switch c.schema {
	case "", schemaCatalog:
	case schemaInformation:
		if builtins.schemas[schemaInformation][c.name] && !w.shadowed(c) {
			return nil
		}
		return w.unlistedFunction(c)
	default:
		return w.userFunction(c)
	}
	rule, known := builtins.find(c.name, c.args)
	if !known {
		return w.userFunction(c)
	}
	if !rule.allowed {
		return w.forbidFunction(rule.rule, c, refusalHint(rule))
	}
	if err := w.builtin(c); err != nil {
		return err
	}
	if rule.catalogOnly {
		w.catalogOnly = append(w.catalogOnly, *c)
	}
	return nil
}

// builtin refuses a function that is harmless if the configuration denies it,
// or if the server might find another one by its name.
func (w *walk) builtin(c *call) error {
	if w.cat.FunctionDenied(schemaCatalog, c.name) {
		return w.forbidFunction(ruleFunctionDenied, c, "The operator has put the function under tenancy.functions.deny.")
	}
	if w.shadowed(c) {
		return w.forbidFunction(ruleFunctionShadowed, c, "Another function of the name exists. Write pg_catalog."+c.name+
			", or have the operator list the other one under tenancy.functions.allow.")
	}
	return nil
}

func (w *walk) forbidFunction(rule string, c *call, hint string) error {
	return w.forbid(rule, "permission denied for function "+c.String(), hint, c.location)
}

// refusalHint makes a sentence of the reason for a refused function.
func refusalHint(rule functionRule) string {
	if rule.rule == ruleFunctionUnlisted {
		return "The function is internal to PostgreSQL."
	}
	return "Not for tenants: " + rule.reason + "."
}

// userFunction decides about a function that is not PostgreSQL's own.
func (w *walk) userFunction(c *call) error {
	candidates := w.candidates(c)
	for i := range candidates {
		if !candidates[i].Allowed {
			return w.unlistedFunction(c)
		}
		if err := w.castsOfFunction(&candidates[i], c); err != nil {
			return err
		}
	}
	if len(candidates) == 0 {
		return w.unlistedFunction(c)
	}
	return nil
}

func (w *walk) unlistedFunction(c *call) error {
	return w.forbidFunction(ruleFunctionUnlisted, c,
		"Only functions known to be harmless may be called; the operator can list others under tenancy.functions.allow.")
}

// shadowed reports whether the call could reach a function that is not
// PostgreSQL's own and not allowed.
func (w *walk) shadowed(c *call) bool {
	for _, f := range w.candidates(c) {
		if !f.Allowed {
			return true
		}
	}
	return false
}

// candidates are the functions of users that a call could reach, in whatever
// schema they are if it names none.
func (w *walk) candidates(c *call) []catalog.Function {
	var found []catalog.Function
	for _, f := range w.cat.Functions(c.name) {
		if (c.schema == "" || c.schema == f.Schema) && takes(&f, c.args, c.variadic) {
			found = append(found, f)
		}
	}
	return found
}

// takes reports whether a function can be called with so many arguments.
func takes(f *catalog.Function, args int, variadic bool) bool {
	return variadic || f.Variadic && args >= f.Args-f.Defaults-1 || args >= f.Args-f.Defaults && args <= f.Args
}

// currentSetting lets current_setting through if its name is a constant and
// not the tenant setting.
func (w *walk) currentSetting(f *pg_query.FuncCall, c *call) error {
	if err := w.builtin(c); err != nil {
		return err
	}
	name, ok := "", false
	if len(f.Args) > 0 && !f.FuncVariadic {
		name, ok = stringConstant(f.Args[0])
	}
	if !ok {
		return w.forbidFunction(ruleFunctionCurrentSetting, c, "The name of the parameter must be a constant.")
	}
	return w.g.readable(name, w.at(f.Location))
}

// stringConstant returns the value of a string constant, with or without a
// cast to text.
func stringConstant(n *pg_query.Node) (string, bool) {
	if cast := n.GetTypeCast(); cast != nil {
		names, ok := nameParts(cast.TypeName.GetNames())
		if !ok || names[len(names)-1] != "text" || len(names) > 1 && names[0] != schemaCatalog || len(cast.TypeName.ArrayBounds) > 0 {
			return "", false
		}
		n = cast.Arg
	}
	s := n.GetAConst().GetSval()
	if s == nil {
		return "", false
	}
	return s.Sval, true
}

// nameParts returns the parts of a qualified name; it has at least one.
func nameParts(list []*pg_query.Node) ([]string, bool) {
	parts := make([]string, 0, 2)
	for _, n := range list {
		s, ok := n.GetNode().(*pg_query.Node_String_)
		if !ok {
			return nil, false
		}
		parts = append(parts, s.String_.Sval)
	}
	return parts, len(parts) > 0
}
