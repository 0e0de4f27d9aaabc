package oidcrp_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// With a hundred thousand active sessions in a memory store, this test measures the
// memory of the records and of the cache of opened sessions together. It is not
// parallel, since all tests share the heap.
func TestWhatAHundredThousandSessionsTakeOfMemory(t *testing.T) {
	people, most := 100_000, int64(150<<20)
	if underRace { // all of them take a minute; these fill the limited caches as well
		people, most = 30_000, 90<<20
	}
	h := started(t, `
http://rp.test {
	oidc_rp {
		issuer https://op.test
		client_id rp
		session {
			store memory
		}
	}
}
`).Handlers()[0]
	request := httptest.NewRequest("GET", "https://rp.test/", nil)
	s := h.Instance().Scopes.Of(request)
	ring, err := h.Instance().Keys.Ring(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	said := usualClaims(t)
	before := liveHeap()
	for i := range people {
		chunks, err := h.Instance().Sessions.Create(t.Context(), ring, s.SessionAAD, usualSession(h, said, i))
		if err != nil {
			t.Fatal(err)
		}
		if len(chunks) != 1 {
			t.Fatalf("the session of visitor %d: expected one cookie, seen %d", i, len(chunks))
		}
		if k, err := h.Instance().Sessions.Load(t.Context(), ring, s.SessionAAD, chunks[0][1:], h.Now()); err != nil || k == nil {
			t.Fatalf("the session of visitor %d: %v, %v", i, k, err)
		}
	}
	took := liveHeap() - before
	t.Logf("%d MiB, %d bytes for each", took>>20, took/int64(people))
	if took > most {
		t.Errorf("%d MiB", took>>20)
	}
	runtime.KeepAlive(h)
}

// liveHeap returns the bytes in use after garbage collection.
func liveHeap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// usualClaims returns 15 claims, one of them with 10 groups.
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

func usualSession(h *oidcrp.Handler, said claims.Set, i int) *session.Session {
	now := h.Now()
	return &session.Session{
		ID: session.NewID(), Binding: h.Instance().Default.Binding, Provider: h.Instance().Default.ID,
		Subject: fmt.Sprintf("248289761%06d", i), Username: fmt.Sprintf("user%06d", i), SID: fmt.Sprintf("sid-%032d", i),
		SignedIn: now, Seen: now, Expires: now.Add(12 * time.Hour), Claims: said,
	}
}

// Instances with different cookies have separate sessions, and each needs only its own
// tokens.
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
	one, two := app.Handlers()[0], app.Handlers()[1]
	if one.Endpoints != "/a/auth" {
		one, two = two, one
	}
	if one.Instance().NeedsOf(one.Instance().Default, "").AccessToken {
		t.Error("expected the first instance not to need the access token, seen that it does")
	}
	if !two.Instance().NeedsOf(two.Instance().Default, "").AccessToken {
		t.Error("expected the second instance to need the access token, seen that it does not")
	}
}

// bound returns the session binding of the provider that a site's options configure.
func bound(t *testing.T, lines string) session.Binding {
	t.Helper()
	app := started(t, fmt.Sprintf(`
http://rp.test {
	oidc_rp {
		issuer https://login.example.com
		client_id app
		%s
	}
}
`, lines))
	return app.Handlers()[0].Instance().Default.Binding
}

// Sessions of earlier releases stay valid if the options have their default values.
func TestOptionsAtTheirDefaultBindNothing(t *testing.T) {
	t.Setenv("OIDC_TEST_NAME", "sub")
	t.Setenv("OIDC_TEST_GROUPS", "groups")
	golden := session.Bind("https://login.example.com", "app")
	for _, lines := range []string{
		"",
		"username_claim preferred_username sub",
		"username_claim preferred_username {env.OIDC_TEST_NAME}",
		"groups_claim groups",
		"groups_claim {env.OIDC_TEST_GROUPS}",
		`claims {
			role role
			email email
		}`,
		`scopes openid email
		userinfo always
		authorization_params {
			max_age 60
		}`,
	} {
		if bound(t, lines) != golden {
			t.Errorf("%q binds sessions, expected those of earlier releases to go on", lines)
		}
	}
	seen := map[session.Binding]string{golden: "the default"}
	for _, lines := range []string{
		"username_claim sub",
		"username_claim sub preferred_username",
		"username_claim nickname",
		"groups_claim roles",
		"groups_claim realm_access.roles",
		`claims {
			role realm_access.roles
		}`,
		`claims {
			role nickname
		}`,
		`claims {
			roles nickname
		}`,
		`claims {
			role nickname
			other nickname
		}`,
	} {
		b := bound(t, lines)
		if other, twice := seen[b]; twice {
			t.Errorf("%q binds like %q, expected a binding of its own", lines, other)
		}
		seen[b] = lines
	}
	if bound(t, "username_claim {env.OIDC_TEST_NAME}") != bound(t, "username_claim sub") {
		t.Error("a placeholder binds other than its value, expected the resolved option")
	}
}
