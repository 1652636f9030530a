package rewrite

import (
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v5"

	"tenantgate/rewrite/catalog"
)

// The numbers of advisory locks and the names of channels are common to a
// database. What a tenant calls one is made its own by a secret of the tenant's:
//
//	pg_advisory_lock(number)          ... (pg_catalog.int8xor(number, secret))
//	pg_advisory_lock(first, second)   ... (pg_catalog.int4xor(first, secret), pg_catalog.int4xor(second, secret))
//	pg_notify(channel, payload)       ... (hash of channel and secret, payload)
//
// Different numbers of one tenant stay different, and one stays apart from two.
// That two tenants meet is as likely as that one guesses a number of 64 bits.

const (
	notify            = "pg_notify"
	listeningChannels = "pg_listening_channels"
	unlockAll         = "pg_advisory_unlock_all"
	sessionLock       = "lock" // behind pg_advisory_ or pg_try_advisory_
)

var (
	typeInt8 = catalog.Type{OID: oidInt8, Schema: schemaCatalog, Name: "int8"}
	typeInt4 = catalog.Type{OID: oidInt4, Schema: schemaCatalog, Name: "int4"}
	typeText = catalog.Type{OID: oidText, Schema: schemaCatalog, Name: "text"}

	typeTextArray = catalog.Type{OID: oidTextArray, Schema: schemaCatalog, Name: "_text"}
)

// Hints of calls whose arguments are to be changed.
const (
	hintPlainCall  = "Call it with its arguments one by one, and nothing else between the brackets."
	hintKeepsApart = "It may stand in SELECT, INSERT, UPDATE and DELETE."
)

// A besideCall is a call that may not stand where it does beside tables.
type besideCall struct {
	call
	rule string
}

func (b *besideCall) refusal(w *walk) error {
	return w.forbidFunction(b.rule, &b.call, "In a statement with tables it may stand in the outermost target list, in VALUES or SELECT of "+
		"an INSERT, and in SET of an UPDATE: elsewhere it could run for rows of others.")
}

// apartCall decides about a function whose arguments name what all tenants have
// in common. It may run for rows of the result, or beside no tables at all.
func (w *walk) apartCall(f *pg_query.FuncCall, c *call, rule functionRule) error {
	if err := w.builtin(c); err != nil {
		return err
	}
	named := slices.ContainsFunc(f.Args, func(n *pg_query.Node) bool { return n.GetNamedArgExpr() != nil })
	if c.name == listeningChannels && w.named[f] == nil {
		return w.forbidFunction(rule.rule, c, "It may stand in a target list by itself, or in FROM.")
	}
	if plainCall(f) != c.name || named || !apartArguments(c.name, len(f.Args)) {
		return w.forbidFunction(rule.rule, c, hintPlainCall)
	}
	if !w.keepsApart {
		return w.forbidFunction(rule.rule, c, hintKeepsApart)
	}
	if !w.draws[f] {
		w.besides = append(w.besides, besideCall{*c, rule.rule})
	}
	w.hold |= lockHold(c.name)
	if c.name == notify {
		w.hold |= HoldNotifies
	}
	if !w.g.oneTenant || c.name == listeningChannels {
		w.apart = append(w.apart, f)
	}
	return nil
}

// apartArguments reports whether a function takes so many arguments.
func apartArguments(name string, args int) bool {
	switch name {
	case listeningChannels:
		return args == 0
	case notify:
		return args == 2
	default:
		return args == 1 || args == 2
	}
}

// lockHold is what a function does to locks that outlive the transaction.
func lockHold(name string) Hold {
	what, ok := strings.CutPrefix(strings.TrimPrefix(strings.TrimSuffix(name, "_shared"), "pg_try_advisory_"), "pg_advisory_")
	switch {
	case what == sessionLock:
		return HoldLocks
	case ok && what == "unlock":
		return HoldUnlocks
	default:
		return 0
	}
}

// resTarget notes a call that is a whole item of a target list.
func (w *walk) resTarget(t *pg_query.ResTarget) error {
	w.names(t.Val.GetFuncCall(), &t.Name)
	return nil
}

// names notes what name a call of pg_listening_channels has where it stands.
func (w *walk) names(f *pg_query.FuncCall, name *string) {
	if f == nil || plainCall(f) != listeningChannels {
		return
	}
	if w.named == nil {
		w.named = make(map[*pg_query.FuncCall]*string)
	}
	w.named[f] = name
}

// namesItem does so for a FROM item.
func (w *walk) namesItem(f *pg_query.RangeFunction) {
	if len(f.Functions) != 1 || len(f.Coldeflist) > 0 || f.IsRowsfrom || f.Ordinality {
		return
	}
	call := f.Functions[0].GetList().GetItems()[0].GetFuncCall()
	if call == nil || plainCall(call) != listeningChannels {
		return
	}
	if f.Alias == nil {
		f.Alias = &pg_query.Alias{} // gets its name when the call gets another one
	}
	w.names(call, &f.Alias.Aliasname)
}

// listed turns a call of pg_listening_channels into one of unnest, over what
// the session listens on, under the same name.
func (c *confiner) listed(f *pg_query.FuncCall, name *string) {
	list := c.keys.formOf(ValueChannels, typeTextArray)
	text := "pg_catalog.unnest(" + list.text + ")"
	if *name == "" {
		*name = listeningChannels
		text += " AS " + listeningChannels
	}
	first := c.source.find(f.Location)
	c.replace(first, c.source.closing(c.source.nameEnd(first)), text)
	f.Funcname, f.Args = []*pg_query.Node{stringNode(schemaCatalog), stringNode("unnest")}, one(list.node())
}

// makeOwn makes what calls name the tenant's own.
func (c *confiner) makeOwn(calls []*pg_query.FuncCall, names map[*pg_query.FuncCall]*string) {
	done := make(map[int32]bool) // the text has some once of which the tree has copies
	for _, f := range calls {
		copied := done[f.Location]
		done[f.Location] = true
		args, ok := c.argumentTexts(f)
		if !ok && !copied {
			c.fail()
		}
		text := ok && !copied
		switch name := plainCall(f); {
		case name == listeningChannels:
			c.listed(f, names[f])
		case name == notify:
			c.wrap(f, 0, c.channelForm(), args, text)
		case builtins.refused[name].withheld:
			c.wrap(f, 0, c.withheldForm(f), args, text)
		case len(f.Args) == 1:
			c.wrap(f, 0, c.lockForm("int8xor", ValueLock, typeInt8), args, text)
		default:
			c.wrap(f, 0, c.lockForm("int4xor", ValueLockFirst, typeInt4), args, text)
			c.wrap(f, 1, c.lockForm("int4xor", ValueLockSecond, typeInt4), args, text)
		}
	}
}

// argumentTexts finds the text of a call's arguments.
func (c *confiner) argumentTexts(f *pg_query.FuncCall) (args []extent, ok bool) {
	s := c.source
	open := s.nameEnd(s.find(f.Location))
	closing := s.closing(open)
	if !s.punct(open, "(") || closing < 0 {
		return nil, false
	}
	for i := open + 1; i < closing; {
		end := s.skip(i, func(s *source, i int) bool { return s.punct(i, ",") })
		args = append(args, extent{first: i, last: end - 1})
		i = end + 1
	}
	return args, len(args) == len(f.Args)
}

// A wrapping is an expression around another one, whose place in it is arg.
type wrapping struct {
	node       func(arg *pg_query.Node) *pg_query.Node
	start, end string
}

// wrap puts an argument into an expression.
func (c *confiner) wrap(f *pg_query.FuncCall, i int, w wrapping, args []extent, text bool) {
	f.Args[i] = w.node(f.Args[i])
	if text {
		c.before(args[i].first, rankApartStart, w.start)
		c.after(args[i].last, rankApartEnd, w.end)
	}
}

// lockForm makes a number the tenant's own.
func (c *confiner) lockForm(function string, v Value, t catalog.Type) wrapping {
	secret := c.keys.formOf(v, t)
	return wrapping{
		node:  func(arg *pg_query.Node) *pg_query.Node { return builtinCall(function, arg, secret.node()) },
		start: schemaCatalog + "." + function + "(",
		end:   ", " + secret.text + ")",
	}
}

// tooLongName is longer than names are.
var tooLongName = strings.Repeat("-", maxNameBytes+1)

// channelForm makes the name of a channel the tenant's own: a hash of it, in
// which the empty name, and one that is too long, stay what they are.
func (c *confiner) channelForm() wrapping {
	secret, none, long := c.keys.formOf(ValueChannel, typeText), c.keys.formOf(ValueChannelNone, typeText), c.keys.formOf(ValueChannelLong, typeText)
	const open = "pg_catalog.replace(pg_catalog.replace(pg_catalog.encode(pg_catalog.sha224(pg_catalog.convert_to(pg_catalog.textcat("
	return wrapping{
		node: func(arg *pg_query.Node) *pg_query.Node {
			digits := builtinCall("encode", builtinCall("convert_to", arg, stringConst("UTF8")), stringConst("hex"))
			name := builtinCall("regexp_replace", builtinCall("left", digits, intConst(channelDigits)), stringConst(channelPattern), stringConst(channelLong))
			hash := builtinCall("encode", builtinCall("sha224",
				builtinCall("convert_to", builtinCall("textcat", secret.node(), name), stringConst("UTF8"))), stringConst("hex"))
			return builtinCall("replace", builtinCall("replace", hash, none.node(), stringConst("")), long.node(), stringConst(tooLongName))
		},
		start: open + secret.text + ", pg_catalog.regexp_replace(pg_catalog.left(pg_catalog.encode(pg_catalog.convert_to(",
		end: ", 'UTF8'), 'hex'), " + channelDigitsText + "), '" + channelPattern + "', '" + channelLong + "')), 'UTF8')), 'hex'), " +
			none.text + ", ''), " + long.text + ", '" + tooLongName + "')",
	}
}

const (
	// channelDigits are the hexadecimal digits of the shortest name that is too
	// long.
	channelDigits     = 2 * (maxNameBytes + 1)
	channelDigitsText = "128"
	channelPattern    = "^.{128}$"
)

// builtinCall calls a function of PostgreSQL's own.
func builtinCall(name string, args ...*pg_query.Node) *pg_query.Node {
	return &pg_query.Node{Node: &pg_query.Node_FuncCall{FuncCall: &pg_query.FuncCall{
		Funcname: []*pg_query.Node{stringNode(schemaCatalog), stringNode(name)}, Args: args,
		Funcformat: pg_query.CoercionForm_COERCE_EXPLICIT_CALL,
	}}}
}

func intConst(value int32) *pg_query.Node {
	return &pg_query.Node{Node: &pg_query.Node_AConst{AConst: &pg_query.A_Const{
		Val: &pg_query.A_Const_Ival{Ival: &pg_query.Integer{Ival: value}},
	}}}
}

// separated audits a call: what it names must be the tenant's own.
func (a *auditor) separated(f *pg_query.FuncCall) error {
	names, _ := nameParts(f.Funcname)
	if len(names) == 0 || len(names) == 2 && names[0] != schemaCatalog {
		return nil
	}
	name := names[len(names)-1]
	if rule, ok := builtins.refused[name]; !ok || !rule.apart {
		return nil
	}
	ok := false
	switch {
	case name == notify && len(f.Args) == 2:
		n := f.Args[0]
		for _, step := range []string{"replace", "replace", "encode", "sha224", "convert_to"} {
			n = argumentOf(n, step, 0)
		}
		ok = a.isValue(argumentOf(n, "textcat", 0), ValueChannel, typeText)
	case name != listeningChannels && len(f.Args) == 1:
		ok = a.isValue(argumentOf(f.Args[0], "int8xor", 1), ValueLock, typeInt8)
	case name != listeningChannels && len(f.Args) == 2:
		ok = a.isValue(argumentOf(f.Args[0], "int4xor", 1), ValueLockFirst, typeInt4) &&
			a.isValue(argumentOf(f.Args[1], "int4xor", 1), ValueLockSecond, typeInt4)
	}
	if !ok {
		return auditFailure("%s of what all tenants have in common", name)
	}
	return nil
}

// argumentOf is an argument of a call of a function of PostgreSQL's own, nil if
// the node is none.
func argumentOf(n *pg_query.Node, function string, i int) *pg_query.Node {
	f := n.GetFuncCall()
	names, _ := nameParts(f.GetFuncname())
	if !slices.Equal(names, []string{schemaCatalog, function}) || plainCall(f) != function || i >= len(f.Args) {
		return nil
	}
	return f.Args[i]
}
