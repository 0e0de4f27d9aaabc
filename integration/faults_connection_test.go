package integration_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// A connection ends during a request, over HTTP/1.1 and HTTP/2, at each endpoint. The login
// fails once and the next one works. The code is sent at most once.
//
// See docs/faults.md, row F22.
func TestAConnectionThatEndsUnderARequest(t *testing.T) {
	t.Parallel()
	for protocol, option := range map[string]oidctest.Option{"HTTP/1.1": oidctest.TLS(), "HTTP/2": oidctest.HTTP2()} {
		for fault, f := range map[string]oidctest.Fault{
			"is reset": {Reset: true}, "ends": {Drop: true}, "is cut in the header": {Cut: true}, "is cut in the body": {Cut: true, CutAfter: 20, Chunked: true},
		} {
			for _, e := range []oidctest.Endpoint{oidctest.Discovery, oidctest.Token, oidctest.JWKS, oidctest.UserInfo} {
				t.Run(protocol+" "+fault+" at "+e.String(), func(t *testing.T) {
					t.Parallel()
					clock := stop(t)
					op := newOP(t, option, oidctest.Now(clock.now))
					r := newHarness(t, protectedBy(op, "userinfo always", trusting(op)))
					r.at(clock.now)
					op.Lie(func(l *oidctest.Faults) { *l.At(e) = f })
					w := r.witness(op, rpURL)
					p := w.walk("/page")
					differs(t, "the error code", shownCode(p), "")
					equal(t, "a session was opened", w.opened, false)
					atMost(t, "the number of requests with the code", op.Hits(oidctest.Token), 1)
					op.Honest()
					clock.advance(longestPause)
					check(t, w.walk("/page"), "another login").status(http.StatusOK).body("application sees alice")
				})
			}
		}
	}
}

// The provider restarts in the middle of a login. Its old connections are closed, and no request
// is lost.
//
// See docs/faults.md, row F22.
func TestTheProviderRestartsDuringALogin(t *testing.T) {
	t.Parallel()
	for protocol, option := range map[string]oidctest.Option{"HTTP/1.1": oidctest.TLS(), "HTTP/2": oidctest.HTTP2()} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			op := newOP(t, option)
			r := newHarness(t, protectedBy(op, trusting(op)))
			b := r.browser()
			callback := b.open("/page", rpURL+"/@app/auth/default/code").location()
			op.Stop()
			op.Start()
			check(t, b.open(callback)).status(http.StatusOK).endsAt("/page")
		})
	}
}

// The provider's certificate expires. New logins fail, the log says why, and sessions continue.
// After its renewal, logins work without a restart or reload.
//
// See docs/faults.md, row F23.
func TestTheProvidersCertificateExpires(t *testing.T) {
	t.Parallel()
	clock := stop(t)
	op := newOP(t, oidctest.TLS(), oidctest.Now(clock.now))
	r := newHarness(t, protectedBy(op, trusting(op)))
	r.at(clock.now)
	b := signedIn(t, r)
	restart := func(notBefore, notAfter time.Duration, names ...string) {
		op.SetCertificate(time.Now().Add(notBefore), time.Now().Add(notAfter), names...)
		op.Stop() // old connections would stay open
		op.Start()
	}
	for name, row := range map[string]struct {
		set func()
		log string
	}{
		"it has expired":           {func() { restart(-48*time.Hour, -time.Hour, "127.0.0.1") }, "certificate has expired or is not yet valid"},
		"it is not valid yet":      {func() { restart(time.Hour, 48*time.Hour, "127.0.0.1") }, "certificate has expired or is not yet valid"},
		"it is for another server": {func() { restart(-time.Hour, time.Hour, "other.example") }, "cannot validate certificate for 127.0.0.1"},
	} {
		row.set()
		check(t, r.browser().open("/page"), name).refused(errorcode.TokenExchangeFailed)
		check(t, b.get("/page"), name+": a session").status(http.StatusOK)
		contains(t, name+": the log", r.logs(), row.log)
		restart(-time.Hour, 48*time.Hour, "127.0.0.1")
		r.signsIn()
	}
}
