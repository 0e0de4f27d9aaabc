package seal

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"
)

// keyFile is what the storage holds.
type keyFile struct {
	Keys []managedSecret `json:"keys"`
	// Retain is the longest session lifetime of all who use the ring, in
	// seconds: so long a key opens after its rotation. It only grows.
	Retain int64 `json:"retain"`
	// Withdrawn are the prints of keys that must not come back; see Rotate.
	Withdrawn []string `json:"withdrawn,omitempty"`

	damaged bool // what is here is from memory; the storage needs it
}

type managedSecret struct {
	Secret  []byte    `json:"secret"`
	Created time.Time `json:"created"`
	// AtOnce: when it was made there was no other key to seal with.
	AtOnce bool `json:"at_once,omitempty"`
}

// add puts a new key into the file. It is younger than the others, whatever the
// clocks of who made these.
func (f *keyFile) add(now time.Time) {
	key := managedSecret{Secret: make([]byte, MinSecret), Created: now.UTC().Truncate(time.Second), AtOnce: len(f.Keys) == 0}
	rand.Read(key.Secret)
	if newest := f.newest(now); !newest.Before(key.Created) {
		key.Created = newest.Add(time.Second)
	}
	f.Keys = append(slices.Clone(f.Keys), key)
}

// newest is when the newest key was made, as far as clocks can be believed.
func (f *keyFile) newest(now time.Time) (newest time.Time) {
	for _, key := range f.Keys {
		if key.Created.After(newest) && key.Created.Before(now.Add(ahead)) {
			newest = key.Created
		}
	}
	return newest
}

// waits reports whether a key is only opened with yet, since not all instances
// need have read it. One that a clock which is far ahead has made waits long.
func (k managedSecret) waits(now time.Time) bool {
	return now.Before(k.sealsFrom()) && !(k.AtOnce && k.Created.Before(now.Add(ahead)))
}

// sealsFrom is when a key begins to seal.
func (k managedSecret) sealsFrom() time.Time {
	if k.AtOnce {
		return k.Created
	}
	return k.Created.Add(published)
}

// rotationDue reports whether it is time for a new key.
func rotationDue(file keyFile, rotate time.Duration, now time.Time) bool {
	if len(file.Keys) == 0 {
		return true
	}
	return rotate > 0 && now.Sub(file.newest(now)) >= rotate
}

// stillOpening returns the keys, the newest first, without those whose last
// sessions are over: a key ceased to seal when its successor was published,
// and every instance had noticed by its own clock.
func stillOpening(file keyFile, now time.Time) []managedSecret {
	keys := slices.Clone(file.Keys)
	slices.SortFunc(keys, func(a, b managedSecret) int {
		return cmp.Or(b.Created.Compare(a.Created), slices.Compare(a.Secret, b.Secret))
	})
	for i := 1; i < len(keys); i++ {
		if now.After(file.opensUntil(keys[i-1])) {
			return keys[:i]
		}
	}
	return keys
}

// opensUntil is how long a key opens whose successor is the given one.
func (f *keyFile) opensUntil(successor managedSecret) time.Time {
	return successor.Created.Add(2 * published).Add(time.Duration(f.Retain) * time.Second)
}

// withdraw takes away the keys that the file, or who had read it last, knows to
// be withdrawn. Who writes the file without knowing that, from a memory or a
// backup of before, has it written again.
func (f *keyFile) withdraw(last keyFile) {
	keys, known := len(f.Keys), len(f.Withdrawn)
	for _, print := range last.Withdrawn {
		if !slices.Contains(f.Withdrawn, print) {
			f.Withdrawn = append(f.Withdrawn, print)
		}
	}
	f.Keys = slices.DeleteFunc(f.Keys, f.isWithdrawn)
	if len(f.Keys) == keys && len(f.Withdrawn) == known {
		return
	}
	f.damaged = true
	for _, key := range last.Keys {
		if !f.isWithdrawn(key) && !slices.ContainsFunc(f.Keys, func(k managedSecret) bool { return sameSecret(k, key) }) {
			f.Keys = append(f.Keys, key)
		}
	}
}

func (f *keyFile) isWithdrawn(key managedSecret) bool {
	return len(f.Withdrawn) > 0 && slices.Contains(f.Withdrawn, key.print())
}

// print names a key in the file when the key itself must not be there.
func (k managedSecret) print() string {
	sum := sha256.Sum256(append([]byte("withdrawn "), k.Secret...))
	return hex.EncodeToString(sum[:16])
}

func sameSecret(a, b managedSecret) bool {
	return a.Created.Equal(b.Created) && slices.Equal(a.Secret, b.Secret)
}
