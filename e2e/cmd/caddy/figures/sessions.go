package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

const (
	place  = "__Host-oidc_rp\x00host app.example.com"
	issuer = "https://login.example.com"
)

// usual holds the claims that a provider typically returns.
var usual = map[string]any{
	"name": "Alice Example", "given_name": "Alice", "family_name": "Example", "preferred_username": "alice", "nickname": "alice",
	"email": "alice@example.com", "email_verified": true, "locale": "de-AT", "zoneinfo": "Europe/Vienna",
	"picture": "https://login.example.com/avatars/8f2f0a5e.png", "updated_at": 1761140000,
	"department": "Engineering", "employee_number": "104711",
	"groups": []string{"staff", "engineering", "backend", "on-call", "wiki-editors", "git-users", "vpn", "vienna", "release-managers", "admins"},
}

// A kept is a session as a store keeps it.
type kept struct {
	key    string
	record []byte
	events []string // keys of the revocations that can end it
	ends   time.Time
	sid    string
}

// newKept creates a session with a refresh token, for another user.
func newKept(i int) (kept, error) {
	members := make(map[string]json.RawMessage, len(usual))
	for name, value := range usual {
		text, err := json.Marshal(value)
		if err != nil {
			return kept{}, err
		}
		members[name] = text
	}
	set, err := claims.Encode(members)
	if err != nil {
		return kept{}, err
	}
	now := time.Now()
	s := session.Session{
		ID: session.NewID(), Binding: session.Bind(issuer, "rp"), Provider: "default",
		SignedIn: now, Seen: now, Expires: now.Add(12 * time.Hour), AccessTokenExpires: now.Add(time.Hour),
		Subject: fmt.Sprintf("8f2f0a5e-3d0b-4a55-9c0e-%012d", i), Username: "alice", SID: fmt.Sprintf("c1f7a9d2-77c4-4f0e-8a51-%012d", i),
		Return: "/reports/2026/november", Claims: set,
	}
	s.Grant = session.Grant{RefreshToken: fmt.Sprintf("%064d", i), Issued: now, AuthTime: now.Unix()}
	secret := seal.NewRecordSecret()
	name, err := secret.Name()
	if err != nil {
		return kept{}, err
	}
	record, err := secret.Seal(place, s.Encode())
	if err != nil {
		return kept{}, err
	}
	target := revocation.TargetOf(&s, issuer)
	return kept{"session/" + name, record, target.Keys(), s.Expires, s.SID}, nil
}
