package seal

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"
)

// keyFile is the stored form of a managed ring.
type keyFile struct {
	Keys []managedSecret `json:"keys"`
	// Retain is the longest session lifetime of all users of the ring, in seconds.
	// A key opens for that long after its rotation. It only grows.
	Retain int64 `json:"retain"`
	// Withdrawn are the prints of keys that must not be used again; see Rotate.
	Withdrawn []string `json:"withdrawn,omitempty"`

	damaged bool // the stored file has to be written again from memory
}

type managedSecret struct {
	Secret  []byte    `json:"secret"`
	Created time.Time `json:"created"`
	// AtOnce reports that there was no other key when this one was made, so that it
	// seals at once.
	AtOnce bool `json:"at_once,omitempty"`
}

// add adds a new key. It is dated after the others, even if clocks differ.
func (f *keyFile) add(now time.Time) {
	key := managedSecret{Secret: make([]byte, MinSecret), Created: now.UTC().Truncate(time.Second), AtOnce: len(f.Keys) == 0}
	rand.Read(key.Secret)
	if newest := f.newest(now); !newest.Before(key.Created) {
		key.Created = newest.Add(time.Second)
	}
	f.Keys = append(slices.Clone(f.Keys), key)
}

// newest returns when the newest key was made, ignoring keys from too far in the
// future.
func (f *keyFile) newest(now time.Time) (newest time.Time) {
	for _, key := range f.Keys {
		if key.Created.After(newest) && key.Created.Before(now.Add(ahead)) {
			newest = key.Created
		}
	}
	return newest
}

// waits reports whether a key only opens for now, because some nodes may not have
// read it yet. A key from a clock that is far ahead waits long.
func (k managedSecret) waits(now time.Time) bool {
	return now.Before(k.sealsFrom()) && !(k.AtOnce && k.Created.Before(now.Add(ahead)))
}

// sealsFrom returns when a key begins to seal.
func (k managedSecret) sealsFrom() time.Time {
	if k.AtOnce {
		return k.Created
	}
	return k.Created.Add(published)
}

// rotationDue reports whether a new key is due.
func rotationDue(file keyFile, rotate time.Duration, now time.Time) bool {
	if len(file.Keys) == 0 {
		return true
	}
	return rotate > 0 && now.Sub(file.newest(now)) >= rotate
}

// stillOpening returns the keys that still open, newest first. It drops those whose
// last sessions have expired: a key stops sealing when its successor is published,
// and every node has noticed that by its own clock.
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

// opensUntil returns how long the key with the given successor opens.
func (f *keyFile) opensUntil(successor managedSecret) time.Time {
	return successor.Created.Add(2 * published).Add(time.Duration(f.Retain) * time.Second)
}

// withdraw removes the keys that this file, or the last one that was read, lists as
// withdrawn. If the file was written from an older memory or backup that lacks some
// of them, it is marked to be written again.
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

// print returns a hash that identifies a withdrawn key.
func (k managedSecret) print() string {
	sum := sha256.Sum256(append([]byte("withdrawn "), k.Secret...))
	return hex.EncodeToString(sum[:16])
}

func sameSecret(a, b managedSecret) bool {
	return a.Created.Equal(b.Created) && slices.Equal(a.Secret, b.Secret)
}
