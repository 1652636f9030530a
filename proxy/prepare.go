package proxy

import (
	"context"
	"encoding/binary"
	"fmt"

	"tenantgate/rewrite"
)

// PREPARE and EXECUTE of SQL become Parse and Bind of the protocol, so that
// they share the names of its statements and pin no server connection.

// prepareSQL answers PREPARE.
func (s *session) prepareSQL(ctx context.Context, st *rewrite.Statement, sql string) error {
	if s.status == 'E' {
		return s.refuseSimple(errAborted)
	}
	if s.statements[st.Name] != nil {
		return s.refuseSimple(newError("42P05", fmt.Sprintf("prepared statement %q already exists", st.Name), ""))
	}
	p := &prepared{name: st.Name, statement: &st.Prepare.Statement, values: s.values}
	s.noteTables(p, rewrite.Request{SQL: sql})
	s.share(p, p.statement.Text.SQLFor(p.values), withKeys(st.Prepare.ParamOIDs, p.statement))
	if err := s.lease(ctx); err != nil {
		return s.refuseSimple(err)
	}
	s.statements[p.name] = p
	s.ensure(p)
	s.learnTypes(p)
	s.push(request{await: awaitNothing, reply: replyFake, fake: commandComplete("PREPARE")})
	err := s.endGroup()
	if !p.described && s.statements[p.name] == p {
		delete(s.statements, p.name)
	}
	return err
}

// learnTypes asks the server for the types of a statement's parameters.
func (s *session) learnTypes(p *prepared) {
	s.send = appendTarget(s.send, 'D', 'S', p.serverName())
	s.push(request{await: awaitDescribe, reply: replySkip, hidden: len(p.statement.Keys), about: p, learn: p})
}

// learn reads a ParameterDescription that ends with parameters of ours.
func (p *prepared) learn(body []byte, hidden int) error {
	if len(body) < 2 {
		return fmt.Errorf("%w: ParameterDescription too short", errServerProtocol)
	}
	count := int(binary.BigEndian.Uint16(body))
	if count < hidden || len(body) != 2+4*count {
		return fmt.Errorf("%w: ParameterDescription of %d parameters", errServerProtocol, count)
	}
	p.types = make([]uint32, count-hidden)
	for i := range p.types {
		p.types[i] = binary.BigEndian.Uint32(body[2+4*i:])
	}
	p.described = true
	return nil
}

// executeSQL answers EXECUTE.
func (s *session) executeSQL(ctx context.Context, st *rewrite.Statement) error {
	p := s.statements[st.Name]
	switch {
	case s.status == 'E':
		return s.refuseSimple(errAborted)
	case p == nil:
		return s.refuseSimple(newError("26000", fmt.Sprintf("prepared statement %q does not exist", st.Name), ""))
	case p.statement == emptyStatement || p.statement.Kind != rewrite.KindQuery:
		return s.refuseSimple(&rewrite.UnsupportedError{
			Rule: "statement.execute", Node: "EXECUTE of this statement", Hint: "Use the messages of the protocol.",
		})
	}
	if err := s.renewTables(ctx, p); err != nil { // query has asked what is held
		return s.refuseSimple(err)
	}
	if err := s.lease(ctx); err != nil {
		return s.refuseSimple(err)
	}
	s.ensure(p)
	if !p.described {
		s.learnTypes(p)
		if err := s.flushGroup(); err != nil {
			return err
		}
		if s.conn == nil || s.skipping {
			return s.endGroup()
		}
	}
	args, err := p.arguments(st.Arguments)
	if err == nil {
		err = s.checkBind(p, args)
	}
	if err != nil {
		return s.refuseSimple(err)
	}
	if !s.confined && s.backend.confining {
		s.confineTransaction()
	}
	s.forgetSequences(p.statement.Sequences.Draws)
	msg, at := beginMessage(s.send, 'B')
	msg = args.appendWithKeys(appendCString(appendCString(msg, ""), p.serverName()), p.statement.Keys, s.values)
	s.send = finishMessage(msg, at)
	s.push(request{await: awaitBind, reply: replySkip, about: p})
	s.send = appendTarget(s.send, 'D', 'P', "")
	s.push(request{await: awaitDescribePortal, about: p, rowsOnly: true})
	s.send = appendExecute(s.send, "", 0)
	s.push(request{await: awaitExecute, about: p})
	s.send = appendTarget(s.send, 'C', 'P', "") // as a simple query leaves it
	s.push(request{await: awaitClose, reply: replySkip})
	delete(s.portals, "")
	delete(s.ownPortals, "")
	s.noteEffect(p.statement)
	return s.endGroup()
}

// arguments are those of EXECUTE as values of the parameters' types.
func (p *prepared) arguments(list []rewrite.Argument) (*bindArgs, error) {
	if len(list) != len(p.types) {
		return nil, &Error{
			Code: "42601", Message: fmt.Sprintf("wrong number of parameters for prepared statement %q", p.name),
			Detail: fmt.Sprintf("Expected %d parameters but got %d.", len(p.types), len(list)),
		}
	}
	args := &bindArgs{results: []byte{0, 0}}
	for i, a := range list {
		text, null, ok := a.For(p.types[i])
		switch {
		case !ok:
			return nil, &rewrite.UnsupportedError{
				Rule: "statement.execute", Node: fmt.Sprintf("EXECUTE with an argument that is converted to the type of parameter $%d", i+1),
				Hint: "Write the argument as a string.",
			}
		case null:
			args.values = append(args.values, nil)
		default:
			args.values = append(args.values, []byte(text))
		}
	}
	return args, nil
}

// endGroup ends what was a simple query to the client, and a group of messages
// to the server.
func (s *session) endGroup() error {
	if s.conn == nil { // lost: the client knows
		s.out = appendReady(s.out, s.status)
		if err := s.flush(); err != nil {
			return err
		}
		return s.settled()
	}
	s.send = appendBare(s.send, 'S')
	s.push(request{await: awaitSync})
	if err := s.exchange(); err != nil {
		return err
	}
	return s.settled()
}
