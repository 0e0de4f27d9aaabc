package integration_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// holdSpans compares all spans of this plugin, in any order.
func holdSpans(t *testing.T, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("spans: expected\n%s\nseen\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

func TestSpansOfALogin(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, `
userinfo always
known_users list alice
session {
	store memory
}
`))
	spans := r.spans()
	check(t, r.browser().open("/page")).status(http.StatusOK)
	const provider = " oidc_rp.provider=default"
	call := func(name, endpoint string) string {
		return name + " http.response.status_code=200 oidc_rp.endpoint=" + endpoint + provider
	}
	const load = "oidc_rp.store oidc_rp.operation=load oidc_rp.store=memory"
	holdSpans(t, ended(spans),
		call("oidc_rp.discovery", "discovery"), call("oidc_rp.keys", "jwks"), call("oidc_rp.code_exchange", "token"), call("oidc_rp.userinfo", "userinfo"),
		"oidc_rp.login"+provider, "oidc_rp.callback oidc_rp.outcome=success"+provider,
		"oidc_rp.directory oidc_rp.directory=list oidc_rp.outcome=known", "oidc_rp.directory oidc_rp.directory=list oidc_rp.outcome=known",
		load, load, load, "oidc_rp.store oidc_rp.operation=save oidc_rp.store=memory")
	for _, span := range spans.Ended() {
		if !span.Parent().IsValid() && span.Name() != "handler" {
			t.Errorf("%s is not below the span of a request", span.Name())
		}
	}
	for _, endpoint := range []oidctest.Endpoint{oidctest.Discovery, oidctest.JWKS, oidctest.Token, oidctest.UserInfo} {
		if header := op.Last(endpoint).Header; header.Get("Traceparent") != "" {
			t.Errorf("%s: expected no header of a trace, seen %q", endpoint, header.Get("Traceparent"))
		}
	}
}

func TestSpansOfAFailedLogin(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	signedIn(t, r) // metadata and keys are known from now on
	spans := r.spans()
	op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Token).Status = http.StatusBadRequest })
	r.browser().open("/page")
	holdSpans(t, ended(spans),
		"oidc_rp.login oidc_rp.provider=default",
		"oidc_rp.code_exchange http.response.status_code=400 oidc_rp.endpoint=token oidc_rp.provider=default",
		"oidc_rp.callback oidc_rp.outcome=token_exchange_failed oidc_rp.provider=default")
}

func TestSpansOfARefresh(t *testing.T) {
	t.Parallel()
	op := newRefreshOP(t)
	r := newRefreshRig(t, op)
	b := signedIn(t, r)
	spans := r.spans()
	op.at(due, r)
	b.get("/")
	holdSpans(t, slices.DeleteFunc(ended(spans), func(span string) bool {
		return !strings.HasPrefix(span, "oidc_rp.refresh") && !strings.HasPrefix(span, "oidc_rp.token_refresh")
	}),
		"oidc_rp.refresh oidc_rp.outcome=success oidc_rp.provider=default",
		"oidc_rp.token_refresh http.response.status_code=200 oidc_rp.endpoint=token oidc_rp.provider=default")
}

// Without Caddy's tracing handler there are no spans.
func TestNoSpansWithoutTracing(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	spans := r.spans()
	r.traced = nil
	r.signsIn()
	if got := spans.Started(); len(got) != 0 {
		t.Errorf("expected no spans, seen %d", len(got))
	}
}
