package session

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	recordVersion = 1
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
// is never weakened. It goes on for ten seconds though who asked has gone.
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
	if before, ok := decodeRecord(old); ok {
		fact = fact.with(before)
	}
	record := fact.encodeRecord()
	if bytes.Equal(record, old) {
		return true, false, nil
	}
	done, err = r.store.Replace(ctx, key, old, record, fact.until)
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
	return true, r.store.Save(ctx, key, fact.encodeRecord(), fact.until)
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

// Begin returns the time from which a session counts that begins now: after all
// that is known to have ended, by whosever clock. A record that nobody can read
// is written anew, as the end of what began before: otherwise a login would be
// followed by another, without end.
func (r *RecordFacts) Begin(ctx context.Context, marks *Marks, now, until time.Time) (time.Time, error) {
	records, err := r.store.Reload(ctx, marks.Keys()...)
	if err != nil {
		return now, fmt.Errorf("load logouts: %w", err)
	}
	var errs []error
	last := now.Add(-time.Millisecond)
	for i, key := range []factKey{everything, marks.subject, marks.sid}[:min(marks.records(), len(records))] {
		if records[i] == nil {
			continue
		}
		if found, ok := decodeRecord(records[i]); !ok {
			errs = append(errs, r.end(ctx, Fact{key: key, at: last, until: until, later: true}))
		} else if found.at.After(last) {
			last = found.at
		}
	}
	return last.Add(time.Millisecond), errors.Join(errs...)
}

// Judge says whether one of the records of Keys ended the session. One that
// cannot be read ends it: that something ended is certain, only not when. The
// same holds if there are not as many as keys.
func (m *Marks) Judge(signedIn time.Time, records [][]byte) (ended bool) {
	if len(records) != m.records() {
		return true
	}
	for _, record := range records {
		if record == nil {
			continue
		}
		if found, ok := decodeRecord(record); !ok || found.moment().ends(signedIn) {
			return true
		}
	}
	return false
}

func (f Fact) encodeRecord() []byte {
	w := writer{make([]byte, 0, 16)}
	w.byte(recordVersion)
	w.byte(kindOf(f.later))
	w.millis(f.at)
	w.seconds(f.until)
	return w.b
}

func decodeRecord(record []byte) (Fact, bool) {
	r := reader{s: string(record)}
	version, kind := r.byte(), r.byte()
	f := Fact{later: kind == kindOf(true), at: r.millis(), until: r.seconds()}
	return f, version == recordVersion && kind <= kindOf(true) && !r.bad && r.s == ""
}
