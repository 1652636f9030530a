package auth

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
)

// DefaultIterations is what PostgreSQL hashes a password with unless told
// otherwise.
const DefaultIterations = 4096

const (
	verifierPrefix = "SCRAM-SHA-256$"
	saltLen        = 16
	maxIterations  = 10_000_000 // clients refuse more
)

// A Verifier is what is kept of a password: enough to check a client's proof,
// not enough to make one.
type Verifier struct {
	Iterations int
	Salt       []byte
	StoredKey  []byte
	ServerKey  []byte
}

// NewVerifier derives a verifier from a password with a random salt.
func NewVerifier(password string, iterations int) (Verifier, error) {
	salt := make([]byte, saltLen)
	if _, err := rand.Read(salt); err != nil {
		return Verifier{}, fmt.Errorf("read random salt: %w", err)
	}
	return deriveVerifier(password, salt, iterations)
}

// CheckPassword reports what is wrong with a Login's password: a verifier that
// is malformed, or text that cannot be one. Errors do not repeat it.
func CheckPassword(password string) error {
	if isVerifier(password) {
		_, err := ParseVerifier(password)
		return err
	}
	if digest, ok := strings.CutPrefix(password, "md5"); ok && len(digest) == 32 && strings.Trim(digest, "0123456789abcdef") == "" {
		return errors.New("an MD5 hash, which SCRAM-SHA-256 cannot use")
	}
	return checkPlain(password)
}

// checkPlain reports what is wrong with a password in plain text.
func checkPlain(password string) error {
	if password == "" {
		return errors.New("password is empty")
	}
	if strings.ContainsRune(password, 0) {
		return errors.New("password holds a NUL")
	}
	return nil
}

// isVerifier reports whether a password is meant to be a verifier rather than
// plain text.
func isVerifier(password string) bool { return strings.HasPrefix(password, verifierPrefix) }

// ParseVerifier reads a verifier as PostgreSQL keeps it in
// pg_authid.rolpassword. Errors do not repeat the text.
func ParseVerifier(text string) (Verifier, error) {
	rest, ok := strings.CutPrefix(text, verifierPrefix)
	if !ok {
		return Verifier{}, errors.New("not a SCRAM-SHA-256 verifier")
	}
	head, keys, ok := strings.Cut(rest, "$")
	iterations, salt, ok2 := strings.Cut(head, ":")
	stored, server, ok3 := strings.Cut(keys, ":")
	if !ok || !ok2 || !ok3 {
		return Verifier{}, errors.New("not of the form SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")
	}
	var v Verifier
	var err error
	if v.Iterations, err = strconv.Atoi(iterations); err != nil || v.Iterations < 1 || v.Iterations > maxIterations {
		return Verifier{}, fmt.Errorf("iterations of the verifier are not a number from 1 to %d", maxIterations)
	}
	for _, part := range []struct {
		name, text string
		dst        *[]byte
	}{{"salt", salt, &v.Salt}, {"StoredKey", stored, &v.StoredKey}, {"ServerKey", server, &v.ServerKey}} {
		if *part.dst, err = base64.StdEncoding.Strict().DecodeString(part.text); err != nil || len(*part.dst) == 0 {
			return Verifier{}, fmt.Errorf("%s of the verifier is not base64", part.name)
		}
	}
	if len(v.StoredKey) != sha256.Size || len(v.ServerKey) != sha256.Size {
		return Verifier{}, fmt.Errorf("keys of the verifier are not %d bytes", sha256.Size)
	}
	if v.Encode() != text { // base64 skips line breaks
		return Verifier{}, errors.New("verifier has characters that do not belong there")
	}
	return v, nil
}

// Encode writes the verifier as PostgreSQL keeps it.
func (v Verifier) Encode() string {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("%s%d:%s$%s:%s", verifierPrefix, v.Iterations, b64(v.Salt), b64(v.StoredKey), b64(v.ServerKey))
}

// String leaves salt and keys out.
func (v Verifier) String() string { return fmt.Sprintf("%s%d:…", verifierPrefix, v.Iterations) }

// GoString leaves salt and keys out.
func (v Verifier) GoString() string { return v.String() }

func deriveVerifier(password string, salt []byte, iterations int) (Verifier, error) {
	if err := checkPlain(password); err != nil {
		return Verifier{}, err
	}
	if iterations < 1 || iterations > maxIterations {
		return Verifier{}, fmt.Errorf("iterations are not a number from 1 to %d", maxIterations)
	}
	salted, err := pbkdf2.Key(sha256.New, prepare(password), salt, iterations, sha256.Size)
	if err != nil {
		return Verifier{}, fmt.Errorf("derive key: %w", err)
	}
	stored := sha256.Sum256(mac(salted, "Client Key"))
	return Verifier{
		Iterations: iterations,
		Salt:       salt,
		StoredKey:  stored[:],
		ServerKey:  mac(salted, "Server Key"),
	}, nil
}

func mac(key []byte, text ...string) []byte {
	h := hmac.New(sha256.New, key)
	for _, t := range text {
		h.Write([]byte(t))
	}
	return h.Sum(nil)
}

// saslPrep is stringprep.SASLprep, except that a zero width space becomes a
// space rather than nothing: PostgreSQL maps spaces first.
var saslPrep = stringprep.Profile{
	Mappings: append([]stringprep.Mapping{{
		'\u00A0': {' '}, '\u1680': {' '}, '\u2000': {' '}, '\u2001': {' '}, '\u2002': {' '}, '\u2003': {' '},
		'\u2004': {' '}, '\u2005': {' '}, '\u2006': {' '}, '\u2007': {' '}, '\u2008': {' '}, '\u2009': {' '},
		'\u200A': {' '}, '\u200B': {' '}, '\u202F': {' '}, '\u205F': {' '}, '\u3000': {' '},
	}}, stringprep.SASLprep.Mappings...),
	Normalize: stringprep.SASLprep.Normalize,
	Prohibits: stringprep.SASLprep.Prohibits,
	CheckBiDi: stringprep.SASLprep.CheckBiDi,
}

// prepare returns the password as it is hashed. Like PostgreSQL it takes one
// that SASLprep does not allow as it is.
func prepare(password string) string {
	if !utf8.ValidString(password) {
		return password
	}
	prepared, err := saslPrep.Prepare(password)
	if err != nil || prepared == "" {
		return password
	}
	return prepared
}

// A decoy makes up verifiers for users that do not exist: always the same for
// the same name, and nobody knows a password for them.
type decoy struct {
	secret     []byte
	iterations int
}

func (d decoy) salt(user string) []byte { return mac(d.secret, "salt:", user)[:saltLen] }

func (d decoy) verifier(user string) Verifier {
	return Verifier{
		Iterations: d.iterations,
		Salt:       d.salt(user),
		StoredKey:  mac(d.secret, "stored:", user),
		ServerKey:  mac(d.secret, "server:", user),
	}
}
