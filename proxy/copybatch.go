package proxy

import (
	"encoding/binary"

	"tenantgate/rewrite"
)

// The rows of a COPY FROM STDIN that go in by INSERTs do so in batches. A
// batch's parameters are arrays, one for each column: of them the server makes
// rows faster than of as many single values. For types without arrays they are
// the values of all rows.

const (
	// arrayRows and valueRows are how many rows one INSERT takes at most.
	arrayRows = 1024
	valueRows = 64
	// copyBatchBytes is about how much its rows hold. Longer ones go one by one.
	copyBatchBytes = 128 << 10

	// oddRows go one by one for a value that is not plain: what the server refuses is
	// among them, and its error tells the line then.
	oddRows = 8
)

// A copyBatch gathers rows. What is ready to be sent are whole INSERTs.
type copyBatch struct {
	one    *prepared // INSERT of one row
	many   *prepared // of a batch
	binary bool      // what the rows are in
	limit  int       // rows of a batch at most
	key    []byte    // what many takes behind the arrays, if not nil

	odd    int         // rows with a value that is not plain
	lines  copiedRows  // of the batch under way
	rows   int         // of it
	size   int         // bytes of their values
	arrays []copyArray // them, one for each column that many takes; nil if they are values
	values [][]byte    // them one after the other, of text
	text   []byte

	ready   []byte // Bind and Execute of each INSERT
	inserts []copyInsert
}

// A copyInsert is one INSERT that is ready.
type copyInsert struct {
	statement *prepared
	end       int // of its messages in ready
	rows      *copiedRows
}

// add takes one row in, which was on that line.
func (b *copyBatch) add(fields [][]byte, line int) {
	size := 0
	for _, f := range fields {
		size += len(f)
	}
	if size >= copyBatchBytes || !b.read(fields) {
		b.close()
		b.lines.first, b.lines.last = line, line
		b.insert(b.one, fields)
		return
	}
	for i := range b.arrays {
		a := &b.arrays[i]
		a.add(fields[a.column])
	}
	if b.arrays == nil {
		b.addValues(fields)
	}
	if b.rows == 0 {
		b.lines.first = line
	}
	b.lines.last = line
	b.rows++
	if b.size += size; b.rows == b.limit || b.size >= copyBatchBytes {
		b.close()
	}
}

// read reads the elements of a row that is to be added to the arrays. ok is false
// if it cannot be in one of them. Where that is usual, such arrays are of text from
// there on.
func (b *copyBatch) read(fields [][]byte) (ok bool) {
	for i := range b.arrays {
		switch a := &b.arrays[i]; {
		case a.read(fields[a.column]):
		case b.odd < oddRows:
			b.odd++
			return false
		default:
			b.close()
			a.form, a.element = nil, 0
			a.begin()
		}
	}
	return true
}

func (b *copyBatch) addValues(fields [][]byte) {
	for _, f := range fields {
		if f == nil {
			b.values = append(b.values, nil)
			continue
		}
		start := len(b.text)
		b.text = append(b.text, f...)
		b.values = append(b.values, b.text[start:len(b.text):len(b.text)])
	}
}

// close makes the rows at hand ready, however few they are.
func (b *copyBatch) close() {
	switch {
	case b.rows == 0:
		return
	case b.arrays != nil:
		b.insertArrays()
	case b.rows == b.limit:
		b.insert(b.many, b.values)
	default:
		n := len(b.values) / b.rows
		for i := 0; n > 0 && i < len(b.values); i += n {
			b.insert(b.one, b.values[i:i+n])
		}
	}
	b.rows, b.size = 0, 0
	b.values, b.text = b.values[:0], b.text[:0]
}

// insert makes one INSERT of values ready.
func (b *copyBatch) insert(p *prepared, values [][]byte) {
	args := bindArgs{values: values}
	if b.binary {
		args.formats = []byte{0, 1}
	}
	b.append(p, &args)
}

// insertArrays makes one of arrays ready.
func (b *copyBatch) insertArrays() {
	var args bindArgs
	for i := range b.arrays {
		a := &b.arrays[i]
		args.values = append(args.values, a.end(b.rows))
		args.formats = binary.BigEndian.AppendUint16(args.formats, a.format())
	}
	if b.key != nil {
		args.values = append(args.values, b.key)
		args.formats = append(args.formats, 0, 0)
	}
	b.append(b.many, &args)
	for i := range b.arrays {
		b.arrays[i].begin()
	}
}

func (b *copyBatch) append(p *prepared, args *bindArgs) {
	args.results = []byte{0, 0}
	msg, at := beginMessage(b.ready, 'B')
	msg = appendCString(append(msg, 0), p.serverName())
	b.ready = finishMessage(args.appendWithKeys(msg, p.statement.Keys, p.values), at)
	b.ready = appendExecute(b.ready, "", 0)
	lines := b.lines
	b.inserts = append(b.inserts, copyInsert{p, len(b.ready), &lines})
}

// sent is called when what was ready is on its way.
func (b *copyBatch) sent() {
	b.ready, b.inserts = b.ready[:0], b.inserts[:0]
}

// A copyArray is a column of a batch as a one-dimensional array, in the format
// of array_send if element is its element type, or else of array_out.
type copyArray struct {
	column  int // of the stream
	element uint32
	form    binaryForm // of its elements; nil if they are added as they come
	value   []byte     // of the last element read, in that form
	data    []byte
	null    bool // an element is
}

// newCopyArrays makes an array for each column of a stream that InsertArrays has.
func newCopyArrays(in *rewrite.CopyIn) (arrays []copyArray) {
	for i, c := range in.Columns {
		if i == in.KeyColumn {
			continue
		}
		a := copyArray{column: i}
		if in.Format == rewrite.CopyBinary {
			a.element = c.Type
		} else if form, ok := binaryForms[c.Type]; ok {
			a.element, a.form = c.Type, form
		}
		a.begin()
		arrays = append(arrays, a)
	}
	return arrays
}

// arrayHead is the size of what array_send puts before the elements: the number
// of dimensions, whether there are nulls, the element type, and of the one
// dimension the length and the lower bound.
const arrayHead = 5 * 4

func (a *copyArray) begin() {
	a.data, a.null = a.data[:0], false
	if a.element != 0 {
		a.data = append(a.data, make([]byte, arrayHead)...)
	} else {
		a.data = append(a.data, '{')
	}
}

// read reads an element that is to be added next. It reports whether it can be
// in this array.
func (a *copyArray) read(value []byte) (ok bool) {
	if a.form == nil || value == nil {
		return true
	}
	a.value, ok = a.form(a.value[:0], value)
	return ok
}

func (a *copyArray) add(value []byte) {
	null := value == nil
	if a.form != nil && !null {
		value = a.value
	}
	switch {
	case a.element != 0 && null:
		a.null = true
		a.data = appendNull(a.data)
	case a.element != 0:
		a.data = appendValue(a.data, value)
	case null:
		a.data = append(a.data, "NULL,"...)
	default:
		a.data = append(a.data, '"')
		for {
			n := arraySpecial.index(value)
			if a.data = append(a.data, value[:n]...); n == len(value) {
				break
			}
			a.data = append(a.data, '\\', value[n])
			value = value[n+1:]
		}
		a.data = append(a.data, '"', ',')
	}
}

// arraySpecial is what an element in quotes has a backslash before.
var arraySpecial = newByteSet('\\', '"')

// end returns the whole array of so many elements, of which there is one at
// least.
func (a *copyArray) end(elements int) []byte {
	if a.element == 0 {
		a.data[len(a.data)-1] = '}'
		return a.data
	}
	hasNull := uint32(0)
	if a.null {
		hasNull = 1
	}
	for i, word := range []uint32{1, hasNull, a.element, uint32(elements), 1} {
		binary.BigEndian.PutUint32(a.data[4*i:], word)
	}
	return a.data
}

func (a *copyArray) format() uint16 {
	if a.element != 0 {
		return 1
	}
	return 0
}
