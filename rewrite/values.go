package rewrite

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// A Value is something of the tenant's that a statement is completed with: in
// the holes of its text, or as parameters behind the client's.
type Value uint8

// The values.
const (
	ValueKey         Value = iota // what tenant columns have
	ValueLock                     // what makes the number of an advisory lock the tenant's own
	ValueLockFirst                // the same for the first of two numbers
	ValueLockSecond               // and for the second
	ValueChannel                  // what makes the name of a channel the tenant's own
	ValueChannelNone              // what the empty name becomes by it
	ValueChannelLong              // and one that is too long
	ValueChannels                 // the channels that the session listens on, as an array
	valueCount
)

// Values are a tenant's, as text.
type Values [valueCount]string

// A Secret is what the secrets of tenants are made of, the same in all proxies
// before a database. Tenants do not know it.
type Secret [32]byte

// String hides the secret.
func (Secret) String() string { return "[redacted]" }

// GoString hides the secret.
func (Secret) GoString() string { return "[redacted]" }

// Values returns those of the tenant with a key.
func (s Secret) Values(key string) *Values {
	lock, channel := s.derive("lock", key), s.derive("channel", key)
	v := Values{
		ValueKey:        key,
		ValueLock:       strconv.FormatInt(int64(binary.BigEndian.Uint64(lock)), 10),  //nolint:gosec // any number will do
		ValueLockFirst:  strconv.Itoa(int(int32(binary.BigEndian.Uint32(lock[8:])))),  //nolint:gosec // as above
		ValueLockSecond: strconv.Itoa(int(int32(binary.BigEndian.Uint32(lock[12:])))), //nolint:gosec // as above
		ValueChannel:    hex.EncodeToString(channel),
		ValueChannels:   "{}",
	}
	v[ValueChannelNone], v[ValueChannelLong] = v.hash(""), v.hash(channelLong)
	return &v
}

func (s Secret) derive(purpose, key string) []byte {
	mac := hmac.New(sha256.New, s[:])
	mac.Write([]byte(purpose + ":" + key))
	return mac.Sum(nil)
}

// channelLong stands for all names that are too long.
const channelLong = "-"

// Channel is what the server calls a tenant's channel.
func (v *Values) Channel(name string) string { return v.hash(hex.EncodeToString([]byte(name))) }

// hash is of 56 characters: it fits into a name.
func (v *Values) hash(text string) string {
	sum := sha256.Sum224([]byte(v[ValueChannel] + text))
	return hex.EncodeToString(sum[:])
}
