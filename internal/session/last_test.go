package session

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
)

// Nothing that an application or a provider could use is kept after a session's end.
func TestAfterItsEndASessionIsANameAndWhatMayRevokeIt(t *testing.T) {
	t.Parallel()
	kept, err := claims.Encode(map[string]json.RawMessage{"email": json.RawMessage(`"s3cret@corp.example"`)})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_700_000_000, 0).UTC()
	s := &Session{
		ID: ID{1}, Binding: Binding{2}, Provider: "corp", SignedIn: now, Expires: now.Add(time.Hour), Seen: now.Add(time.Minute),
		Subject: "u-1", Username: "alice", SID: "sid-1", IDTokenIssued: now, Spared: [Aspects]int64{SparedSubject: now.UnixMilli()},
		Login: StateHash{3}, Return: "/s3cret", AccessToken: "s3cret", IDToken: "s3cret", ACR: "s3cret",
		Grant: Grant{RefreshToken: "s3cret", Issued: now}, Claims: kept,
	}
	last := s.AfterItsEnd()
	encoded := last.Encode()
	if bytes.Contains(encoded, []byte("s3cret")) {
		t.Errorf("expected no secret to be kept, seen %q", encoded)
	}
	var read Session
	if err := read.Decode(encoded); err != nil {
		t.Fatal(err)
	}
	for name, equal := range map[string]bool{
		"the id": read.ID == s.ID, "the binding": read.Binding == s.Binding, "the provider": read.Provider == s.Provider, "the subject": read.Subject == s.Subject,
		"the name": read.Username == s.Username, "the sid": read.SID == s.SID, "the beginning": read.SignedIn.Equal(now), "the end": read.Expires.Equal(s.Expires),
		"the use": read.Seen.Equal(now), "the iat": read.IDTokenIssued.Equal(now), "what is spared": read.Spared == s.Spared,
	} {
		if !equal {
			t.Errorf("%s: expected that of the session, seen %+v", name, read)
		}
	}
}
