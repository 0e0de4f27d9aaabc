package oidcrp

import (
	"net/http"
	"testing"
)

func TestWhichHeadersSayTheSameOnEveryRequest(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{
		"email":                             true,
		"groups":                            true,
		"{http.auth.user.id}":               true,
		"{http.auth.user.claims.a.b}":       true,
		"{http.oidc_rp.issuer}":             true,
		"{http.oidc_rp.expires}":            true,
		"<{http.auth.user.id}, no more>":    true,
		"{http.oidc_rp.access_token}":       false, // until it expires
		"{http.oidc_rp.login_url}":          false, // leads back to this page
		"{http.request.uri.path}":           false,
		"{http.auth.user.id}{http.vars.x}":  false,
		`\{http.auth.user.id}`:              false,
		"{http.auth.user.id":                false,
		"{env.HOME}":                        false,
		"{http.auth.user.id} {time.now}":    false,
		"{http.auth.username}":              false,
		"{{http.auth.user.id}}":             false,
		"{http.auth.user.id:{http.vars.x}}": false,
	} {
		if got := isLasting(value); got != want {
			t.Errorf("%s: %v", value, got)
		}
	}
}

// What one request puts over a placeholder of ours is not what the next one's
// application is told.
func TestAHeaderIsNotWhatAnotherRequestMadeOfIt(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, `vars /odd http.auth.user.id somebody
oidc_rp {
	`+options(op)+`
	upstream {
		header X-Id {http.auth.user.id}
		header X-Path {http.request.uri.path}
		header X-Groups groups
	}
}`)
	b := r.browser()
	for _, path := range []string{"/odd", "/usual", "/usual2", "/odd", "/usual"} {
		if p := b.open(path); p.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d", path, p.StatusCode)
		}
		header, _ := r.upstream.got()
		if header.Get("X-Id") != "alice" || header.Get("X-Path") != path {
			t.Errorf("%s: the application is told %q of %q", path, header.Get("X-Id"), header.Get("X-Path"))
		}
	}
}
