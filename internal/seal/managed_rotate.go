package seal

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"
)

// Key is what may be known of a managed key: never the key itself.
type Key struct {
	// ID is what sealed values name it by, in hexadecimal.
	ID      string
	Created time.Time
	// Seals: it is the one that seals now.
	Seals bool
	// SealsFrom is when it began to seal, or will.
	SealsFrom time.Time
	// OpensUntil is when the last sessions that it sealed are over. It is zero
	// for the newest key, which opens until that long after its successor.
	OpensUntil time.Time
}

// Keys returns the keys after a look at the storage, the sealing one first. With
// an error they are those in memory, if there are any.
func (m *Managed) Keys(ctx context.Context) ([]Key, error) {
	looked := m.look(ctx, true)
	wait, cancel := context.WithTimeout(ctx, lookWithin)
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

// SealingSince returns when the key that seals was made, as far as keys were read; known
// is false before that.
func (m *Managed) SealingSince() (since time.Time, known bool) {
	milliseconds := m.sealing.Load()
	return time.UnixMilli(milliseconds), milliseconds != 0
}

// Rotation returns the interval at which the keys are rotated by themselves.
func (m *Managed) Rotation() time.Duration {
	rotate, _ := m.demanded()
	return rotate
}

// Rotate makes a new key before it is time, which is published before it seals
// like any other. While one waits already, none is made.
//
// Where the keys are compromised all of them are withdrawn, and the new one
// seals at once: what they had sealed opens no longer here when Rotate returns,
// and on other instances when they look at the storage next, which they do
// about every minute, and as soon as they meet the new key. No instance that
// has learned of it takes a withdrawn key again, whoever writes it back.
func (m *Managed) Rotate(ctx context.Context, compromised bool) (made bool, err error) {
	wait, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	if err := m.take(wait); err != nil {
		return false, err
	}
	now := m.now()
	var done atomic.Bool // the work goes on after the caller has left
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

// hasWaiting reports whether there is a new key already that is about to seal.
func (f *keyFile) hasWaiting(now time.Time) bool {
	return len(f.Keys) > 1 && slices.ContainsFunc(f.Keys, func(k managedSecret) bool {
		return k.waits(now) && k.Created.Before(now.Add(ahead))
	})
}
