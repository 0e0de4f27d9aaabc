package sessionstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

const (
	// maxRecord is the maximum size of a record in bytes. A larger one is a mistake of
	// the provider and would slow down every request.
	maxRecord = 256 << 10
	// readyKey is loaded to find out whether the store works.
	readyKey = "ready"
	// updateTries is how often Update tries to replace a record that other nodes
	// change at the same time.
	updateTries = 3
)

var (
	errRecords   = errors.New("the store returned another number of records than was asked for")
	errElsewhere = errors.New("keep the session: the login host keeps its sessions elsewhere")
	errContended = errors.New("keep the session's new state: others change it all the time")
)

// Store is the session store that a Manager uses. Its contract is that of
// store.Store.
type Store interface {
	Load(ctx context.Context, keys ...string) (records [][]byte, err error)
	Reload(ctx context.Context, keys ...string) (records [][]byte, err error)
	Save(ctx context.Context, key string, record []byte, expires time.Time) error
	Replace(ctx context.Context, key string, old, record []byte, expires time.Time) (done bool, err error)
	Delete(ctx context.Context, keys ...string) error
}

// Versioned is a Store that reports changes. Its contract is that of
// store.Versioned.
type Versioned interface {
	Version() uint64
}

// Records configures a Manager that keeps sessions in a store. The revocations of
// all nodes that share the store are in Log or Revoked; exactly one of them is set.
type Records struct {
	Store   Store
	Log     *revocation.Log     // on the same storage as the store
	Revoked *revocation.Records // in the store itself
	// Versioned is the store itself, if it reports changes and Revoked is set.
	Versioned Versioned
}

// recordManager seals each session with a secret of its own. Only the browser has
// it: its cookie is a ticket with that secret.
type recordManager struct {
	base
	Records
}

// NewRecordManager returns a Manager that keeps sessions in a store.
func NewRecordManager(c Config, in Records) Manager {
	return &recordManager{newBase(c), in}
}

// Load implements Manager. It reads from the store on every request: the session's
// record and, if revocations are in the store, those that could apply to the
// session. An unchanged record is not opened again, and a store whose version is
// unchanged is not read.
func (m *recordManager) Load(ctx context.Context, ring *seal.Ring, aad, value string, now time.Time) (*Loaded, error) {
	k := m.key(ring, aad, value)
	l := m.Cache.get(&k)
	found := l != nil
	version := uint64(0)
	if m.Versioned != nil {
		version = m.Versioned.Version() // before reading, so that the next Load sees concurrent changes
	}
	if found && version != 0 && l.version.Load() == version {
		if m.expired(&l.Session, now) {
			openedExpired.Inc()
			return nil, nil
		}
		return l, nil // nothing has changed since the last check
	}
	if !found {
		t, stale, err := openTicket(ring, aad, value)
		if err != nil {
			return nil, unlessUnknownKey(err)
		}
		l = &Loaded{Stale: stale, ticket: t, keys: []string{t.key}}
	}
	records, err := m.load(ctx, l.keys)
	if err != nil {
		return nil, err
	}
	if records[0] == nil {
		m.Cache.remove(k)
		openedEnded.Inc()
		return nil, nil
	}
	if !bytes.Equal(records[0], l.record) {
		newer, err := m.read(aad, l, records[0])
		if err != nil {
			openedInvalid.Inc()
			return nil, nil // a record that does not open is not a session
		}
		if !found && m.Revoked != nil { // only now the keys of its revocations are known
			if records, err = m.load(ctx, newer.keys); err != nil {
				return nil, err
			}
			if records[0] == nil {
				openedEnded.Inc()
				return nil, nil
			}
			if newer, err = m.read(aad, l, records[0]); err != nil {
				return nil, nil
			}
		}
		l = newer
		m.Cache.set(k.cloned(), l)
		m.Opened(&l.Session, aad, value)
	}
	if m.expired(&l.Session, now) {
		openedExpired.Inc()
		return nil, nil
	}
	if revoked, err := m.revoked(ctx, l, records); revoked || err != nil {
		return nil, countRevoked(err)
	}
	l.version.Store(version)
	return l, nil
}

func (m *recordManager) load(ctx context.Context, keys []string) ([][]byte, error) {
	records, err := m.Store.Load(ctx, keys...)
	if err == nil && len(records) != len(keys) {
		err = errRecords
	}
	return records, err
}

// read decodes the session of a record.
func (m *recordManager) read(aad string, l *Loaded, record []byte) (*Loaded, error) {
	plain, err := l.ticket.secret.Open(aad, record)
	if err != nil {
		return nil, err
	}
	newer := &Loaded{Stale: l.Stale, ticket: l.ticket, record: record, keys: l.keys}
	if err := newer.Session.Decode(plain); err != nil {
		return nil, err
	}
	if m.Revoked != nil {
		newer.keys = append([]string{l.ticket.key}, m.target(newer).Keys()...)
		if parent := newer.Session.Parent; parent != nil {
			newer.keys = append(newer.keys, parent.Key)
		}
	}
	return newer, nil
}

// revoked reports whether the session was revoked. records are those of l.keys.
func (m *recordManager) revoked(ctx context.Context, l *Loaded, records [][]byte) (bool, error) {
	if m.Revoked != nil {
		records = records[1:]
		if l.Session.IsHandedOver() { // the last record is its parent's
			last := len(records) - 1
			if records[last] == nil {
				return true, nil
			}
			records = records[:last]
		}
		return m.target(l).RevokedBy(records), nil
	}
	if err := m.Log.Ready(ctx); err != nil {
		return false, err
	}
	return m.revokedIn(m.Log, l), nil
}

func (m *recordManager) Valid(ctx context.Context, l *Loaded) (bool, error) {
	records, err := m.Store.Reload(ctx, l.keys...)
	if err != nil {
		return false, err
	}
	if len(records) != len(l.keys) {
		return false, errRecords
	}
	if records[0] == nil {
		return false, nil
	}
	revoked, err := m.revoked(ctx, l, records)
	return !revoked, err
}

func (m *recordManager) EndedByTime(ctx context.Context, s *session.Session, now time.Time) (bool, error) {
	if !m.expired(s, now) {
		return false, nil
	}
	l := &Loaded{Session: *s}
	if m.Revoked == nil {
		revoked, err := m.revoked(ctx, l, nil)
		return !revoked, err
	}
	records, err := m.load(ctx, m.target(l).Keys())
	if err != nil {
		return false, err
	}
	return !m.target(l).RevokedBy(records), nil
}

func (m *recordManager) Create(ctx context.Context, ring *seal.Ring, aad string, fresh *session.Session) ([]string, error) {
	t, err := newTicket(seal.NewRecordSecret())
	if err != nil {
		return nil, err
	}
	switch {
	case m.Revoked == nil:
		err = m.begin(ctx, m.Log, fresh)
	case fresh.IsHandedOver() && fresh.Parent.Key == "":
		err = errElsewhere
	default:
		var over bool
		over, err = m.Revoked.Begin(ctx, fresh, m.IssuerOf(fresh), fresh.Began, m.revocationExpiry(fresh))
		if err != nil {
			err = fmt.Errorf("keep the session: %w", err)
		} else if over {
			err = ErrRevoked
		}
	}
	if err != nil {
		return nil, err
	}
	record, err := m.seal(aad, t, fresh)
	if err != nil {
		return nil, err
	}
	if err := m.Store.Save(ctx, t.key, record, fresh.Expires); err != nil {
		return nil, fmt.Errorf("keep the session: %w", err)
	}
	return t.seal(ring, aad), nil
}

func (m *recordManager) seal(aad string, t *ticket, state *session.Session) ([]byte, error) {
	record, err := t.secret.Seal(aad, state.Encode())
	if err == nil && len(record) > maxRecord {
		err = &TooLargeError{m.TooLarge(state, len(record), maxRecord)}
	}
	return record, err
}

// Update implements Manager. It replaces the record only if it is the one that was
// read, so that a revoked session remains revoked and newer tokens are kept.
func (m *recordManager) Update(ctx context.Context, ring *seal.Ring, aad string, l *Loaded, newer *session.Session) (chunks []string, err error) {
	if l.Stale {
		chunks = l.ticket.seal(ring, aad)
	}
	if !newer.Updated().After(l.Session.Updated()) && !m.UpdateDue(&l.Session, newer.Seen) {
		return chunks, nil // at most the ticket has to be sealed again
	}
	record, err := m.seal(aad, l.ticket, newer)
	if err != nil {
		return nil, err
	}
	old := l.record
	for range updateTries {
		done, err := m.Store.Replace(ctx, l.ticket.key, old, record, newer.Expires)
		if err != nil {
			return nil, fmt.Errorf("keep the session's new state: %w", err)
		}
		if done {
			return chunks, nil
		}
		records, err := m.Store.Reload(ctx, l.ticket.key)
		if err != nil {
			return nil, fmt.Errorf("keep the session's new state: %w", err)
		}
		if len(records) != 1 || records[0] == nil {
			return nil, ErrRevoked
		}
		current, err := m.read(aad, l, records[0])
		if err != nil {
			return nil, ErrRevoked
		}
		if !newer.Updated().After(current.Session.Updated()) {
			return chunks, nil // another node has stored this state or a newer one
		}
		old = records[0]
	}
	return nil, errContended
}

// Revoke implements Manager. It deletes the record. If the store does not show that
// to all nodes at once, it also writes a revocation to the log.
func (m *recordManager) Revoke(ctx context.Context, l *Loaded) error {
	var logged error
	if m.Revoked == nil {
		logged = m.Log.Add(ctx, m.revocationOf(&l.Session, m.Now()))
	}
	if err := m.Store.Delete(context.WithoutCancel(ctx), l.ticket.key); err != nil {
		return errors.Join(logged, fmt.Errorf("remove the session: %w", err))
	}
	return counted(logged)
}

func (m *recordManager) IsRevoked(ctx context.Context, target *revocation.Target) (bool, error) {
	if m.Revoked == nil {
		return isRevokedIn(ctx, m.Log, target)
	}
	records, err := m.load(ctx, target.Keys())
	if err != nil {
		return false, err
	}
	return target.RevokedBy(records), nil
}

func (m *recordManager) RevokeParent(ctx context.Context, parent *session.Parent) error {
	var errs []error
	if m.Revoked == nil {
		errs = append(errs, m.Log.Add(ctx, m.revocationOfParent(parent)))
	}
	if parent.Key != "" {
		if err := m.Store.Delete(context.WithoutCancel(ctx), parent.Key); err != nil {
			errs = append(errs, fmt.Errorf("remove the session at the login host: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (m *recordManager) Revocations() Revocations {
	if m.Revoked != nil {
		return m.Revoked
	}
	return m.Log
}

func (m *recordManager) Ready(ctx context.Context) error {
	_, err := m.Store.Load(ctx, readyKey)
	return err
}

// Superseded implements Manager. The browser's ticket is the same for all states of
// a session.
func (m *recordManager) Superseded(*session.Session) bool { return false }
