package oidcrp

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// Fault C11: an instance with another cookie has sessions of its own.
func TestInstancesWithOtherCookiesAskForTheirOwn(t *testing.T) {
	t.Parallel()
	app := started(t, `
http://rp.test {
	handle /a* {
		oidc_rp {
			endpoints /a/auth
			session {
				cookie one
			}
		}
	}
	handle {
		oidc_rp {
			session {
				cookie two
			}
			upstream {
				access_token
			}
		}
	}
}
`, `
	oidc_rp {
		provider corp {
			issuer https://op.test
			client_id rp
		}
	}
`)
	one, two := app.handlers[0], app.handlers[1]
	if one.Endpoints != "/a/auth" {
		one, two = two, one
	}
	if one.needs(one.defaultProvider, "").accessToken || !two.needs(two.defaultProvider, "").accessToken {
		t.Error("the access token is kept in sessions of the instance that does not need it, expected only in the other's")
	}
}

// Fault C7: sessions of earlier releases remember nothing of it, and go on.
func TestSessionsOfEarlierReleasesAreNotOutdated(t *testing.T) {
	t.Parallel()
	h := started(t, `
http://rp.test {
	oidc_rp {
		issuer https://op.test
		client_id rp
		upstream {
			header X-Shoe shoe_size
			access_token
		}
	}
}
`).handlers[0]
	s := usualSession(h, usualClaims(t), 1)
	s.Requested = ""
	st := &requestState{h: h, provider: h.defaultProvider, loaded: &sessionstore.Loaded{Session: *s}}
	st.session = &st.loaded.Session
	if h.isOutdated(st) {
		t.Error("a session that remembers nothing is outdated, expected it to go on")
	}
}

// usualClaims are 15 claims, 10 groups among them.
func usualClaims(t *testing.T) claims.Set {
	t.Helper()
	members := map[string]json.RawMessage{"email_verified": json.RawMessage("true"), "groups": json.RawMessage(`["staff","engineering","on-call","berlin","vpn","wiki","tickets","payroll","canteen","cycling"]`)}
	for n := range 13 {
		members[fmt.Sprintf("claim_%02d", n)] = json.RawMessage(fmt.Sprintf(`"what claim %d says of a user"`, n))
	}
	set, err := claims.Encode(members)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func usualSession(h *Handler, said claims.Set, i int) *session.Session {
	now := h.now()
	return &session.Session{
		ID: session.NewID(), Binding: h.defaultProvider.binding, Provider: h.defaultProvider.id,
		Subject: fmt.Sprintf("248289761%06d", i), Username: fmt.Sprintf("user%06d", i), SID: fmt.Sprintf("sid-%032d", i),
		SignedIn: now, Seen: now, Expires: now.Add(12 * time.Hour), Claims: said,
	}
}

// Fault E13: userinfo may have another form than the ID token had.
func TestGroupsOfUserinfoReplaceThoseOfTheIDToken(t *testing.T) {
	t.Parallel()
	p := &provider{groups: "memberships.name"}
	old := map[string]json.RawMessage{
		"memberships": json.RawMessage(`[{"name":"admins"},{"name":"staff"}]`),
		groupsEntry:   json.RawMessage(`["admins","staff"]`),
	}
	for info, want := range map[string]string{
		`{"name":"staff"}`:                     `absent`,
		`[{"name":"staff"},{"name":"viewer"}]`: `["staff","viewer"]`,
	} {
		kept, _, err := p.mergeClaims(&needs{keepAll: true}, old, "", op.Claims{"memberships": json.RawMessage(info)})
		if err != nil {
			t.Fatal(err)
		}
		got := "absent"
		if raw, there := kept[groupsEntry]; there {
			got = string(raw)
		}
		if got != want {
			t.Errorf("with memberships %s the groups that are kept apart are %s, expected %s", info, got, want)
		}
	}
}
