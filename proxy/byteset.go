package proxy

import (
	"encoding/binary"
	"math/bits"
)

// A byteSet is a set of up to five bytes that mean something. What holds none of
// them is passed over eight bytes at a time.
type byteSet struct {
	has   [256]bool
	words [5]uint64 // each byte of the set eight times, and the last one again
}

func newByteSet(bytes ...byte) *byteSet {
	var s byteSet
	for i, b := range bytes {
		s.has[b] = true
		for k := i; k < len(s.words); k++ {
			s.words[k] = uint64(b) * lowBits
		}
	}
	return &s
}

const (
	lowBits  = 0x0101010101010101
	highBits = 0x8080808080808080
)

// index is where the first byte of the set is in b, or the length of b.
func (s *byteSet) index(b []byte) int {
	i := 0
	w0, w1, w2, w3, w4 := s.words[0], s.words[1], s.words[2], s.words[3], s.words[4]
	for ; len(b)-i >= 8; i += 8 {
		word := binary.LittleEndian.Uint64(b[i:])
		found := (zeros(word^w0) | zeros(word^w1) | zeros(word^w2) | zeros(word^w3) | zeros(word^w4)) & highBits
		if found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(b); i++ {
		if s.has[b[i]] {
			break
		}
	}
	return i
}

// zeros has the high bit set of the first byte that is zero, and perhaps of some
// behind it ("Determine if a word has a zero byte", Bit Twiddling Hacks).
func zeros(word uint64) uint64 { return (word - lowBits) &^ word }
