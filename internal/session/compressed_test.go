package session

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

func compressedSession() Session {
	s := taggedSession()
	set, err := claims.Encode(map[string]json.RawMessage{
		"name": json.RawMessage(`"Ada Lovelace"`), "email": json.RawMessage(`"ada@corp.example"`), "email_verified": json.RawMessage(`true`),
		"preferred_username": json.RawMessage(`"ada"`),
		"groups":             json.RawMessage(`["staff","8f2f0a5e-3d0b-4a55-9c0e-6a1f5f1f2b77","B7B0D3F0-2F6C-4C7E-9B6D-0F5C2F9F1C11"]`),
	})
	if err != nil {
		panic(err)
	}
	s.Claims = set
	return s
}

// shortSession returns a session of a new sign-in, with all optional fields of that
// version.
func shortSession() Session {
	s := compressedSession()
	s.Requested, s.FromUserinfo = NamesOf("sub", "groups"), NamesOf("name")
	s.SID, s.Spared = "K7QZ2RRWQ4ZFW5S7N3LQ5OJ2BE", [Aspects]int64{SparedSubject: moment0.UnixMilli() + 1}
	return s
}

func TestCompressedSessionsComeBack(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Session){
		"with all that there is": func(*Session) {},
		"with nothing that can be absent": func(s *Session) {
			*s = Session{ID: s.ID, SignedIn: s.SignedIn, Subject: s.Subject, Requested: NamesOf("sub")}
		},
		"of an earlier release":        func(s *Session) { s.Requested = "" },
		"that did not request it all":  func(s *Session) { s.Requested = NamesOf("groups") },
		"without a username":           func(s *Session) { s.Username = "" },
		"with a time before 1970":      func(s *Session) { s.AuthTime = time.Unix(-5, 0) },
		"with a SID of any characters": func(s *Session) { s.SID = "a b\x00é" },
		"with another SID":             func(s *Session) { s.SID = "0b1c2d3e-4f50-4162-8374-95a6b7c8d9e0" },
		"with many claims":             func(s *Session) { s.Claims += claims.Set(strings.Repeat("\x01as\x01b", 5000)) },
		"with claims beyond the bound": func(s *Session) { s.Claims += claims.Set(strings.Repeat("\x01as\x01b", 20000)) },
	} {
		want := shortSession()
		change(&want)
		encoded := want.Encode()
		var got Session
		if err := got.Decode(encoded); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: comes back as %+v, %v", name, got, err)
		}
	}
}

func TestWhatWasCompressedAndCutShortIsNone(t *testing.T) {
	t.Parallel()
	whole := shortSession()
	encoded := whole.Encode()
	if encoded[0] != sessionShortVersion {
		t.Fatalf("is written in version %d, want %d", encoded[0], sessionShortVersion)
	}
	for length := range encoded {
		var s Session
		if err := s.Decode(encoded[:length]); err != ErrNone {
			t.Errorf("%d bytes of %d: %v", length, len(encoded), err)
		}
	}
	var s Session
	if err := s.Decode(append(encoded, 0)); err != ErrNone {
		t.Errorf("with more after the end: %v", err)
	}
}

// Secrets are not compressed together with data that others choose: the size of the cookie
// reveals nothing but their length.
func TestSecretsAreNotCompressed(t *testing.T) {
	t.Parallel()
	s := shortSession()
	for name, secret := range map[string]*string{"access token": &s.AccessToken, "ID token": &s.IDToken, "refresh token": &s.Grant.RefreshToken, "key of the tokens": &s.TokenKey, "key of the refresh token": &s.Grant.Key, "return address": &s.Return} {
		*secret = strings.Repeat("preferred_username", 9)
		if s.Encode()[0] != sessionShortVersion {
			t.Errorf("with the %s the session is not in version %d", name, sessionShortVersion)
		}
		if !bytes.Contains(s.Encode(), []byte(*secret)) {
			t.Errorf("the %s is not in the session as it is", name)
		}
		*secret = "x"
	}
}

// These are the maximum sizes of sessions in cookies, in bytes of their values.
func TestSessionsAreSmall(t *testing.T) {
	t.Parallel()
	ring, err := seal.NewRing([]byte("golden secret, known to everybody"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		claims string
		most   int
	}{
		{"15 claims and 10 groups", fromFile(t, "usual.json"), 500},
		{"66 claims and 40 groups", fromFile(t, "large.json"), 1400},
		{"250 groups that are GUIDs", `{"groups":[` + guids(250) + `]}`, 2 * 3800},
		{"250 groups that are GUIDs in upper case", `{"groups":[` + strings.ToUpper(guids(250)) + `]}`, 2 * 3800},
		{"400 groups that are GUIDs", `{"groups":[` + guids(400) + `]}`, 4 * 3800},
	} {
		var members map[string]json.RawMessage
		if err := json.Unmarshal([]byte(tc.claims), &members); err != nil {
			t.Fatal(err)
		}
		s := taggedSession()
		s.AccessToken, s.AccessTokenExpires, s.IDToken, s.Grant, s.Requested = "", time.Time{}, "", Grant{}, NamesOf("sub")
		s.ID, s.Subject, s.SID = NewID(), "6d1b2c0e-9f43-4d0e-8a55-3c1d7c0a9e21", "0b1c2d3e-4f50-4162-8374-95a6b7c8d9e0"
		if s.Claims, err = claims.Encode(members); err != nil {
			t.Fatal(err)
		}
		size := len(ring.Seal(seal.ForSession, "__Host-oidc_rp https://app.example.com", s.Encode()))
		t.Logf("%s: %d bytes", tc.name, size)
		if size > tc.most {
			t.Errorf("%s: %d bytes, want %d at most", tc.name, size, tc.most)
		}
	}
}

func fromFile(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile("../../bench/testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// guids returns different GUIDs, as members of a JSON list.
func guids(count int) string {
	list := make([]string, count)
	for i := range list {
		id := NewID()
		list[i] = fmt.Sprintf(`"%x-%x-%x-%x-%x"`, id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	}
	return strings.Join(list, ",")
}

// TestWhatWasEverCompressedIsRead checks that sessions compressed by earlier releases can
// be read. The compression itself may change.
func TestWhatWasEverCompressedIsRead(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]Session{"session-v3-compressed": compressedSession(), "session-v4-compressed": shortSession()} {
		golden, err := os.ReadFile("testdata/" + name + ".hex")
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := hex.DecodeString(strings.TrimSpace(string(golden)))
		if err != nil {
			t.Fatal(err)
		}
		var got Session
		if err := got.Decode(encoded); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s reads as %+v, %v; want %+v", name, got, err, want)
		}
	}
}
