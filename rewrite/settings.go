package rewrite

import (
	"fmt"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"
)

// TenantParameter is the run-time parameter of the proxy itself: a login with
// several tenants chooses one by it.
const TenantParameter = "tenantgate.tenant"

// rowSecurity is the run-time parameter that says what becomes of a query on a
// table with policies.
const rowSecurity = "row_security"

// A settingRule says which values a run-time parameter may have; nil is any.
type settingRule func(value string) (hint string, ok bool)

// settable are the run-time parameters that tenants may set. What is missing
// changes how the server reads SQL (standard_conforming_strings=off,
// transform_null_equals), where it looks for names (search_path), who one is
// (role), how it plans (enable_...: they steer what runs before a predicate),
// or what it spends for one tenant (work_mem).
var settable = map[string]settingRule{
	"application_name":                    nil,
	"bytea_output":                        nil,
	"check_function_bodies":               nil, // of CREATE FUNCTION, which tenants may not
	"client_encoding":                     onlyUTF8,
	"client_min_messages":                 noDebug,
	"datestyle":                           nil,
	"default_transaction_deferrable":      nil,
	"default_transaction_isolation":       nil,
	"default_transaction_read_only":       nil,
	"escape_string_warning":               nil,
	"extra_float_digits":                  nil,
	"idle_in_transaction_session_timeout": nil,
	"intervalstyle":                       nil,
	"jit":                                 nil,
	"lock_timeout":                        nil,
	"quote_all_identifiers":               nil,
	relationKinds:                         nil,
	"standard_conforming_strings":         onlyOn,
	"statement_timeout":                   nil,
	"synchronize_seqscans":                nil,
	"timezone":                            nil,
	"transaction_deferrable":              nil,
	"transaction_isolation":               nil,
	"transaction_read_only":               nil,
	"transaction_timeout":                 nil,
	"xmloption":                           nil,
}

// settingRules are the parameters that are refused by a rule of their own.
var settingRules = map[string]struct{ rule, hint string }{
	"role":                     {ruleSettingRole, "What a tenant may do does not depend on roles of the server."},
	"session_authorization":    {ruleSettingRole, "What a tenant may do does not depend on roles of the server."},
	"is_superuser":             {ruleSettingRole, "What a tenant may do does not depend on roles of the server."},
	rowSecurity:                {ruleSettingRowSecurity, "Row-level security stays on; pg_dump needs --enable-row-security."},
	"session_replication_role": {ruleSettingReplicationRole, "Triggers and rules stay on."},
	searchPath:                 {ruleSettingSearchPath, "The path is the operator's, or empty; write schema.table for others."},
}

// onlyUTF8 takes the server's spellings of UTF8: it ignores case and whatever
// is no letter or digit.
func onlyUTF8(value string) (string, bool) {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		default:
			return -1
		}
	}, value)
	return "The encoding is UTF8.", clean == "utf8" || clean == "unicode"
}

func onlyOn(value string) (string, bool) {
	return "The parameter stays on.", slices.Contains([]string{"on", "true", "yes", "1"}, foldASCII(value))
}

// noDebug leaves out the levels at which the server tells of its inner life.
func noDebug(value string) (string, bool) {
	return "The levels are info, notice, log, warning, error.",
		slices.Contains([]string{"info", "notice", "log", "warning", "error"}, foldASCII(value))
}

// Settable reports whether a tenant may set a run-time parameter to a value,
// by SET or at start-up. If not, the error is a *ForbiddenError. The server
// knows whether the value makes sense.
func Settable(name, value string) error {
	name = foldASCII(name)
	if err := settableName(name); err != nil {
		return err
	}
	rule := settable[name]
	if rule == nil {
		return nil
	}
	if hint, ok := rule(value); !ok {
		return &ForbiddenError{
			Rule:    ruleSettingValue,
			Message: fmt.Sprintf("permission denied to set parameter %q to %q", name, value),
			Hint:    hint,
		}
	}
	return nil
}

// SettableNames are the run-time parameters that tenants may set, in order.
func SettableNames() []string {
	names := make([]string, 0, len(settable))
	for name := range settable {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// settableName is Settable for any value. The name is folded.
func settableName(name string) error {
	if _, ok := settable[name]; ok {
		return nil
	}
	message := fmt.Sprintf("permission denied to set parameter %q", name)
	if r, ok := settingRules[name]; ok {
		return &ForbiddenError{Rule: r.rule, Message: message, Hint: r.hint}
	}
	hint := "Tenants may set " + strings.Join(SettableNames(), ", ") + "."
	return &ForbiddenError{Rule: ruleSettingUnlisted, Message: message, Hint: hint}
}

// foldASCII folds a name as the server folds names of parameters.
func foldASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// writable reports whether a parameter may be set at all, at a position.
func (g *guard) writable(name string, at place) error {
	switch name {
	case TenantParameter, rowSecurity: // by value
		return nil
	}
	if name == g.setting {
		return &ForbiddenError{
			Rule:     ruleSettingTenant,
			Message:  fmt.Sprintf("permission denied to set parameter %q", name),
			Hint:     "The proxy sets it. A login with several tenants chooses one by SET " + TenantParameter + ".",
			Position: at.position(),
		}
	}
	return placed(settableName(name), at)
}

// resettable is writable for what puts a parameter back to what it was when
// the session began, which is harmless for search_path too.
func (g *guard) resettable(name string, at place) error {
	if name == searchPath {
		return nil
	}
	return g.writable(name, at)
}

// rowSecurity lets row_security stay on. Off has queries fail where policies
// apply, and PostgreSQL shows no row for it that was not shown before; pg_dump
// asks for it, and hears here, where policies are relied on, what to do.
func (g *guard) rowSecurity(value string, at place) error {
	if _, on := onlyOn(value); on || !g.policies && foldASCII(value) == "off" {
		return nil
	}
	return placed(settableName(rowSecurity), at)
}

// readable reports whether a parameter may be read, at a position. The tenant
// setting can hold a token that is not for clients.
func (g *guard) readable(name string, at place) error {
	if foldASCII(name) != g.setting {
		return nil
	}
	return &ForbiddenError{
		Rule:     ruleSettingTenant,
		Message:  fmt.Sprintf("permission denied to examine %q", foldASCII(name)),
		Hint:     "SHOW " + TenantParameter + " tells the tenant.",
		Position: at.position(),
	}
}

// placed gives a refusal its position.
func placed(err error, at place) error {
	if forbidden, ok := err.(*ForbiddenError); ok { //nolint:errorlint // made here, never wrapped
		forbidden.Position = at.position()
	}
	return err
}

// set decides about SET and RESET.
func (g *guard) set(s *pg_query.VariableSetStmt, at place) (Kind, string, error) {
	name := foldASCII(s.Name)
	switch s.Kind {
	case pg_query.VariableSetKind_VAR_RESET_ALL:
		return KindReset, "", nil
	case pg_query.VariableSetKind_VAR_SET_MULTI:
		return g.setTransaction(s, at)
	case pg_query.VariableSetKind_VAR_RESET, pg_query.VariableSetKind_VAR_SET_DEFAULT:
		if s.IsLocal {
			return KindSet, name, g.resettable(name, at)
		}
		return KindReset, name, g.resettable(name, at)
	case pg_query.VariableSetKind_VAR_SET_VALUE:
		if err := g.writable(name, at); err != nil {
			return 0, "", err
		}
		if rule := settable[name]; rule == nil && name != TenantParameter && name != rowSecurity {
			return KindSet, name, nil
		}
		value, ok := settingValue(s)
		if name == rowSecurity {
			return KindSet, name, g.rowSecurity(value, at)
		}
		if !ok {
			return 0, "", &UnsupportedError{
				Rule: ruleSettingForm, Node: "this form of SET " + s.Name,
				Hint: "Write SET name = 'value'.", Position: at.position(),
			}
		}
		if name == TenantParameter {
			if s.IsLocal {
				return 0, "", &UnsupportedError{
					Rule: ruleSettingForm, Node: "SET LOCAL " + s.Name,
					Hint: "Write SET " + TenantParameter + " = 'tenant'.", Position: at.position(),
				}
			}
			return KindSet, name, nil
		}
		return KindSet, name, placed(Settable(name, value), at)
	default: // SET ... FROM CURRENT and whatever comes
		return 0, "", &UnsupportedError{Rule: ruleSettingForm, Node: "this form of SET", Position: at.position()}
	}
}

// setValue returns Statement.Value: what SET sets.
func setValue(n *pg_query.Node) string {
	if s := n.GetVariableSetStmt(); s != nil {
		value, _ := settingValue(s)
		return value
	}
	return ""
}

// settingValue returns the value that SET sets, if it is a single constant.
func settingValue(s *pg_query.VariableSetStmt) (string, bool) {
	if s.Kind != pg_query.VariableSetKind_VAR_SET_VALUE || len(s.Args) != 1 {
		return "", false
	}
	switch v := s.Args[0].GetAConst().GetVal().(type) {
	case *pg_query.A_Const_Sval:
		return v.Sval.Sval, true
	case *pg_query.A_Const_Ival:
		return fmt.Sprint(v.Ival.Ival), true
	case *pg_query.A_Const_Fval:
		return v.Fval.Fval, true
	default:
		return "", false
	}
}

// setTransaction decides about SET TRANSACTION and SET SESSION CHARACTERISTICS.
func (g *guard) setTransaction(s *pg_query.VariableSetStmt, at place) (Kind, string, error) {
	switch s.Name {
	case "TRANSACTION":
		return KindSetTransaction, "", nil
	case "SESSION CHARACTERISTICS":
		if len(s.Args) != 1 {
			return 0, "", &UnsupportedError{
				Rule: ruleSettingForm, Node: "SET SESSION CHARACTERISTICS with several modes",
				Hint: "Send one statement for each.", Position: at.position(),
			}
		}
		name := "default_" + s.Args[0].GetDefElem().GetDefname()
		return KindSet, name, g.writable(name, at)
	default: // TRANSACTION SNAPSHOT
		return 0, "", &UnsupportedError{Rule: ruleTransactionSnapshot, Node: "SET " + s.Name, Position: at.position()}
	}
}

// show decides about SHOW.
func (g *guard) show(s *pg_query.VariableShowStmt, at place) (Kind, string, error) {
	return KindShow, foldASCII(s.Name), g.readable(s.Name, at)
}

// setConfig decides about a SELECT that does nothing but set one parameter:
// SELECT set_config('name', 'value', false), beside which it may read others
// with current_setting. ok is false for every other statement.
func (w *walk) setConfig(n *pg_query.Node) (name string, ok bool, err error) {
	s := n.GetSelectStmt()
	if !targetsAlone(s) {
		return "", false, nil
	}
	var config *pg_query.FuncCall
	for _, target := range s.TargetList {
		f := target.GetResTarget().GetVal().GetFuncCall()
		switch plainCall(f) {
		case "set_config":
			if config != nil {
				return "", false, nil
			}
			config = f
		case "current_setting":
			if err := w.node(target); err != nil {
				return "", true, err
			}
		default:
			return "", false, nil
		}
	}
	if config == nil || len(config.Args) != 3 {
		return "", false, nil
	}
	name, constant := stringConstant(config.Args[0])
	name = foldASCII(name)
	if _, local := config.Args[2].GetAConst().GetVal().(*pg_query.A_Const_Boolval); !local || !constant || name == TenantParameter {
		return "", false, nil
	}
	if err := w.builtin(&call{name: "set_config", args: 3, location: config.Location}); err != nil {
		return "", true, err
	}
	at := w.at(config.Location)
	if err := w.g.writable(name, at); err != nil {
		return "", true, err
	}
	value, constant := stringConstant(config.Args[1])
	if name == rowSecurity {
		return name, true, w.g.rowSecurity(value, at)
	}
	if !constant {
		// What a parameter holds is known to the server alone.
		return name, config.Args[1].GetParamRef() != nil && settable[name] == nil, nil
	}
	return name, true, placed(Settable(name, value), at)
}

// targetsAlone reports whether a SELECT has a target list and nothing else.
func targetsAlone(s *pg_query.SelectStmt) bool {
	return s != nil && len(s.TargetList) > 0 && s.Op == pg_query.SetOperation_SETOP_NONE &&
		s.WithClause == nil && s.IntoClause == nil && s.WhereClause == nil && s.HavingClause == nil &&
		s.LimitCount == nil && s.LimitOffset == nil &&
		len(s.DistinctClause)+len(s.FromClause)+len(s.GroupClause)+len(s.WindowClause)+len(s.ValuesLists)+
			len(s.SortClause)+len(s.LockingClause) == 0
}

// plainCall returns the name of a function of pg_catalog that is called with
// arguments and nothing else; "" for other expressions.
func plainCall(f *pg_query.FuncCall) string {
	if f == nil || f.AggWithinGroup || f.AggStar || f.AggDistinct || f.FuncVariadic || f.AggFilter != nil || f.Over != nil ||
		len(f.AggOrder) > 0 {
		return ""
	}
	names, ok := nameParts(f.Funcname)
	switch {
	case ok && len(names) == 1:
		return names[0]
	case ok && len(names) == 2 && names[0] == schemaCatalog:
		return names[1]
	default:
		return ""
	}
}
