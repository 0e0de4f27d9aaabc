package integration_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestALoginLinkCanDemandMore(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, "forward_params acr_values max_age"))
	const login = "/@app/auth/default/login?returnto=/x&"
	for _, row := range []struct {
		name, query string
		acr         string
		ago         time.Duration
		enough      bool
	}{
		{"acr, and it is there", "acr_values=mfa+hwk", "hwk", 0, true},
		{"acr, and it is another one", "acr_values=mfa+hwk", "1", 0, false},
		{"acr, and it is not there", "acr_values=mfa", "", 0, false},
		{"max_age, and it holds", "max_age=60", "", 0, true},
		{"max_age, and it does not hold", "max_age=60", "", time.Hour, false},
		{"max_age 0, and the user has just signed in", "max_age=0", "", 0, true},
		{"max_age 0, and the user has signed in before", "max_age=0", "", time.Hour, false},
		{"both, and one does not hold", "max_age=60&acr_values=mfa", "mfa", time.Hour, false},
		{"nothing", "max_age=&acr_values=", "", time.Hour, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := r.browser()
			begun := b.get(login + row.query)
			parameters := askedOf(t, begun)
			query, _ := url.ParseQuery(row.query)
			for _, name := range []string{"acr_values", "max_age"} {
				equal(t, name, parameters.Get(name), query.Get(name))
			}
			proof(op, row.acr, row.ago)
			p := b.open(begun.location())
			if row.enough {
				check(t, p).status(http.StatusOK).at(rpURL + "/x")
				return
			}
			check(t, p).refused("forbidden")
			equal(t, "the session's cookie", b.cookies()["__Host-oidc_rp"], "")
		})
	}
}

// A link with an invalid demand is refused. If it were ignored, the user would prove less
// than the link was meant to demand.
func TestALoginLinkWithABadDemandIsRefused(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	b := r.browser()
	for _, query := range []string{"max_age=-1", "max_age=soon", "max_age=1.5", "max_age=99999999999", "max_age=1&max_age=2", "acr_values=a&acr_values=b", "acr_values=a%00b",
		"acr_values=" + strings.Repeat("a+", 33), "acr_values=" + strings.Repeat("x", 2001)} {
		check(t, b.get("/@app/auth/default/login?"+query), query).refused("bad_request").setsCookies(0)
	}
	equal(t, "the number of logins", op.Hits(oidctest.Authorize), 0)
}

// A link cannot make a login less strict than authorization_params do.
func TestALoginLinkCannotDemandLess(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, `
authorization_params {
	max_age 60
	`+mfa+`
}
`))
	b := r.browser()
	begun := b.get("/@app/auth/default/login?max_age=9999&acr_values=low")
	parameters := askedOf(t, begun)
	equal(t, "max_age", parameters.Get("max_age"), "60")
	contains(t, "claims", parameters.Get("claims"), "urn:mfa")
	proof(op, "low", 0)
	check(t, b.open(begun.location()), "a sign-in that the link allows").refused("token_invalid")
	begun = b.get("/@app/auth/default/login?max_age=10")
	equal(t, "max_age", askedOf(t, begun).Get("max_age"), "10")
}
