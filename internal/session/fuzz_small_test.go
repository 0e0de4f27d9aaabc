package session

import (
	"testing"
	"time"
)

// A mark can be encoded and decoded again. A malformed one counts as no sign-in.
func FuzzDecodeMark(f *testing.F) {
	whole := Mark{Login: StateHash{1, 2, 3}, At: time.UnixMilli(1_700_000_000_123), Count: 2}.Encode()
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add(append(whole, 0))
	f.Add([]byte{markVersion, 255})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		var m Mark
		if err := m.Decode(encoded); err != nil {
			if m != (Mark{}) {
				t.Errorf("%x: expected nothing beside %v, seen %+v", encoded, err, m)
			}
			return
		}
		var again Mark
		if err := again.Decode(m.Encode()); err != nil || again != m {
			t.Errorf("%+v comes back as %+v, %v", m, again, err)
		}
		if next := m.Next(StateHash{9}, m.At); next.Count < 1 || next.Count > 256 {
			t.Errorf("expected a count that stays small, seen %d after %d", next.Count, m.Count)
		}
	})
}

// A parent can be encoded and decoded again.
func FuzzDecodeParent(f *testing.F) {
	whole := (&Parent{ID: ID{1}, Key: "k", SignedIn: time.UnixMilli(1_700_000_000_123), Expires: time.Unix(1_700_043_200, 0), Provider: "corp", Username: "ada"}).Encode()
	f.Add(whole)
	f.Add(whole + "x")
	f.Add(whole[:20])
	f.Add("")
	f.Add(string(make([]byte, 40)))
	f.Fuzz(func(t *testing.T, encoded string) {
		var p Parent
		if err := p.Decode(encoded); err != nil {
			if err != ErrNone {
				t.Errorf("expected %v, seen %v", ErrNone, err)
			}
			return
		}
		if p.ID == (ID{}) {
			t.Errorf("%q: expected a parent with an id", encoded)
		}
		var again Parent
		if err := again.Decode(p.Encode()); err != nil || again != p {
			t.Errorf("%+v comes back as %+v, %v", p, again, err)
		}
	})
}
