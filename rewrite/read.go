package rewrite

import (
	pg_query "github.com/pganalyze/pg_query_go/v5"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// A Reader tells what texts do to the sessions that send them, where nothing is
// confined or refused: for operators. Texts are sent as they came. It is safe
// for concurrent use.
type Reader struct {
	cache *cache
	large chan struct{} // as of Rewriter
}

// NewReader returns a Reader whose results take as many bytes at most; 0 means a
// default.
func NewReader(cacheBytes int64) *Reader {
	return &Reader{cache: newCache(cacheBytes), large: make(chan struct{}, largeAtOnce)}
}

// Read takes a text apart. What cannot be read is for the server to understand:
// it is one statement that may do anything.
func (r *Reader) Read(req Request) *Result {
	s := shapers.Get().(*shaper)
	defer s.putBack()
	s.plain(Request{SQL: req.SQL, Extended: req.Extended}, 0)
	if e := r.cache.get(s.key); e != nil {
		return e.result
	}
	if len(req.SQL) > largeText {
		r.large <- struct{}{}
		defer func() { <-r.large }()
	}
	key := string(s.key)
	req.SQL = key[len(key)-len(req.SQL):] // one copy is enough
	result := read(req)
	r.cache.put(key, reading{about: aboutText, result: result})
	return result
}

// Unread is what becomes of a text that nobody here can read.
func Unread(sql string) *Result {
	text, _ := spliced(sql, statementText{end: len(sql), position: 1}, nil)
	return &Result{Statements: []Statement{{Kind: KindQuery, Text: text, Unsure: true, Defines: true}}}
}

func read(req Request) *Result {
	if checkEncoding(req.SQL) != nil {
		return Unread(req.SQL)
	}
	tokens, err := lexBounded(req.SQL)
	if err != nil {
		return Unread(req.SQL)
	}
	stmts, err := parse(req.SQL)
	if err != nil || req.Extended && len(stmts) > 1 {
		return Unread(req.SQL)
	}
	src := newSource(req.SQL, tokens)
	result := &Result{Statements: make([]Statement, 0, len(stmts))}
	var part statementText
	for _, raw := range stmts {
		part = part.next(req.SQL, raw)
		if len(stmts) == 1 { // with what is around it
			part = statementText{end: len(req.SQL), position: 1}
		}
		s := effects(raw.Stmt, len(stmts) == 1)
		s.Text, _ = spliced(req.SQL, part, nil)
		if s.Executes != "" {
			s.executed = executedName(src, raw, part)
		}
		result.Statements = append(result.Statements, s)
	}
	return result
}

// effects tells what a statement does to its session. alone says that nothing
// else is in its message.
func effects(n *pg_query.Node, alone bool) Statement {
	s := Statement{Kind: KindQuery}
	switch v := n.GetNode().(type) {
	case *pg_query.Node_SelectStmt, *pg_query.Node_InsertStmt, *pg_query.Node_UpdateStmt, *pg_query.Node_DeleteStmt,
		*pg_query.Node_MergeStmt, *pg_query.Node_CopyStmt, *pg_query.Node_ExplainStmt, *pg_query.Node_DeclareCursorStmt:
		hold := holdOf(n) != 0
		s.Executes = executes(n)
		if calls(n, func(f *pg_query.FuncCall) bool { return functionName(f) == notify }) {
			s.Hold = HoldNotifies
		}
		s.Unsure, s.Defines = hold || s.Executes != "" || calls(n, unknown), hold && n.GetDeclareCursorStmt() == nil
	case *pg_query.Node_FetchStmt, *pg_query.Node_LockStmt, *pg_query.Node_TruncateStmt, *pg_query.Node_ConstraintsSetStmt,
		*pg_query.Node_VacuumStmt, *pg_query.Node_ClusterStmt, *pg_query.Node_ReindexStmt, *pg_query.Node_CheckPointStmt:
	case *pg_query.Node_NotifyStmt:
		s.Hold = HoldNotifies
	case *pg_query.Node_ListenStmt:
		s.Kind, s.Name = KindListen, v.ListenStmt.Conditionname
	case *pg_query.Node_UnlistenStmt:
		s.Kind, s.Name = KindUnlisten, v.UnlistenStmt.Conditionname
	case *pg_query.Node_ClosePortalStmt:
		s.Unsure = true // it may end what pins
	case *pg_query.Node_TransactionStmt:
		s.Kind = transactionKind(v.TransactionStmt.Kind)
	case *pg_query.Node_VariableSetStmt:
		readSet(&s, v.VariableSetStmt)
	case *pg_query.Node_VariableShowStmt:
		s.Kind, s.Name = KindShow, foldASCII(v.VariableShowStmt.Name)
	case *pg_query.Node_DeallocateStmt:
		if s.Name = v.DeallocateStmt.Name; alone {
			s.Kind = KindDeallocate
		} else {
			s.Unsure, s.Deallocates = true, s.Name == ""
		}
	case *pg_query.Node_DiscardStmt:
		if s.Unsure = true; v.DiscardStmt.Target == pg_query.DiscardMode_DISCARD_ALL && alone {
			s.Kind, s.Name = KindDiscard, "all"
		}
	case *pg_query.Node_PrepareStmt:
		s.Name, s.Prepares, s.Unsure = v.PrepareStmt.Name, true, true
	case *pg_query.Node_ExecuteStmt:
		s.Executes, s.Unsure = v.ExecuteStmt.Name, true
	case *pg_query.Node_CreateTableAsStmt:
		s.Executes, s.Unsure, s.Defines = executes(n), true, true
	default: // definitions, DO, CALL, and whatever comes
		s.Unsure, s.Defines = true, true
	}
	s.Draws = s.Unsure || n.GetCopyStmt() != nil || modifies(n) ||
		calls(n, func(f *pg_query.FuncCall) bool { return functionName(f) == "nextval" })
	return s
}

// readSet tells what SET and RESET do.
func readSet(s *Statement, v *pg_query.VariableSetStmt) {
	name := foldASCII(v.Name)
	switch v.Kind {
	case pg_query.VariableSetKind_VAR_RESET_ALL:
		s.Kind = KindReset
	case pg_query.VariableSetKind_VAR_SET_MULTI:
		switch v.Name {
		case "TRANSACTION", "TRANSACTION SNAPSHOT":
			s.Kind = KindSetTransaction
		default: // the characteristics of sessions are several parameters
			s.Unsure = true
		}
	default:
		switch s.Kind, s.Name = KindSet, name; {
		case name == "role" || name == "session_authorization":
			s.Kind, s.Name, s.Unsure = KindQuery, "", true
		case !v.IsLocal && v.Kind != pg_query.VariableSetKind_VAR_SET_VALUE && v.Kind != pg_query.VariableSetKind_VAR_SET_CURRENT:
			s.Kind = KindReset
		}
	}
}

// executes returns the name of the statement that an EXECUTE below n runs.
func executes(n *pg_query.Node) string {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_ExplainStmt:
		return executes(v.ExplainStmt.Query)
	case *pg_query.Node_CreateTableAsStmt:
		return executes(v.CreateTableAsStmt.Query)
	case *pg_query.Node_ExecuteStmt:
		return v.ExecuteStmt.Name
	default:
		return ""
	}
}

// calls reports whether a statement calls a function that is one of those.
func calls(n *pg_query.Node, those func(*pg_query.FuncCall) bool) bool {
	return anywhere(n.ProtoReflect(), func(m protoreflect.ProtoMessage) bool {
		f, ok := m.(*pg_query.FuncCall)
		return ok && those(f)
	})
}

// modifies reports whether a statement writes, or holds another that does.
func modifies(n *pg_query.Node) bool {
	return anywhere(n.ProtoReflect(), func(m protoreflect.ProtoMessage) bool {
		switch m.(type) {
		case *pg_query.InsertStmt, *pg_query.UpdateStmt, *pg_query.DeleteStmt, *pg_query.MergeStmt:
			return true
		default:
			return false
		}
	})
}

// anywhere reports whether found holds for m or for anything in it.
func anywhere(m protoreflect.Message, found func(protoreflect.ProtoMessage) bool) bool {
	if found(m.Interface()) {
		return true
	}
	within := false
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Message() == nil:
		case field.IsList():
			for i := 0; i < v.List().Len() && !within; i++ {
				within = anywhere(v.List().Get(i).Message(), found)
			}
		default:
			within = anywhere(v.Message(), found)
		}
		return !within
	})
	return within
}

// quietFunctions are refused to tenants, or not at any place, but leave nothing
// in a session.
var quietFunctions = map[string]bool{
	"nextval": true, "setval": true, "pg_notify": true, "pg_sleep": true, "pg_backend_pid": true, "current_setting": true,
	"pg_advisory_xact_lock": true, "pg_advisory_xact_lock_shared": true,
	"pg_try_advisory_xact_lock": true, "pg_try_advisory_xact_lock_shared": true,
}

// functionName is the name of one of PostgreSQL's own functions; "" if it is
// another's.
func functionName(f *pg_query.FuncCall) string {
	names, ok := nameParts(f.Funcname)
	if !ok || len(names) > 2 || len(names) == 2 && names[0] != schemaCatalog {
		return ""
	}
	return names[len(names)-1]
}

// unknown reports whether a function may do something to its session.
func unknown(f *pg_query.FuncCall) bool {
	name := functionName(f)
	_, allowed := builtins.allowed[name]
	return !allowed && !quietFunctions[name]
}

// An executedSite is where a text has the name of the statement it executes.
type executedSite struct {
	sql        string
	part       statementText
	start, end int
}

func executedName(src *source, raw *pg_query.RawStmt, part statementText) *executedSite {
	first, end := src.statement(raw)
	for i := first; i+1 < end; i++ {
		if src.is(i, "execute") && src.name(i+1) {
			return &executedSite{sql: src.sql, part: part, start: src.tokens[i+1].start, end: src.tokens[i+1].end}
		}
	}
	return nil
}

// Executing returns the text with another name for the statement that it
// executes; ok is false if the place of the name is not known.
func (s *Statement) Executing(name string) (text Template, ok bool) {
	if s.executed == nil {
		return Template{}, false
	}
	e := s.executed
	return spliced(e.sql, e.part, []splice{{start: e.start, end: e.end, text: quoteIdent(name)}})
}
