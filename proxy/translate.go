package proxy

// Translate says in PostgreSQL's terms what a client is told about err. If it
// is not to be told, internal is true and e says only that.
func Translate(err error) (e *Error, internal bool) { return translate(err) }
