package seal

import (
	"strings"
	"testing"
)

func FuzzOpen(f *testing.F) {
	ring := newRing(f, secretA, secretB)
	sealed := ring.Seal(ForSession, "p", []byte("a session"))
	for _, seed := range []string{
		"", "A", "AQ", sealed, sealed[1:], sealed + "\n", sealed + "=", "\x00", strings.Repeat("A", 44), strings.Repeat("_", 5000),
		ring.Seal(ForTransaction, "p", nil), newRing(f, goldenSecret).Seal(ForSession, "p", []byte("x")),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		plain, stale, err := ring.Open(ForSession, "p", text)
		switch {
		case text == sealed:
			if err != nil || stale || string(plain) != "a session" {
				t.Errorf("our own value: %q, %v, %v", plain, stale, err)
			}
		case err != ErrBroken && err != ErrUnknownKey:
			t.Errorf("Open(%q) = %q, %v", text, plain, err)
		case plain != nil || stale:
			t.Errorf("Open(%q) returns %q with its error", text, plain)
		}
	})
}
