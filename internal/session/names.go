package session

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"unique"
)

// Names is a compact set of names, such as those of claims: a sorted list of hashes
// of four bytes each. Hashes of two names collide with a probability of 2⁻³². No
// protection depends on that.
type Names string

const nameSize = 4

// NamesOf returns the set of the names.
func NamesOf(names ...string) Names {
	hashes := make([]uint32, len(names))
	for i, name := range names {
		hashes[i] = hashName(name)
	}
	return namesOf(hashes)
}

func namesOf(hashes []uint32) Names {
	slices.Sort(hashes)
	hashes = slices.Compact(hashes)
	encoded := make([]byte, 0, nameSize*len(hashes))
	for _, hash := range hashes {
		encoded = binary.BigEndian.AppendUint32(encoded, hash)
	}
	return Names(encoded)
}

// interned returns the set in memory that is shared by all sessions with an equal
// set.
func (n Names) interned() Names {
	if n == "" {
		return ""
	}
	return unique.Make(n).Value()
}

func hashName(name string) uint32 {
	sum := sha256.Sum256([]byte(name))
	return binary.BigEndian.Uint32(sum[:])
}

// hashes returns the hashes, without an incomplete one at the end.
func (n Names) hashes() []uint32 {
	hashes := make([]uint32, 0, len(n)/nameSize)
	for ; len(n) >= nameSize; n = n[nameSize:] {
		hashes = append(hashes, binary.BigEndian.Uint32([]byte(n[:nameSize])))
	}
	return hashes
}

// Has reports whether the set contains a name.
func (n Names) Has(name string) bool { return slices.Contains(n.hashes(), hashName(name)) }

// And returns the union of two sets.
func (n Names) And(other Names) Names { return namesOf(append(n.hashes(), other.hashes()...)) }

// Without returns the names that another set does not contain.
func (n Names) Without(other Names) Names {
	theirs := other.hashes()
	return namesOf(slices.DeleteFunc(n.hashes(), func(hash uint32) bool { return slices.Contains(theirs, hash) }))
}

// contains reports whether all names of another set are in this one.
func (n Names) contains(other Names) bool { return other.Without(n) == "" }
