package proxy

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

const int8OID = 20

// A consolePortal is a command bound to a portal, with what it has answered and
// not sent yet.
type consolePortal struct {
	command *command // nil: the text held none
	formats []uint16 // of the results: none, one for all, or one for each
	ran     bool
	outcome
	sent int
}

// parse prepares a command.
func (c *console) parse(body []byte) error {
	name, text, oids, err := decodeParse(body)
	if err != nil {
		return err
	}
	cmd, err := parseCommand(text)
	switch {
	case err != nil:
		return c.refuse(err)
	case len(oids) > 0:
		return c.refuse(newError("42601", "commands of the console have no parameters", ""))
	case name != "" && c.has(name):
		return c.refuse(newError("42P05", fmt.Sprintf("prepared statement %q already exists", name), ""))
	case len(c.statements) >= maxConsoleNames && !c.has(name):
		return c.refuse(newError("54000", "too many prepared statements", ""))
	}
	c.statements[name] = cmd
	c.out = appendBare(c.out, '1')
	return c.bound()
}

func (c *console) has(statement string) bool {
	_, ok := c.statements[statement]
	return ok
}

// bind binds a command to a portal.
func (c *console) bind(body []byte) error {
	portal, rest, err := cstring(body)
	if err != nil {
		return err
	}
	name, rest, err := cstring(rest)
	if err != nil {
		return err
	}
	var args bindArgs
	if err := args.decode(rest); err != nil {
		return err
	}
	cmd := c.statements[name]
	p := &consolePortal{command: cmd}
	for codes := args.results[2:]; len(codes) > 0; codes = codes[2:] {
		p.formats = append(p.formats, binary.BigEndian.Uint16(codes))
	}
	columns := 0
	if cmd != nil {
		columns = len(c.columns(cmd))
	}
	switch {
	case !c.has(name):
		return c.refuse(noStatement(name))
	case args.count() > 0:
		return c.refuse(newError("08P01", fmt.Sprintf("bind message supplies %d parameters, but prepared statement %q requires 0", args.count(), name), ""))
	case len(p.formats) > 1 && len(p.formats) != columns:
		return c.refuse(newError("08P01", fmt.Sprintf("bind message has %d result formats but query has %d columns", len(p.formats), columns), ""))
	case portal != "" && c.portals[portal] != nil:
		return c.refuse(portalExists(portal))
	case len(c.portals) >= maxConsoleNames:
		return c.refuse(newError("54000", "too many portals", ""))
	}
	for _, format := range p.formats {
		if format > 1 {
			return c.refuse(newError("22023", fmt.Sprintf("invalid format code: %d", format), ""))
		}
	}
	c.portals[portal] = p
	c.out = appendBare(c.out, '2')
	return c.bound()
}

func noStatement(name string) error {
	if name == "" {
		return newError("26000", "unnamed prepared statement does not exist", "")
	}
	return newError("26000", fmt.Sprintf("prepared statement %q does not exist", name), "")
}

// describe tells what columns a statement or portal has.
func (c *console) describe(body []byte) error {
	what, name, err := decodeTarget(body)
	if err != nil {
		return err
	}
	var cmd *command
	var formats []uint16
	if what == 'S' {
		if !c.has(name) {
			return c.refuse(noStatement(name))
		}
		cmd = c.statements[name]
		c.out = append(c.out, 't', 0, 0, 0, 6, 0, 0)
	} else {
		p := c.portals[name]
		if p == nil {
			return c.refuse(noPortal(name))
		}
		cmd, formats = p.command, p.formats
	}
	if cmd == nil || c.columns(cmd) == nil {
		c.out = appendBare(c.out, 'n')
	} else {
		c.out = appendColumns(c.out, c.columns(cmd), formats)
	}
	return c.bound()
}

// execute runs a portal, or goes on where its last Execute has stopped.
func (c *console) execute(body []byte) error {
	name, rest, err := cstring(body)
	if err != nil || len(rest) != 4 {
		return errMalformed
	}
	p := c.portals[name]
	switch {
	case p == nil:
		return c.refuse(noPortal(name))
	case p.command == nil:
		c.out = appendBare(c.out, 'I')
		return c.bound()
	case p.ran && p.sent == len(p.rows) && c.columns(p.command) == nil:
		return c.refuse(newError("55000", fmt.Sprintf("portal %q cannot be run", name), ""))
	case !p.ran:
		if p.outcome, err = c.carryOut(p.command); err != nil {
			return c.refuse(err)
		}
		p.ran = true
	}
	limit := len(p.rows)
	if most := int(binary.BigEndian.Uint32(rest)); most > 0 {
		limit = min(limit, p.sent+most)
	}
	for ; p.sent < limit; p.sent++ {
		c.out = appendRow(c.out, c.columns(p.command), p.rows[p.sent], p.formats)
		if err := c.bound(); err != nil {
			return err
		}
	}
	if p.sent < len(p.rows) {
		c.out = appendBare(c.out, 's')
	} else {
		c.out = append(c.out, commandComplete(p.tag)...)
	}
	return c.bound()
}

// close forgets a statement or portal.
func (c *console) close(body []byte) error {
	what, name, err := decodeTarget(body)
	if err != nil {
		return err
	}
	if what == 'S' {
		delete(c.statements, name)
	} else {
		delete(c.portals, name)
	}
	c.out = appendBare(c.out, '3')
	return c.bound()
}

// refuse fails the group, up to its Sync.
func (c *console) refuse(err error) error {
	c.fail(err)
	c.skipping = true
	return c.bound()
}

// bound keeps answers from being held in memory.
func (c *console) bound() error {
	if len(c.out) < directWrite {
		return nil
	}
	return c.flush()
}

// formatOf is the format of the i-th column.
func formatOf(formats []uint16, i int) uint16 {
	switch len(formats) {
	case 0:
		return 0
	case 1:
		return formats[0]
	default:
		return formats[i]
	}
}

func appendColumns(dst []byte, columns []column, formats []uint16) []byte {
	dst, at := beginMessage(dst, 'T')
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(columns)))
	for i, col := range columns {
		oid, size := uint32(textOID), uint16(0xffff)
		if col.number {
			oid, size = int8OID, 8
		}
		dst = append(appendCString(dst, col.name), 0, 0, 0, 0, 0, 0) // of no table
		dst = binary.BigEndian.AppendUint32(dst, oid)
		dst = binary.BigEndian.AppendUint16(dst, size)
		dst = append(dst, 0xff, 0xff, 0xff, 0xff) // without a modifier
		dst = binary.BigEndian.AppendUint16(dst, formatOf(formats, i))
	}
	return finishMessage(dst, at)
}

func appendRow(dst []byte, columns []column, values row, formats []uint16) []byte {
	dst, at := beginMessage(dst, 'D')
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(columns)))
	for i, col := range columns {
		switch value := values[i].(type) {
		case nil:
			dst = appendNull(dst)
		case int64:
			if formatOf(formats, i) == 1 && col.number {
				dst = append(dst, 0, 0, 0, 8)
				dst = binary.BigEndian.AppendUint64(dst, uint64(value))
				continue
			}
			dst = appendValue(dst, strconv.FormatInt(value, 10))
		default:
			dst = appendValue(dst, value.(string))
		}
	}
	return finishMessage(dst, at)
}
