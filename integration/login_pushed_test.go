package integration_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// With pushed requests the browser carries a reference and none of the parameters.
func TestPushedRequestsLeaveNothingInTheAddress(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"", "tenant=a&v=1"} {
		opts := []oidctest.Option{oidctest.PushedRequests()}
		if query != "" {
			opts = append(opts, oidctest.EndpointQuery(query))
		}
		op := newOP(t, opts...)
		r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	authorization_params {
		prompt login
	}
}
`)
		b := r.browser()
		sent := b.get("/page")
		u, err := url.Parse(sent.location())
		if err != nil {
			t.Fatal(err)
		}
		names := []string{"client_id", "request_uri"}
		if query != "" {
			names = append(names, "tenant", "v")
		}
		if got := sortedKeys(u.Query()); !slices.Equal(got, names) {
			t.Errorf("the browser carries %q", got)
		}
		form := op.Last(oidctest.PushedRequest).Form
		equal(t, "prompt", form.Get("prompt"), "login")
		equal(t, "client_id", form.Get("client_id"), "rp")
		equal(t, "code_challenge_method", form.Get("code_challenge_method"), "S256")
		check(t, b.open(sent.location())).body("application sees alice")
	}
}

func sortedKeys(values url.Values) (names []string) {
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// A configured endpoint is used whatever the metadata says.
func TestAConfiguredEndpointHasRequestsPushed(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.PushedRequests())
	endpoint := op.URL(oidctest.PushedRequest)
	op.Lie(func(l *oidctest.Faults) {
		l.Discovery = func(m map[string]any) {
			delete(m, "require_pushed_authorization_requests")
			m["pushed_authorization_request_endpoint"] = op.Issuer() + "/trap"
		}
	})
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	pushed_authorization_request_endpoint `+endpoint+`
}
`)
	check(t, r.browser().open("/page")).body("application sees alice")
}

// Requests are not pushed merely because the provider offers it: pushing is one more step
// that can fail.
func TestRequestsAreNotPushedWhereTheyNeedNotBe(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Lie(func(l *oidctest.Faults) {
		l.Discovery = func(m map[string]any) {
			m["pushed_authorization_request_endpoint"] = op.Issuer() + "/trap"
			m["require_pushed_authorization_requests"] = false
		}
	})
	check(t, newHarness(t, `
oidc_rp {
	`+options(op)+`
}
`).browser().open("/page")).body("application sees alice")
}

func TestPushedRequestsThatFail(t *testing.T) {
	t.Parallel()
	fault := func(change func(*oidctest.Fault)) func(*oidctest.Faults) {
		return func(l *oidctest.Faults) { change(l.At(oidctest.PushedRequest)) }
	}
	answer := func(change func(map[string]any)) func(*oidctest.Faults) {
		return func(l *oidctest.Faults) { l.Pushed = change }
	}
	json := "application/json"
	for _, tc := range []struct {
		name   string
		lie    func(*oidctest.Faults)
		status int
		code   errorcode.Code
	}{
		{"the connection is cut", fault(func(f *oidctest.Fault) { f.Drop = true }), 503, errorcode.ProviderUnavailable},
		{"a bad gateway", fault(func(f *oidctest.Fault) { f.Status = 502 }), 503, errorcode.ProviderUnavailable},
		{"too many requests", fault(func(f *oidctest.Fault) { f.Status = 429 }), 503, errorcode.ProviderUnavailable},
		{"more than there may be", fault(func(f *oidctest.Fault) { f.Endless = true }), 503, errorcode.ProviderUnavailable},
		{"nothing for a long time", fault(func(f *oidctest.Fault) { f.Delay = oidctest.Forever }), 503, errorcode.ProviderUnavailable},
		{"a refusal", fault(func(f *oidctest.Fault) { f.Status = 400; f.Replace(json, `{"error":"invalid_request"}`) }), 403, errorcode.ProviderError},
		{"a refusal of the client", fault(func(f *oidctest.Fault) { f.Status = 401; f.Replace(json, `{"error":"invalid_client"}`) }), 403, errorcode.ProviderError},
		{"a refusal that is no JSON", fault(func(f *oidctest.Fault) { f.Status = 403; f.Replace("text/html", "<p>no") }), 403, errorcode.ProviderError},
		{"success that is no JSON", fault(func(f *oidctest.Fault) { f.Replace("text/html", "<p>yes") }), 403, errorcode.ProviderError},
		{"a request_uri twice", fault(func(f *oidctest.Fault) { f.Replace(json, `{"request_uri":"a","request_uri":"b"}`) }), 403, errorcode.ProviderError},
		{"no request_uri", answer(func(m map[string]any) { delete(m, "request_uri") }), 403, errorcode.ProviderError},
		{"an empty request_uri", answer(func(m map[string]any) { m["request_uri"] = "" }), 403, errorcode.ProviderError},
		{"a request_uri that is no string", answer(func(m map[string]any) { m["request_uri"] = 7 }), 403, errorcode.ProviderError},
		{"an endless request_uri", answer(func(m map[string]any) { m["request_uri"] = strings.Repeat("x", 100_000) }), 403, errorcode.ProviderError},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			clock := stop(t)
			op := newOP(t, oidctest.PushedRequests(), oidctest.Now(clock.now))
			op.Lie(tc.lie)
			timeout := "30s"
			if tc.name == "nothing for a long time" {
				timeout = "10s" // reached once
			}
			r := newHarness(t, `
oidc_rp {
	`+options(op)+`
	timeout `+timeout+`
}
`)
			b := r.browser()
			p := b.get("/page")
			check(t, p).status(tc.status)
			equal(t, "the number of requests to Authorize", op.Hits(oidctest.Authorize), 0)
			equal(t, "the number of cookies", len(b.cookies()), 0)
			if (p.Header.Get("Retry-After") != "") != (tc.status == http.StatusServiceUnavailable) {
				t.Errorf("Retry-After %q", p.Header.Get("Retry-After"))
			}
			if logs := r.logs(); !strings.Contains(logs, `"code":"`+string(tc.code)+`"`) {
				t.Errorf("the log has no %s", tc.code)
			}
			asked := op.Hits(oidctest.PushedRequest)
			if b.get("/page"); tc.code == errorcode.ProviderUnavailable && op.Hits(oidctest.PushedRequest) != asked {
				t.Error("an endpoint that was down a moment ago is asked again at once")
			}
			op.Honest()
			clock.advance(longestPause)
			check(t, b.open("/page"), "an honest login afterwards").body("application sees alice")
		})
	}
}

// Metadata that requires pushed requests and names no endpoint for them cannot be used.
func TestARequirementWithoutAnEndpoint(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Lie(func(l *oidctest.Faults) {
		l.Discovery = func(m map[string]any) { m["require_pushed_authorization_requests"] = true }
	})
	r := newHarness(t, `
oidc_rp {
	`+options(op)+`
}
`)
	check(t, r.browser().get("/page")).status(http.StatusServiceUnavailable)
	contains(t, "the log", r.logs(), "has no pushed_authorization_request_endpoint")
}
