package seal

import (
	"bytes"
	"strings"
	"testing"
)

var (
	secretA = []byte("this is the secret A of the tests")
	secretB = []byte("this is the secret B of the tests")
)

func newRing(t testing.TB, secrets ...[]byte) *Ring {
	t.Helper()
	ring, err := NewRing(secrets...)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestSealedValuesOpenAgain(t *testing.T) {
	t.Parallel()
	ring := newRing(t, secretA)
	for _, purpose := range purposes {
		for _, aad := range []string{"", "__Host-oidc_rp app.example", strings.Repeat("long", 500)} {
			for _, plain := range []string{"", "x", "sub\x00\xff", strings.Repeat("session ", 2000)} {
				text := ring.Seal(purpose, aad, []byte(plain))
				opened, stale, err := ring.Open(purpose, aad, text)
				if err != nil {
					t.Errorf("%s at %.20q: %v", purpose, aad, err)
				}
				if stale {
					t.Errorf("%s at %.20q: expected it not to be stale, seen that it is", purpose, aad)
				}
				if string(opened) != plain {
					t.Errorf("%s at %.20q: expected %.20q, seen %.20q", purpose, aad, plain, opened)
				}
			}
		}
	}
}

func TestTheSameIsSealedDifferentlyEachTime(t *testing.T) {
	t.Parallel()
	ring := newRing(t, secretA)
	first, second := ring.Seal(ForSession, "p", []byte("x")), ring.Seal(ForSession, "p", []byte("x"))
	if first == second {
		t.Error("two sealed values of the same are equal")
	}
}

func TestSealedTextFitsACookie(t *testing.T) {
	t.Parallel()
	text := newRing(t, secretA).Seal(ForSession, "p", bytes.Repeat([]byte{0xff, 0x3e}, 300))
	if strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Errorf("sealed text has other characters: %q", text)
	}
}

func TestSealedValuesOpenNowhereElse(t *testing.T) {
	t.Parallel()
	ring := newRing(t, secretA)
	text := ring.Seal(ForSession, "oidc_rp app.example", []byte("session"))
	other := newRing(t, secretB)
	for _, tc := range []struct {
		name    string
		ring    *Ring
		purpose Purpose
		aad     string
		want    error
	}{
		{"another purpose", ring, ForTransaction, "oidc_rp app.example", ErrBroken},
		{"the purpose of hints", ring, ForIDToken, "oidc_rp app.example", ErrBroken},
		{"another site", ring, ForSession, "oidc_rp other.example", ErrBroken},
		{"no additional data", ring, ForSession, "", ErrBroken},
		{"additional data that is longer by a NUL", ring, ForSession, "oidc_rp app.example\x00", ErrBroken},
		{"additional data in capitals", ring, ForSession, "OIDC_RP APP.EXAMPLE", ErrBroken},
		{"another key", other, ForSession, "oidc_rp app.example", ErrUnknownKey},
		{"another key and purpose", other, ForTransaction, "elsewhere", ErrUnknownKey},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if plain, _, err := tc.ring.Open(tc.purpose, tc.aad, text); err != tc.want || plain != nil {
				t.Errorf("Open = %q, %v; want %v", plain, err, tc.want)
			}
		})
	}
}

func TestNoChangedTextOpens(t *testing.T) {
	t.Parallel()
	ring := newRing(t, secretA, secretB)
	// The texts have all three lengths of the last base64 group, two of which have spare
	// bits.
	for _, plain := range []string{"a", "ab", "abc"} {
		text := ring.Seal(ForSession, "p", []byte(plain))
		for i := range text {
			for c := range 256 {
				if byte(c) != text[i] {
					neverOpens(t, ring, text[:i]+string([]byte{byte(c)})+text[i+1:])
				}
			}
			neverOpens(t, ring, text[:i])
			neverOpens(t, ring, text[i+1:])
			for _, more := range []string{"\n", "\r", " ", "=", "A", "\x00", "%41"} {
				neverOpens(t, ring, text[:i]+more+text[i:])
			}
		}
		for _, more := range []string{"\n", "\r\n", "=", "==", "A", "AAAA", " ", "\x00"} {
			neverOpens(t, ring, text+more)
		}
	}
}

func neverOpens(t *testing.T, ring *Ring, text string) {
	t.Helper()
	plain, _, err := ring.Open(ForSession, "p", text)
	if err != ErrBroken && err != ErrUnknownKey {
		t.Errorf("Open(%q): expected %v or %v, seen %v", text, ErrBroken, ErrUnknownKey, err)
	}
	if plain != nil {
		t.Errorf("Open(%q): expected nothing beside the error, seen %q", text, plain)
	}
}

func TestWhatIsNotOursIsBrokenAndNotUnknown(t *testing.T) {
	t.Parallel()
	ring := newRing(t, secretA)
	ofAnotherVersion := "Ag" + ring.Seal(ForSession, "p", []byte("x"))[2:]
	for _, text := range []string{"", "x", "deleted", "!", strings.Repeat("A", 100), strings.Repeat("é", 60), ofAnotherVersion} {
		if _, _, err := ring.Open(ForSession, "p", text); err != ErrBroken {
			t.Errorf("Open(%.20q): %v; a look at the storage would follow for nothing", text, err)
		}
	}
}

func TestAllKeysOpenAndOnlyTheFirstIsFresh(t *testing.T) {
	t.Parallel()
	before, after := newRing(t, secretA), newRing(t, secretB, secretA)
	old := before.Seal(ForSession, "p", []byte("x"))
	wantPlain(t, "a value of the second key", after, "p", old, "x", true)
	renewed := after.Seal(ForSession, "p", []byte("x"))
	if _, stale, err := after.Open(ForSession, "p", renewed); err != nil || stale {
		t.Errorf("a value of the first key: stale %v, %v", stale, err)
	}
	if _, _, err := before.Open(ForSession, "p", renewed); err != ErrUnknownKey {
		t.Errorf("a value of a key that is not there: %v", err)
	}
	if _, _, err := newRing(t, secretA, secretA).Open(ForSession, "p", old); err != nil {
		t.Errorf("the same key twice: %v", err)
	}
}

func TestShortSecretsAreRefused(t *testing.T) {
	t.Parallel()
	for _, secrets := range [][][]byte{{}, {nil}, {secretA[:MinSecret-1]}, {secretA, []byte("short and secret")}} {
		ring, err := NewRing(secrets...)
		if err == nil {
			t.Errorf("NewRing with %d secrets: expected an error, seen none", len(secrets))
		}
		if ring != nil {
			t.Errorf("NewRing with %d secrets: expected no ring, seen one", len(secrets))
		}
		if err != nil && strings.Contains(err.Error(), "short and") {
			t.Errorf("expected an error without the secret, seen %v", err)
		}
	}
	if _, err := NewRing(secretA[:MinSecret]); err != nil {
		t.Errorf("a secret of just enough bytes: %v", err)
	}
}

func TestOpenedValuesDoNotShareMemory(t *testing.T) {
	t.Parallel()
	ring := newRing(t, secretA)
	text := ring.Seal(ForSession, "place", []byte("plain"))
	first, _, err := ring.Open(ForSession, "place", text)
	if err != nil {
		t.Fatal(err)
	}
	_ = append(first, "overwritten"...)
	if second, _, err := ring.Open(ForSession, "place", text); err != nil || string(second) != "plain" {
		t.Errorf("after a change to what was opened: %q, %v", second, err)
	}
}

func TestAnUnknownPurposeIsAMistakeOfOurs(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("sealed for a purpose without keys")
		}
	}()
	newRing(t, secretA).Seal("another", "p", nil)
}
