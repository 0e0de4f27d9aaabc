package session

import (
	"bytes"
	"encoding/hex"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

var moment0 = time.UnixMilli(1_790_000_000_123)

func wholeSession() Session {
	return Session{
		ID: ID{1, 2, 3, 15: 0xff}, Binding: Bind("https://issuer.example", "client"), Provider: "corp",
		SignedIn: moment0, Expires: time.Unix(moment0.Unix()+43200, 0), Seen: time.Unix(moment0.Unix(), 0),
		Subject: "248289761001", Username: "ada@corp.example", SID: "08a5019c-17e1",
		Login: HashState("a state"), Return: "/page?x=1&y=é",
		AccessToken: "opaque.access.token", AccessTokenExpires: time.Unix(moment0.Unix()+300, 0), IDToken: "eyJ.e30.c2ln",
		Claims: claims.Set("\x04names\x03Ada\x06groupsj\x05[\"a\"]"),
	}
}

func grantedSession() Session {
	s := wholeSession()
	s.Grant = Grant{
		RefreshToken: "rt/opaque+%25", Issued: moment0, AuthTime: moment0.Unix() - 30,
		Nonce: Print{1, 2, 3, 4, 5, 6, 7, 8}, Parties: Print{8, 7, 6, 5, 4, 3, 2, 0xff},
	}
	return s
}

func taggedSession() Session {
	s := grantedSession()
	s.IDTokenIssued, s.AuthTime = time.Unix(moment0.Unix()-1, 0), time.Unix(moment0.Unix()-60, 0)
	s.ACR, s.Requested = "urn:mace:incommon:iap:silver", "\x01\x02"
	return s
}

func boundSession() Session {
	s := taggedSession()
	s.TokenKey = boundKey
	return s
}

// boundGrantSession returns a session in which only the refresh token is bound to a key.
func boundGrantSession() Session {
	s := taggedSession()
	s.Grant.Key = boundKey
	return s
}

// boundKey is a private key as package dpop encodes it. It is opaque here.
const boundKey = "\x01ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"

func leastSession() Session {
	return Session{SignedIn: time.UnixMilli(0), Subject: "u"}
}

func wholeTransaction() Transaction {
	return Transaction{
		State: "AAECAwQFBgcICQoLDA0ODw", Nonce: "EBESExQVFhcYGRobHB0eHw", Verifier: "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8",
		Binding: Bind("https://issuer.example", "client"), Provider: "corp",
		RedirectURI: "https://app.example/@app/auth/corp/code", Return: "/page?x=1", Began: time.Unix(moment0.Unix(), 0),
	}
}

func taggedTransaction() Transaction {
	t := wholeTransaction()
	t.Demands, t.Requested, t.Silent = "\x03demands", NamesOf("email", "groups"), "248289761001"
	return t
}

func boundTransaction() Transaction {
	t := wholeTransaction()
	t.TokenKey = boundKey
	return t
}

func popupTransaction() Transaction {
	t := wholeTransaction()
	t.Popup = true
	return t
}

func attemptTransaction() Transaction {
	t := taggedTransaction()
	t.Attempt, t.Fragment, t.Silent = true, "AbCdEf-_", ""
	return t
}

func TestSessionsAndTransactionsComeBack(t *testing.T) {
	t.Parallel()
	long := wholeSession()
	long.Claims = claims.Set(strings.Repeat("x", 1<<16))
	long.IDToken = strings.Repeat("y", 1<<15)
	old := wholeSession()
	old.SignedIn, old.Expires = time.UnixMilli(-1), time.Unix(-5, 0)
	for name, want := range map[string]Session{"whole": wholeSession(), "granted": grantedSession(), "tagged": taggedSession(), "bound": boundSession(), "bound grant": boundGrantSession(), "least": leastSession(), "long": long, "before 1970": old} {
		var got Session
		if err := got.Decode(want.Encode()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("the %s session comes back as %+v, %v", name, got, err)
		}
	}
	fresh := NewTransaction()
	fresh.Began = time.Unix(moment0.Unix(), 0)
	carrying := wholeTransaction()
	carrying.Answer = "code=x&state=y"
	taggedCarrying := taggedTransaction()
	taggedCarrying.Answer = carrying.Answer
	for name, want := range map[string]Transaction{"whole": wholeTransaction(), "least": fresh, "with an answer": carrying, "tagged": taggedTransaction(), "tagged, with an answer": taggedCarrying,
		"popup": popupTransaction(), "attempt": attemptTransaction(), "bound": boundTransaction()} {
		var got Transaction
		if err := got.Decode(want.Encode()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("the %s transaction comes back as %+v, %v", name, got, err)
		}
	}
}

func TestWhatWasCutShortIsNone(t *testing.T) {
	t.Parallel()
	whole := boundSession()
	encoded := whole.Encode()
	for length := range len(encoded) - len(whole.Claims) { // the rest counts as claims, whatever it is
		var s Session
		if err := s.Decode(encoded[:length]); err != ErrNone {
			t.Errorf("a session of %d bytes of %d: %v", length, len(encoded), err)
		}
	}
	for _, transaction := range []Transaction{taggedTransaction(), attemptTransaction(), popupTransaction(), boundTransaction(), wholeTransaction()} {
		encoded = transaction.Encode()
		for length := range encoded {
			var tx Transaction
			if err := tx.Decode(encoded[:length]); err != ErrNone {
				t.Errorf("a transaction of %d bytes of %d: %v", length, len(encoded), err)
			}
		}
	}
	var tx Transaction
	if err := tx.Decode(append(encoded, 0)); err != ErrNone {
		t.Errorf("a transaction with more after its end: %v", err)
	}
}

func TestUnknownTagsAreSkipped(t *testing.T) {
	t.Parallel()
	for _, want := range []Session{taggedSession(), shortSession()} {
		encoded := want.Encode()
		at := bytes.Index(encoded, []byte{tagACR, byte(len(want.ACR))})
		later := slices.Concat(encoded[:at], []byte{200, 3, 'n', 'e', 'w'}, encoded[at:])
		var got Session
		if err := got.Decode(later); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("a session with a later field comes back as %+v, %v; want %+v", got, err, want)
		}
	}
}

func TestWhatIsNotOneIsNone(t *testing.T) {
	t.Parallel()
	subjectless := wholeSession()
	subjectless.Subject = ""
	endless := append(wholeHead(), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"...)
	huge := append(wholeHead(), "\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01rest"...)
	for name, encoded := range map[string][]byte{
		"nothing": nil, "a session without a subject": subjectless.Encode(), "another version": append([]byte{2}, wholeHead()[1:]...),
		"a number without end": endless, "a text without end": huge, "zeros": make([]byte, 500),
	} {
		var s Session
		if err := s.Decode(encoded); err != ErrNone {
			t.Errorf("%s: %v", name, err)
		}
	}
	foreign := wholeTransaction()
	foreign.Nonce = "not base64!"
	var tx Transaction
	if err := tx.Decode(foreign.Encode()); err != ErrNone {
		t.Errorf("a transaction whose nonce is not ours: %v", err)
	}
}

// wholeHead returns the beginning of an encoded session, up to its times.
func wholeHead() []byte {
	s := wholeSession()
	return s.Encode()[:1+16+12+8]
}

// TestWhatWasEverEncodedIsRead checks the formats of earlier releases, because an update of
// this plugin must not sign out any user. The files are never changed. A new format is a
// new version with its own files.
func TestWhatWasEverEncodedIsRead(t *testing.T) {
	t.Parallel()
	ring, err := seal.NewRing([]byte("golden secret, known to everybody"))
	if err != nil {
		t.Fatal(err)
	}
	whole, least, transaction := wholeSession(), leastSession(), wholeTransaction()
	granted, tagged, laterTransaction := grantedSession(), taggedSession(), taggedTransaction()
	short := shortSession() // with little to compress, because the compression may change
	short.Provider, short.Subject, short.Username, short.Claims = "p", "1", "u", "\x01xs\x01é"
	bound, boundLogin := short, boundTransaction()
	bound.TokenKey = boundKey
	for _, tc := range []struct {
		name    string
		purpose seal.Purpose
		current []byte
		decoded func([]byte) (any, error)
		want    any
	}{
		{"session-v1", seal.ForSession, whole.Encode(), decodeSession, whole},
		{"session-v2", seal.ForSession, granted.Encode(), decodeSession, granted},
		{"session-v3", seal.ForSession, tagged.Encode(), decodeSession, tagged},
		{"session-v4", seal.ForSession, short.Encode(), decodeSession, short},
		{"session-v4-bound", seal.ForSession, bound.Encode(), decodeSession, bound},
		{"session-v1-least", seal.ForSession, least.Encode(), decodeSession, least},
		{"transaction-v1", seal.ForTransaction, transaction.Encode(), decodeTransaction, transaction},
		{"transaction-v2-bound", seal.ForTransaction, boundLogin.Encode(), decodeTransaction, boundLogin},
		{"transaction-v2", seal.ForTransaction, laterTransaction.Encode(), decodeTransaction, laterTransaction},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			plain, err := os.ReadFile("testdata/" + tc.name + ".hex")
			if err != nil {
				t.Fatal(err)
			}
			encoded, err := hex.DecodeString(strings.TrimSpace(string(plain)))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := tc.decoded(encoded); err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("reads as %+v, %v; want %+v", got, err, tc.want)
			}
			if hex.EncodeToString(tc.current) != hex.EncodeToString(encoded) {
				t.Errorf("is written otherwise now, in the same version:\n%x", tc.current)
			}
			sealed, err := os.ReadFile("testdata/" + tc.name + ".sealed")
			if err != nil {
				t.Fatal(err)
			}
			opened, _, err := ring.Open(tc.purpose, "golden app.example", strings.TrimSpace(string(sealed)))
			if err != nil {
				t.Fatal(err)
			}
			if got, err := tc.decoded(opened); err != nil || !reflect.DeepEqual(got, tc.want) {
				t.Errorf("opens as %+v, %v; want %+v", got, err, tc.want)
			}
		})
	}
}

func decodeSession(encoded []byte) (any, error) {
	var s Session
	err := s.Decode(encoded)
	return s, err
}

func decodeTransaction(encoded []byte) (any, error) {
	var tx Transaction
	err := tx.Decode(encoded)
	return tx, err
}

func TestSessionsAreOver(t *testing.T) {
	t.Parallel()
	s := Session{Expires: moment0.Add(time.Hour), Seen: moment0}
	for _, tc := range []struct {
		name string
		now  time.Time
		idle time.Duration
		want bool
	}{
		{"at once", moment0, 0, false},
		{"just before the end", moment0.Add(time.Hour - 1), 0, false},
		{"at the end", moment0.Add(time.Hour), 0, true},
		{"just before the idle timeout", moment0.Add(time.Minute - 1), time.Minute, false},
		{"at the idle timeout", moment0.Add(time.Minute), time.Minute, true},
		{"at the end, in use", moment0.Add(time.Hour), 24 * time.Hour, true},
		{"seen in the future, by a clock that is ahead", moment0.Add(-time.Hour), time.Minute, false},
	} {
		if got := s.Over(tc.now, tc.idle); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
	if !(&Session{}).Over(moment0, 0) {
		t.Error("a session without an end is not over")
	}
}

func TestTransactionsAreOver(t *testing.T) {
	t.Parallel()
	tx := Transaction{Began: moment0}
	for _, tc := range []struct {
		age  time.Duration
		want bool
	}{
		{0, false}, {TransactionLifetime - 1, false}, {TransactionLifetime, true}, {-time.Minute, false}, {-time.Minute - 1, true}, {-24 * time.Hour, true},
	} {
		if got := tx.Over(moment0.Add(tc.age)); got != tc.want {
			t.Errorf("at the age of %v: %v", tc.age, got)
		}
	}
}

func TestTheStateSaysThatItIsOfAPopup(t *testing.T) {
	t.Parallel()
	usual, popup := NewTransaction(), NewTransaction()
	before := popup.State
	popup.MarkPopup()
	var read Transaction
	if err := read.Decode(popup.Encode()); err != nil || read != popup || !strings.HasPrefix(popup.State, before[:21]) {
		t.Errorf("expected %+v, seen %+v (%v)", popup, read, err)
	}
	for state, want := range map[string]bool{
		popup.State: true, usual.State: false, before: false, "": false, "p": false, "=": false, before + "p": false, before + "pp": false, popup.State + "p": false,
	} {
		if got := IsOfPopup(state); got != want {
			t.Errorf("%q: expected %v, seen %v", state, want, got)
		}
	}
}

func TestTransactionsHaveSecretsOfTheirOwn(t *testing.T) {
	t.Parallel()
	a, b := NewTransaction(), NewTransaction()
	for name, tc := range map[string]struct{ a, b string }{
		"two states": {a.State, b.State}, "two nonces": {a.Nonce, b.Nonce}, "two verifiers": {a.Verifier, b.Verifier}, "state and nonce": {a.State, a.Nonce},
	} {
		if tc.a == tc.b {
			t.Errorf("%s: expected two values, seen %q twice", name, tc.a)
		}
	}
	if strings.Contains(a.Verifier, a.State) {
		t.Errorf("expected a verifier without the state %q, seen %q", a.State, a.Verifier)
	}
	for name, tc := range map[string]struct {
		got  string
		want int
	}{
		"state": {a.State, 22}, "nonce": {a.Nonce, 22},
		"verifier": {a.Verifier, 43}, // at least 43 characters: RFC 7636 4.1
	} {
		if len(tc.got) != tc.want {
			t.Errorf("%s: expected %d characters, seen %d", name, tc.want, len(tc.got))
		}
	}
	suffix := HashState(a.State).CookieSuffix()
	if len(suffix) != 8 {
		t.Errorf("expected a suffix of eight characters, seen %q", suffix)
	}
	if strings.Contains(a.State, suffix) {
		t.Errorf("expected a suffix that shows nothing of the state, seen %q", suffix)
	}
}

func TestBindingsTellProvidersApart(t *testing.T) {
	t.Parallel()
	all := map[Binding]string{}
	for _, pair := range [][2]string{{"https://a", "b"}, {"https://ab", ""}, {"", "https://ab"}, {"https://a/", "b"}, {"https://A", "b"}, {"", ""}} {
		b := Bind(pair[0], pair[1])
		if other, ok := all[b]; ok {
			t.Errorf("%q is bound like %s", pair, other)
		}
		all[b] = pair[0] + " " + pair[1]
	}
}

// A session that was handed over contains its parent, in every version that can.
func TestSessionsKnowTheirParent(t *testing.T) {
	t.Parallel()
	parent := &Parent{ID: ID{9}, Key: "session/ab", SignedIn: moment0, Expires: time.Unix(moment0.Unix()+600, 0), Provider: "corp", Username: "ada"}
	for name, s := range map[string]Session{"whole": wholeSession(), "granted": grantedSession(), "tagged": taggedSession()} {
		s.Parent = parent
		s.Requested = s.Requested.And(NamesOf("sub"))
		var read Session
		if err := read.Decode(s.Encode()); err != nil {
			t.Errorf("%s: expected no error, seen %v", name, err)
		}
		if !reflect.DeepEqual(read.Parent, parent) {
			t.Errorf("%s: expected the parent %+v, seen %+v", name, parent, read.Parent)
		}
	}
	for size := range parent.Encode() {
		if new(Parent).Decode(parent.Encode()[:size]) == nil {
			t.Errorf("the first %d bytes: expected an error, seen none", size)
		}
	}
	least := leastSession()
	least.Parent = parent
	var read Session
	if err := read.Decode(least.Encode()); err != nil || read.Parent == nil {
		t.Errorf("the version before: expected a parent, seen %+v, %v", read.Parent, err)
	}
}
