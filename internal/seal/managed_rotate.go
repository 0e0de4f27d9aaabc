package seal

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// Key describes a managed key without its secret.
type Key struct {
	// ID is the key's id in sealed values, in hexadecimal.
	ID      string
	Created time.Time
	// Seals reports whether the key seals now.
	Seals bool
	// SealsFrom is when the key begins to seal.
	SealsFrom time.Time
	// OpensUntil is when the last sessions that the key sealed expire. It is zero
	// for the newest key, which has no successor yet.
	OpensUntil time.Time
}

// Keys reads the storage and returns the keys, the sealing one first. If it fails,
// it also returns the keys in memory, if there are any.
func (m *Managed) Keys(ctx context.Context) ([]Key, error) {
	looked := m.readShared(ctx, true)
	wait, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := m.take(wait); err != nil {
		return nil, errors.Join(looked, err)
	}
	defer m.turn.Give()
	ring := m.ring.Load()
	if ring == nil {
		return nil, looked
	}
	byAge := stillOpening(m.last, m.now())
	keys := make([]Key, 0, len(m.used))
	for i, id := range ring.IDs() {
		secret := m.used[i]
		key := Key{ID: id, Created: secret.Created, Seals: i == 0, SealsFrom: secret.sealsFrom()}
		if age := slices.IndexFunc(byAge, func(k managedSecret) bool { return sameSecret(k, secret) }); age > 0 {
			key.OpensUntil = m.last.opensUntil(byAge[age-1])
		}
		keys = append(keys, key)
	}
	return keys, looked
}

// SealingSince returns when the sealing key was made. known is false if no keys
// have been read.
func (m *Managed) SealingSince() (since time.Time, known bool) {
	milliseconds := m.sealing.Load()
	return time.UnixMilli(milliseconds), milliseconds != 0
}

// Rotation returns the interval of automatic rotation.
func (m *Managed) Rotation() time.Duration {
	rotate, _ := m.demanded()
	return rotate
}

// Rotate adds a new key before it is due. Like any other, it is published before it
// seals. If a key is already waiting to seal, Rotate adds none.
//
// If the keys are compromised, all of them are withdrawn, and the new one seals at
// once. When Rotate returns, values with the old keys no longer open here. Other
// nodes stop opening them when they next read the storage, which they do about
// every minute, and as soon as they see a value with the new key. No node that has
// learned of the withdrawal uses a withdrawn key again, even if it is written back.
func (m *Managed) Rotate(ctx context.Context, compromised bool) (made bool, err error) {
	wait, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if err := m.take(wait); err != nil {
		return false, err
	}
	now := m.now()
	var done atomic.Bool // the work may outlive this call
	err = m.work(wait, func(ctx context.Context) error {
		file, err := m.write(ctx, now, func(file *keyFile) bool {
			if !compromised && file.hasWaiting(now) {
				return false
			}
			if compromised {
				for _, key := range append(slices.Clone(file.Keys), m.last.Keys...) {
					if !file.isWithdrawn(key) {
						file.Withdrawn = append(file.Withdrawn, key.print())
					}
				}
				file.Keys = nil
			}
			_, retain := m.demanded()
			file.Retain = max(file.Retain, retain)
			file.add(now)
			done.Store(true)
			return true
		})
		if len(file.Keys) > 0 {
			err = errors.Join(err, m.use(file, now))
		}
		return err
	})
	if err != nil {
		return false, err
	}
	return done.Load(), nil
}

// hasWaiting reports whether a new key is already waiting to seal.
func (f *keyFile) hasWaiting(now time.Time) bool {
	return len(f.Keys) > 1 && slices.ContainsFunc(f.Keys, func(k managedSecret) bool {
		return k.waits(now) && k.Created.Before(now.Add(ahead))
	})
}
