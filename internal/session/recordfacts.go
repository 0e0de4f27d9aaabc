package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/wire"
)

const (
	recordVersion = 1
	// datedRecordVersion holds a provider's word. A node of an earlier release
	// cannot read it, and takes the sessions that it is about to be over.
	datedRecordVersion = 2
	// recordTries is how often a record that others change is written anew.
	recordTries = 10
)

var (
	errOneSession = errors.New("a single session ends with its record")
	errContended  = errors.New("others change the record all the time")
	errCount      = errors.New("the store returned another number of records than was asked for")
)

// Records is what facts need of a session store; see store.Store.
type Records interface {
	Load(ctx context.Context, keys ...string) (records [][]byte, err error)
	Reload(ctx context.Context, keys ...string) (records [][]byte, err error)
	Save(ctx context.Context, key string, record []byte, expires time.Time) error
	Replace(ctx context.Context, key string, old, record []byte, expires time.Time) (done bool, err error)
	Lock(ctx context.Context, name string) (unlock func(), err error)
}

// RecordFacts is the facts of all nodes that share a session store: a record
// each, which expires when the fact is over. Who asks loads the records of
// Marks.Keys together with the session's, and has Marks.Judge read them.
// Nothing is kept here. It is safe for concurrent use.
type RecordFacts struct{ store Records }

// NewRecordFacts returns the facts in a store.
func NewRecordFacts(s Records) *RecordFacts { return &RecordFacts{s} }

// End writes facts and returns when they are kept. A fact that is there already
// is never weakened, and is dated after what is known about the same, as in
// Journal.End. It goes on for ten seconds though who asked has gone.
func (r *RecordFacts) End(ctx context.Context, facts ...Fact) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeWithin)
	defer cancel()
	var errs []error
	for _, fact := range facts {
		if err := r.end(ctx, fact); err != nil {
			errs = append(errs, fmt.Errorf("store the logout: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (r *RecordFacts) end(ctx context.Context, fact Fact) error {
	if !fact.later {
		return errOneSession
	}
	key := recordKey(fact.key)
	for range recordTries {
		done, absent, err := r.strengthen(ctx, key, fact)
		if done || err != nil {
			return err
		}
		if absent {
			if done, err = r.create(ctx, key, fact); done || err != nil {
				return err
			}
		}
	}
	return errContended
}

// strengthen changes the record of a fact, if there is one and it says less.
func (r *RecordFacts) strengthen(ctx context.Context, key string, fact Fact) (done, absent bool, err error) {
	old, err := r.reload(ctx, key)
	if err != nil || old == nil {
		return false, true, err
	}
	// In the place of what nobody can read ours is as good: it is of now.
	var told record
	if before, ok := decodeRecord(old); ok {
		told = before
		if newest, known := before.newest(); known && newest >= fact.at.UnixMilli() && newest < always-1 {
			fact.at = time.UnixMilli(newest + 1)
		}
	}
	told.add(fact)
	encoded := told.encode()
	if bytes.Equal(encoded, old) {
		return true, false, nil
	}
	done, err = r.store.Replace(ctx, key, old, encoded, told.until())
	return done, false, err
}

// create makes the record of a fact, if there still is none. Of two who do that
// at once the lock lets one see what the other has written.
func (r *RecordFacts) create(ctx context.Context, key string, fact Fact) (done bool, err error) {
	unlock, err := r.store.Lock(ctx, key)
	if err != nil {
		return false, err
	}
	defer unlock()
	if old, err := r.reload(ctx, key); err != nil || old != nil {
		return false, err
	}
	var told record
	told.add(fact)
	return true, r.store.Save(ctx, key, told.encode(), told.until())
}

func (r *RecordFacts) reload(ctx context.Context, key string) ([]byte, error) {
	records, err := r.store.Reload(ctx, key)
	if err != nil {
		return nil, err
	}
	if len(records) != 1 {
		return nil, errCount
	}
	return records[0], nil
}

// Begin prepares a new session, whose login began then, for the facts that are
// known; see Journal.Begin. A record that nobody can read is written again, as
// the end of what began before: otherwise a login would be followed by another,
// without end.
func (r *RecordFacts) Begin(ctx context.Context, s *Session, issuer string, login, until time.Time) (over bool, err error) {
	marks := MarksOf(s, issuer)
	records, err := r.store.Reload(ctx, marks.Keys()...)
	if err != nil {
		return false, fmt.Errorf("load logouts: %w", err)
	}
	if len(records) != marks.records() {
		return false, fmt.Errorf("load logouts: %w", errCount)
	}
	var errs []error
	for aspect, key := range marks.about() {
		if records[aspect] == nil {
			continue
		}
		found, ok := decodeRecord(records[aspect])
		if !ok {
			errs = append(errs, r.end(ctx, Fact{key: key, at: s.SignedIn.Add(-time.Millisecond), until: until, later: true}))
			records[aspect] = nil
			continue
		}
		for _, m := range found.moments() {
			s.spare(m, aspect, login)
		}
	}
	marks.began = beganOf(s)
	return marks.Judge(records), errors.Join(errs...)
}

// Judge says whether one of the records of Keys ended the session. One that
// cannot be read ends it: that something ended is certain, only not when. The
// same holds if there are not as many as keys.
func (m *Marks) Judge(records [][]byte) (ended bool) {
	if len(records) != m.records() {
		return true
	}
	for aspect, record := range records {
		if record == nil {
			continue
		}
		found, ok := decodeRecord(record)
		if !ok {
			return true
		}
		for _, moment := range found.moments() {
			if moment.ends(&m.began, aspect) {
				return true
			}
		}
	}
	return false
}

// record is what a session store has about a key: what is dated by our clocks
// and what is dated by the provider's.
type record struct {
	all   [2]moment
	count int
}

func (r *record) moments() []moment { return r.all[:r.count] }

// add adds a fact to what is known.
func (r *record) add(fact Fact) {
	m := fact.moment()
	for i := range r.moments() {
		if (r.all[i].issued != 0) == (m.issued != 0) {
			r.all[i] = r.all[i].with(m)
			return
		}
	}
	r.all[r.count] = m
	r.count++
}

// newest is the latest time by our clocks.
func (r *record) newest() (at int64, known bool) {
	for _, m := range r.moments() {
		if m.later() && (!known || m.at > at) {
			at, known = m.at, true
		}
	}
	return at, known
}

func (r *record) until() time.Time {
	var until uint32
	for _, m := range r.moments() {
		until = max(until, m.until)
	}
	return time.Unix(int64(until), 0)
}

// encode writes what an earlier release can read where it can.
func (r *record) encode() []byte {
	w := wire.Writer{B: make([]byte, 0, 32)}
	if r.count == 1 && r.all[0].issued == 0 {
		w.Byte(recordVersion)
		w.Byte(kindOf(r.all[0].later()))
		writeMoment(&w, r.all[0])
		return w.B
	}
	w.Byte(datedRecordVersion)
	for _, m := range r.moments() {
		w.Byte(kindOf(m.later()))
		writeMoment(&w, m)
		w.Varint(int64(m.issued))
	}
	return w.B
}

func writeMoment(w *wire.Writer, m moment) {
	at := m.at
	if !m.later() {
		at = 0
	}
	w.Varint(at)
	w.Varint(int64(m.until))
}

func readMoment(r *wire.Reader, kind byte) moment {
	m := moment{at: min(r.Varint(), always-1)}
	if kind == kindOf(false) {
		m.at = always
	}
	m.until = clampSeconds(time.Unix(r.Varint(), 0))
	return m
}

// decodeRecord reads the record of a key.
func decodeRecord(encoded []byte) (found record, ok bool) {
	r := wire.Reader{S: string(encoded)}
	version := r.Byte()
	if version != recordVersion && version != datedRecordVersion {
		return record{}, false
	}
	for found.count < len(found.all) && (found.count == 0 || r.S != "") {
		kind := r.Byte()
		m := readMoment(&r, kind)
		if version == datedRecordVersion {
			m.issued = clampSeconds(time.Unix(r.Varint(), 0))
		}
		if r.Bad || kind > kindOf(true) {
			return record{}, false
		}
		found.all[found.count] = m
		found.count++
		if version == recordVersion {
			break
		}
	}
	if found.count == 2 && (found.all[0].issued != 0) == (found.all[1].issued != 0) {
		return record{}, false
	}
	return found, r.S == ""
}
