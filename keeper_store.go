package oidcrp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

const (
	// maxRecord bounds a session in a store, in bytes: what is larger is a
	// provider's mistake, and costs every request.
	maxRecord = 256 << 10
	// sessionFolder is where a store has the sessions.
	sessionFolder = "session/"
	// readyKey is asked for to learn whether the store answers.
	readyKey = "ready"
	// updateTries is how often a session that other nodes change is looked at.
	updateTries = 3

	ticketVersion = 1
)

var errRecords = errors.New("the store returned another number of records than was asked for")

// storeKeeper has the sessions in a store, sealed with a secret of their own
// that the browser has: its cookie is a ticket with that secret.
type storeKeeper struct {
	h     *Handler
	by    uint64
	store *sessionStore
}

// ticket is what a store's session is found and opened with.
type ticket struct {
	secret seal.RecordSecret
	name   string // of the record
}

func newTicket(secret seal.RecordSecret) (*ticket, error) {
	name, err := secret.Name()
	if err != nil {
		return nil, err
	}
	return &ticket{secret, sessionFolder + name}, nil
}

func (t *ticket) seal(ring *seal.Ring, s *site) []string {
	plain := append([]byte{ticketVersion}, t.secret[:]...)
	chunks, _ := cookie.Split(ring.Seal(seal.ForTicket, s.sessionPlace, plain), 1)
	return chunks
}

// openTicket reads what a cookie holds.
func openTicket(ring *seal.Ring, s *site, value string) (t *ticket, stale bool, err error) {
	plain, stale, err := ring.Open(seal.ForTicket, s.sessionPlace, value)
	if err != nil {
		return nil, false, err
	}
	var secret seal.RecordSecret
	if len(plain) != 1+len(secret) || plain[0] != ticketVersion {
		return nil, false, seal.ErrBroken
	}
	copy(secret[:], plain[1:])
	t, err = newTicket(secret)
	return t, stale, err
}

// open asks the store on every request, which answers from near by: for the
// record of the session, and where revocations are in the store, for those of
// the revocations that could have ended it. A record that is the same as before needs no
// opening, and a store that knows of no change is not asked.
func (c *storeKeeper) open(ctx context.Context, ring *seal.Ring, s *site, value string, now time.Time) (*kept, error) {
	of := handle{c.by, ring.Serial(), s.sessionPlace, value}
	k := opened.get(of)
	found := k != nil
	version := uint64(0)
	if c.store.watched != nil {
		version = c.store.watched.Version() // before the look, so that what changes meanwhile is seen by the next
	}
	if found && version != 0 && k.version.Load() == version {
		if c.h.sessionOver(&k.session, now) {
			return nil, nil
		}
		return k, nil // nothing has changed since it was looked at
	}
	if !found {
		t, stale, err := openTicket(ring, s, value)
		if err != nil {
			return nil, none(err)
		}
		k = &kept{stale: stale, ticket: t, keys: []string{t.name}}
	}
	records, err := c.load(ctx, k.keys)
	if err != nil {
		return nil, err
	}
	if records[0] == nil {
		opened.forget(of)
		return nil, nil
	}
	if !bytes.Equal(records[0], k.record) {
		newer, err := c.read(s, k, records[0])
		if err != nil {
			return nil, nil // what does not open is no session
		}
		if !found && c.store.revocations != nil { // now it is known which revocations count
			if records, err = c.load(ctx, newer.keys); err != nil {
				return nil, err
			}
			if records[0] == nil {
				return nil, nil
			}
			if newer, err = c.read(s, k, records[0]); err != nil {
				return nil, nil
			}
		}
		k = newer
		opened.set(of.cloned(), k)
		c.h.seeLive(&k.session)
	}
	if c.h.sessionOver(&k.session, now) {
		return nil, nil
	}
	if ended, err := c.ended(ctx, k, records); ended || err != nil {
		return nil, err
	}
	k.version.Store(version)
	return k, nil
}

func (c *storeKeeper) load(ctx context.Context, keys []string) ([][]byte, error) {
	records, err := c.store.Load(ctx, keys...)
	if err == nil && len(records) != len(keys) {
		err = errRecords
	}
	return records, err
}

// read makes a session of its record.
func (c *storeKeeper) read(s *site, k *kept, record []byte) (*kept, error) {
	plain, err := k.ticket.secret.Open(s.sessionPlace, record)
	if err != nil {
		return nil, err
	}
	newer := &kept{stale: k.stale, ticket: k.ticket, record: record, keys: k.keys}
	if err := newer.session.Decode(plain); err != nil {
		return nil, err
	}
	if c.store.revocations != nil {
		newer.keys = append([]string{k.ticket.name}, c.h.targetOf(newer).Keys()...)
	}
	return newer, nil
}

// ended reports whether an event ended the session; records are those of its keys.
func (c *storeKeeper) ended(ctx context.Context, k *kept, records [][]byte) (bool, error) {
	if c.store.revocations != nil {
		return c.h.targetOf(k).RevokedBy(records[1:]), nil
	}
	log := c.store.on.revocationLog
	if err := log.Ready(ctx); err != nil {
		return false, err
	}
	return c.h.revokedBy(log, k), nil
}

func (c *storeKeeper) alive(ctx context.Context, k *kept) (bool, error) {
	records, err := c.store.Reload(ctx, k.keys...)
	if err != nil {
		return false, err
	}
	if len(records) != len(k.keys) {
		return false, errRecords
	}
	if records[0] == nil {
		return false, nil
	}
	ended, err := c.ended(ctx, k, records)
	return !ended, err
}

func (c *storeKeeper) keep(ctx context.Context, ring *seal.Ring, s *site, fresh *session.Session) ([]string, error) {
	t, err := newTicket(seal.NewRecordSecret())
	if err != nil {
		return nil, err
	}
	if c.store.revocations == nil {
		err = c.h.beginSession(ctx, c.store.on.revocationLog, fresh)
	} else {
		var over bool
		over, err = c.store.revocations.Begin(ctx, fresh, c.h.issuerOf(fresh), fresh.Began, fresh.Expires.Add(revocationMargin))
		if err != nil {
			err = fmt.Errorf("keep the session: %w", err)
		} else if over {
			err = errEnded
		}
	}
	if err != nil {
		return nil, err
	}
	record, err := c.seal(s, t, fresh)
	if err != nil {
		return nil, err
	}
	if err := c.store.Save(ctx, t.name, record, fresh.Expires); err != nil {
		return nil, fmt.Errorf("keep the session: %w", err)
	}
	return t.seal(ring, s), nil
}

func (c *storeKeeper) seal(s *site, t *ticket, state *session.Session) ([]byte, error) {
	record, err := t.secret.Seal(s.sessionPlace, state.Encode())
	if err == nil && len(record) > maxRecord {
		err = &tooLarge{fmt.Errorf("the session has %d bytes, and %d at most are kept; the largest claims are %s; list those to keep with session { claims … }",
			len(record), maxRecord, c.h.largestClaims(state))}
	}
	return record, err
}

// update replaces the record while it is the one that was read: a session that
// has ended meanwhile stays so, and newer tokens stay.
func (c *storeKeeper) update(ctx context.Context, ring *seal.Ring, s *site, k *kept, newer *session.Session) (chunks []string, err error) {
	if k.stale {
		chunks = k.ticket.seal(ring, s)
	}
	if !newer.Grant.Issued.After(k.session.Grant.Issued) && !c.h.idleDue(&k.session, newer.Seen) {
		return chunks, nil // only the ticket is to be sealed anew
	}
	record, err := c.seal(s, k.ticket, newer)
	if err != nil {
		return nil, err
	}
	old := k.record
	for range updateTries {
		done, err := c.store.Replace(ctx, k.ticket.name, old, record, newer.Expires)
		if err != nil {
			return nil, fmt.Errorf("keep the session's new state: %w", err)
		}
		if done {
			return chunks, nil
		}
		records, err := c.store.Reload(ctx, k.ticket.name)
		if err != nil {
			return nil, fmt.Errorf("keep the session's new state: %w", err)
		}
		if len(records) != 1 || records[0] == nil {
			return nil, errEnded
		}
		current, err := c.read(s, k, records[0])
		if err != nil {
			return nil, errEnded
		}
		if !newer.Grant.Issued.After(current.session.Grant.Issued) {
			return chunks, nil // another node has kept this state, or a later one
		}
		old = records[0]
	}
	return nil, errContended
}

var errContended = errors.New("keep the session's new state: others change it all the time")

// end removes the session, and where that is not seen by all nodes at once
// adds an event.
func (c *storeKeeper) end(ctx context.Context, k *kept) error {
	var told error
	if c.store.revocations == nil {
		told = c.store.on.revocationLog.Add(ctx, endOf(&k.session, c.h.now()))
	}
	if err := c.store.Delete(context.WithoutCancel(ctx), k.ticket.name); err != nil {
		return errors.Join(told, fmt.Errorf("remove the session: %w", err))
	}
	return told
}

func (c *storeKeeper) revocations() revocationStore {
	if c.store.revocations != nil {
		return c.store.revocations
	}
	return c.store.on.revocationLog
}

func (c *storeKeeper) ready(ctx context.Context) error {
	_, err := c.store.Load(ctx, readyKey)
	return err
}

// superseded: the browser's ticket is the same for every state.
func (c *storeKeeper) superseded(*session.Session) bool { return false }
