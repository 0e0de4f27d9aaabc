package integration_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// If the provider is down, a session continues for an hour after its access token has
// expired. After that, private pages are 503 until the provider is back.
//
// See docs/faults.md, row F08.
func TestASessionOutlivesAProviderThatIsDown(t *testing.T) {
	t.Parallel()
	for name, down := range map[string]func(*refreshOP){
		"connection refused": func(op *refreshOP) { op.Stop() },
		"500": func(op *refreshOP) {
			op.Lie(func(l *oidctest.Faults) {
				l.At(oidctest.Token).Instead = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
			})
		},
		"503 with Retry-After": func(op *refreshOP) {
			op.Lie(func(l *oidctest.Faults) {
				l.At(oidctest.Token).Instead = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Retry-After", "20")
					http.Error(w, `{"error":"invalid_grant"}`, http.StatusServiceUnavailable)
				})
			})
		},
		"429": func(op *refreshOP) {
			op.Lie(func(l *oidctest.Faults) {
				l.At(oidctest.Token).Instead = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
			})
		},
		"another error": func(op *refreshOP) {
			op.Lie(func(l *oidctest.Faults) {
				l.At(oidctest.Token).Instead = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
				})
			})
		},
		"no JSON": func(op *refreshOP) {
			op.Lie(func(l *oidctest.Faults) {
				l.At(oidctest.Token).Instead = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("maintenance")) })
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t)
			r := newHarnessAt(t, storageDir(t), refreshSite(op, "public /public/*"))
			b := signedIn(t, r)
			first := op.Issued().AccessToken
			down(op)
			op.at(due, r)
			for range 20 {
				check(required{t}, b.get("/")).status(http.StatusOK)
				equal(required{t}, "the access token at the application", r.bearer(), first)
			}
			if calls(op) > 3 {
				t.Errorf("%d calls for twenty requests at once", calls(op))
			}
			op.at(tokenGone, r)
			check(t, b.get("/")).status(http.StatusOK)
			equal(t, "the access token at the application", r.bearer(), "")
			op.at(10*time.Minute+time.Hour+time.Second, r)
			check(t, b.get("/")).status(http.StatusServiceUnavailable).hasHeader("Retry-After").setsCookies(0)
			check(t, b.get("/public/x"), "on a public page").status(http.StatusOK)
			if header, _ := r.upstream.got(); header.Get("X-Sub") != "" {
				t.Error("after the grace a public page knows the user")
			}
			if name == "connection refused" {
				op.Start()
			}
			op.Honest()
			op.at(2*time.Hour, r)
			check(t, b.get("/")).status(http.StatusOK)
			equal(t, "the access token at the application", r.bearer(), op.Issued().AccessToken)
			differs(t, "the access token at the application", r.bearer(), first)
		})
	}
}

func TestInvalidGrantEndsTheSession(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newHarnessAt(t, storageDir(t), refreshSite(op, "public /public/*"))
	b, other := signedIn(t, r), signedIn(t, r)
	copied := b.cookieHeader()
	op.EndGrants()
	op.at(due, r)
	check(t, b.send(http.MethodGet, "/x", program), "a program").
		status(http.StatusUnauthorized).
		shows("session_ended")
	if status, _, _ := r.ask(t.Context(), copied); status != http.StatusUnauthorized {
		t.Errorf("a copied cookie gets %d", status)
	}
	check(t, other.get("/public/x"), "a public page").status(http.StatusOK).header("Cache-Control", "no-store")
	equal(t, "a public page: the access token at the application", r.bearer(), "")
	if p := b.open("/"); p.StatusCode != http.StatusOK {
		t.Errorf("the next page load ends with %d", p.StatusCode)
	}
	for _, canary := range op.Canaries() {
		if strings.Contains(r.logs(), canary) {
			t.Error("a secret is in the log")
		}
	}
}

// A node that is killed after its token request and before it records the result leaves a
// used refresh token behind.
func TestANodeKilledInBetweenCostsOneLogin(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	storage := storageDir(t)
	first, second := newHarnessAt(t, storage, refreshSite(op, "")), newHarnessAt(t, storage+"/.", refreshSite(op, ""))
	b := signedIn(t, first)
	op.at(due, first, second)
	if status, _, _ := first.ask(t.Context(), b.cookieHeader()); status != http.StatusOK {
		t.Fatal(status)
	}
	if err := os.RemoveAll(filepath.Join(storage, "oidc_rp", "refresh")); err != nil {
		t.Fatal(err)
	}
	moveTo(b, second)
	check(required{t}, b.get("/page")).status(http.StatusFound).leadsInto(op.Issuer())
	check(t, b.open("/page")).status(http.StatusOK).endsAt("/page")
	got := op.TakeViolations()
	equal(required{t}, "the number of violations", len(got), 1)
	contains(t, "the violation", got[0], "used twice")
}

func TestAnEndedSessionIsNotRefreshed(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newHarnessAt(t, storageDir(t), refreshSite(op, "end_session off"))
	b := signedIn(t, r)
	cookies := b.cookieHeader()
	b.open("/Special:UserLogout")
	op.at(due, r)
	equal(t, "the status", r.use(cookies), http.StatusUnauthorized)
	equal(t, "the number of refreshes", calls(op), 0)
}

func TestAnAnswerWithoutRefreshTokenKeepsTheOldOne(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newRefreshRig(t, op)
	b := signedIn(t, r)
	kept := op.Issued().RefreshToken
	op.Lie(func(l *oidctest.Faults) {
		l.Token = func(response map[string]any) { delete(response, "refresh_token") }
	})
	op.at(due, r)
	check(required{t}, b.get("/")).status(http.StatusOK)
	equal(required{t}, "the number of refreshes", calls(op), 1)
	op.at(2*due, r)
	b.get("/")
	if got := op.Last(oidctest.Token).Form.Get("refresh_token"); got != kept {
		t.Error("the old refresh token was not kept")
	}
	op.TakeViolations() // this provider expects that no refresh token is used twice
}

func TestRefreshOnlyWhereTokensAreWanted(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name, options string
		want          int
	}{
		{"nothing wants them", "", 0},
		{"the access token is wanted", `
			upstream {
				access_token
			}
		`, 1},
		{"the ID token is wanted", `
			upstream {
				id_token
			}
		`, 1},
		{"off", `
			upstream {
				access_token
			}
			session {
				refresh off
			}
		`, 0},
		{"on", `
			session {
				refresh on
			}
		`, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			op := newRefreshOP(t)
			r := newHarness(t, protectedBy(op.Provider, row.options))
			b := signedIn(t, r)
			op.at(due, r)
			check(t, b.get("/")).status(http.StatusOK)
			equal(t, "the number of refreshes", calls(op), row.want)
		})
	}
}

func TestRefreshRenewsTheClaims(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newHarnessAt(t, storageDir(t), `
http://rp.test {
	oidc_rp {
		`+options(op.Provider)+`
		upstream {
			header X-Name name
			header X-Id {http.auth.user.id}
			access_token
			id_token
		}
	}
	reverse_proxy {upstream}
}
`)
	b := signedIn(t, r)
	user := op.User("alice")
	user.Claims["name"] = "Alice Renamed"
	op.SetUser("alice", user)
	op.at(due, r)
	b.get("/")
	header, _ := r.upstream.got()
	equal(t, "X-Name", header.Get("X-Name"), "Alice Renamed")
	equal(t, "X-Id", header.Get("X-Id"), "alice")
	equal(t, "X-Id-Token", header.Get("X-Id-Token"), op.Issued().IDToken)
	// If userinfo fails, the new tokens are used nevertheless.
	op.Lie(func(l *oidctest.Faults) { l.At(oidctest.UserInfo).Status = 500 })
	op.at(2*due, r)
	b.get("/")
	header, _ = r.upstream.got()
	equal(t, "X-Name", header.Get("X-Name"), "Alice Renamed")
	equal(t, "the access token at the application", r.bearer(), op.Issued().AccessToken)
}

func TestARefreshTokenThatDoesNotFitIsDropped(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	op.Lie(func(l *oidctest.Faults) {
		l.Token = func(response map[string]any) { response["refresh_token"] = strings.Repeat("r", 9000) }
	})
	r := newRefreshRig(t, op)
	b := signedIn(t, r)
	if strings.Count(r.logs(), "the refresh token does not fit") != 1 {
		t.Error("the log does not say so, once")
	}
	op.at(due, r)
	check(t, b.get("/")).status(http.StatusOK)
	equal(t, "the number of refreshes", calls(op), 0)
}

func TestStorageThatFailsKeepsTheSession(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newRefreshRig(t, op)
	b := signedIn(t, r)
	first := op.Issued().AccessToken
	b.get("/")
	// A file in place of the folder of locks makes locking fail.
	locks := filepath.Join(r.storage, "locks")
	_ = os.RemoveAll(locks)
	if err := os.WriteFile(locks, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	op.at(due, r)
	check(t, b.get("/")).status(http.StatusOK)
	equal(t, "the number of refreshes", calls(op), 0)
	equal(t, "the access token at the application", r.bearer(), first)
	if err := os.Remove(locks); err != nil {
		t.Fatal(err)
	}
	op.at(due+10*time.Second, r)
	check(t, b.get("/")).status(http.StatusOK)
	equal(t, "the number of refreshes", calls(op), 1)
	differs(t, "the access token at the application", r.bearer(), first)
}

// If the keys cannot be fetched, the new ID token can be neither verified nor refused.
// Only the new refresh token is used, since the old one is spent.
func TestKeysThatCannotBeHadAtARefreshEndNothing(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newRefreshRig(t, op)
	b := signedIn(t, r)
	first := op.Issued().AccessToken
	op.RotateKeys()
	op.Lie(func(l *oidctest.Faults) { l.At(oidctest.JWKS).Status = 500 })
	op.at(due, r)
	check(required{t}, b.get("/")).status(http.StatusOK)
	equal(required{t}, "the access token at the application", r.bearer(), first)
	op.Honest()
	op.at(tokenGone, r)
	check(t, b.get("/")).status(http.StatusOK)
	equal(t, "the number of refreshes", calls(op), 2)
	equal(t, "the access token at the application", r.bearer(), op.Issued().AccessToken)
}
