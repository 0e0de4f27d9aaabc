package session

import (
	"reflect"
	"testing"
	"time"
)

func FuzzDecodeSession(f *testing.F) {
	whole, least, granted, tagged, compressed, short := wholeSession(), leastSession(), grantedSession(), taggedSession(), compressedSession(), shortSession()
	for _, seed := range [][]byte{nil, {1}, whole.Encode(), granted.Encode(), granted.Encode()[:170], tagged.Encode(), compressed.Encode(), compressed.Encode()[:200], short.Encode(), short.Encode()[:90], least.Encode(), whole.Encode()[:60], append(wholeHead(), 0xff, 0xff, 0xff), make([]byte, 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		var s Session
		err := s.Decode(encoded)
		if err != nil {
			if err != ErrNone {
				t.Errorf("Decode: %v", err)
			}
			return
		}
		s.Over(moment0, time.Minute)
		s.Claims.Largest(3)
		var again Session
		if err := again.Decode(s.Encode()); err != nil || !reflect.DeepEqual(again, s) {
			t.Errorf("%+v comes back as %+v, %v", s, again, err)
		}
	})
}

func FuzzDecodeTransaction(f *testing.F) {
	whole, fresh, tagged, attempt := wholeTransaction(), NewTransaction(), taggedTransaction(), attemptTransaction()
	for _, seed := range [][]byte{nil, {1}, whole.Encode(), tagged.Encode(), tagged.Encode()[:200], attempt.Encode(), fresh.Encode(), whole.Encode()[:40], make([]byte, 100)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, encoded []byte) {
		var tx Transaction
		err := tx.Decode(encoded)
		if err != nil {
			if err != ErrNone {
				t.Errorf("Decode: %v", err)
			}
			return
		}
		tx.Over(moment0)
		var again Transaction
		if err := again.Decode(tx.Encode()); err != nil || !reflect.DeepEqual(again, tx) {
			t.Errorf("%+v comes back as %+v, %v", tx, again, err)
		}
	})
}
