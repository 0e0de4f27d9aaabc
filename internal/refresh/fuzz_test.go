package refresh

import (
	"encoding/hex"
	"reflect"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// A stored result belongs to the session that it is looked up for, or is ignored. It can be
// encoded and decoded again.
func FuzzDecodeResult(f *testing.F) {
	for _, text := range []string{
		"0101f6b183c59868b688fcc49868",
		"0100f6b183c59868b688fcc4986802010203000000000000000000000000ff0000000000000000000000000000000000000000f6b183c5986880918fab0d000000036164610000000000027274f6b183c598680000000000000000000000000000000000",
		"", "01", "0100", "0101f6", "02f6b183c59868b688fcc49868", "0100f6b183c59868b688fcc49868",
	} {
		plain, err := hex.DecodeString(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(plain)
	}
	id := session.ID{1, 2, 3, 15: 0xff}
	f.Fuzz(func(t *testing.T, plain []byte) {
		got, err := decodeResult(plain, id)
		if err != nil {
			return
		}
		if got.Ended != (got.Session == nil) {
			t.Fatalf("expected a session or an end, seen %+v", got)
		}
		if !got.Ended {
			if got.Session.ID != id {
				t.Errorf("expected a result for the session %x, seen one for %x", id, got.Session.ID)
			}
			if _, err := decodeResult(plain, session.ID{9}); err == nil {
				t.Error("expected an error for another session, seen none")
			}
		}
		again, err := decodeResult(got.encode(), id)
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Errorf("%+v comes back as %+v, %v", got, again, err)
		}
	})
}
