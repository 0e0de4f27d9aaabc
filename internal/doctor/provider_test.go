package doctor

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

const redirectURI = "https://rp.test/code"

// subject returns a client that the provider knows.
func subject(p *oidctest.Provider, change func(*op.DiscoveryConfig, *op.Client)) *Subject {
	config := op.DiscoveryConfig{
		Issuer: p.Issuer(), Timeout: time.Minute, Now: time.Now,
		TLS: func() *tls.Config { return &tls.Config{RootCAs: oidctest.CAPool()} },
	}
	client := &op.Client{
		ClientID: p.Client().ID, Secret: func() (string, error) { return p.Client().Secret, nil },
		Scopes: []string{"profile", "email"}, ClockSkew: time.Minute, Now: time.Now,
	}
	if change != nil {
		change(&config, client)
	}
	client.Discovery = op.NewDiscovery(config)
	return &Subject{Client: client, RedirectURIs: []string{redirectURI}, TryCredentials: true, Now: time.Now}
}

// text formats each check as one line.
func text(checks []Check) string {
	var b strings.Builder
	for _, c := range checks {
		fmt.Fprintf(&b, "%s %s: %s", marks[c.Status], c.Name, c.Message)
		if len(c.Details) > 0 {
			fmt.Fprintf(&b, " [%s]", strings.Join(c.Details, "|"))
		}
		if c.Remedy != "" {
			fmt.Fprintf(&b, " → %s", c.Remedy)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func TestHonestProvider(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.TLS(), oidctest.Lenient())
	p.Register(redirectURI)
	p.SignOut()
	got := subject(p, nil).Examine(t.Context())
	if n := slices.IndexFunc(got, func(c Check) bool { return c.Status != OK }); n >= 0 {
		t.Errorf("expected nothing wrong, seen\n%s", text(got))
	}
	var names []string
	for _, c := range got {
		names = append(names, c.Name)
	}
	const want = "connection discovery keys clock client authentication credentials redirect URI PKCE scopes logout"
	if seen := strings.Join(names, " "); seen != want {
		t.Errorf("expected the checks %s, seen %s", want, seen)
	}
}

// withDPoP turns DPoP on in the given mode.
func withDPoP(mode op.DPoPMode) func(*op.DiscoveryConfig, *op.Client) {
	return func(_ *op.DiscoveryConfig, c *op.Client) { c.DPoP = op.DPoP{Mode: mode, Alg: "ES256"} }
}

func TestProvidersThatLie(t *testing.T) {
	t.Parallel()
	metadata := func(name string, value any) func(*oidctest.Faults) {
		return func(l *oidctest.Faults) {
			l.Discovery = func(m map[string]any) {
				if value == nil {
					delete(m, name)
				} else {
					m[name] = value
				}
			}
		}
	}
	answers := func(e oidctest.Endpoint, status int, body string) func(*oidctest.Faults) {
		return func(l *oidctest.Faults) {
			l.At(e).Status = status
			l.At(e).Replace("application/json", body)
		}
	}
	withoutTLS := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(withoutTLS.Close)
	clock := func(ahead time.Duration) func(*oidctest.Faults) {
		return func(l *oidctest.Faults) {
			l.At(oidctest.Discovery).Header = func(h http.Header) {
				h.Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
			}
		}
	}
	for _, row := range []struct {
		name  string
		lie   func(*oidctest.Faults)
		setUp func(*oidctest.Provider)
		ours  func(*op.DiscoveryConfig, *op.Client)
		says  string
	}{
		{name: "it is down", setUp: (*oidctest.Provider).Stop, says: "✘ connection: nothing listens at 127.0.0.1"},
		{name: "an expired certificate", setUp: func(p *oidctest.Provider) {
			p.SetCertificate(time.Now().AddDate(0, -2, 0), time.Date(2020, 1, 2, 0, 0, 0, 0, time.UTC))
		}, says: "✘ connection: the certificate expired on 2020-01-02 → Have the provider's certificate renewed."},
		{name: "a certificate of the future", setUp: func(p *oidctest.Provider) {
			p.SetCertificate(time.Now().AddDate(1, 0, 0), time.Now().AddDate(2, 0, 0))
		}, says: "✘ connection: the certificate is not valid before "},
		{name: "a certificate that ends soon", setUp: func(p *oidctest.Provider) {
			p.SetCertificate(time.Now().AddDate(0, 0, -60), time.Now().AddDate(0, 0, 2))
		}, says: "! connection: TLS 1.3, the certificate is valid until "},
		{name: "a certificate for another name", setUp: func(p *oidctest.Provider) {
			p.SetCertificate(time.Now().AddDate(0, 0, -1), time.Now().AddDate(1, 0, 0), "login.example.com")
		}, says: "✘ connection: the certificate is for login.example.com, and not for 127.0.0.1 → Write the issuer with a name"},
		{name: "an unknown authority", ours: func(c *op.DiscoveryConfig, _ *op.Client) { c.TLS = nil },
			says: "✘ connection: the certificate is from an authority that this machine does not trust → Add the authority's certificate with tls { ca <file> }."},
		{name: "plain HTTP where TLS is expected", ours: func(c *op.DiscoveryConfig, _ *op.Client) {
			c.Issuer = strings.Replace(withoutTLS.URL, "http:", "https:", 1)
		},
			says: "✘ connection: the answer is not TLS → Check the port of the issuer."},
		{name: "no metadata", lie: answers(oidctest.Discovery, 404, ""), says: "(status 404) → Check the path of the issuer"},
		{name: "a page in its place", lie: answers(oidctest.Discovery, 200, "<html>"), says: "✘ discovery: the metadata is not a JSON object → Open https://"},
		{name: "an error in its place", lie: answers(oidctest.Discovery, 500, ""), says: "status 500 → The provider answers, but not with its metadata."},
		{name: "another issuer", lie: metadata("issuer", "https://other.example.com"),
			says: "|provider    https://other.example.com|"},
		{name: "no token endpoint", lie: metadata("token_endpoint", nil), says: "✘ discovery: the metadata has no token_endpoint"},
		{name: "no keys", lie: answers(oidctest.JWKS, 200, `{"keys": []}`), says: "✘ keys: none of the 0 keys in the key set can be used → Look at https://"},
		{name: "keys of another kind", lie: func(l *oidctest.Faults) {
			metadata("id_token_signing_alg_values_supported", []string{"ES256"})(l)
			l.Keys.Publish = func(signing map[string]any, _ []any) []any { return []any{signing} }
		}, says: "✘ keys: the provider has no key for ES256, which must sign ID tokens → Set id_token_algs"},
		{name: "another algorithm than ours", ours: func(_ *op.DiscoveryConfig, c *op.Client) { c.Algs = []string{"ES256"} },
			says: "✘ keys: id_token_algs has ES256, and the provider offers RS256 → Use one of those"},
		{name: "a clock a little off", lie: clock(-20 * time.Second), says: "! clock: the provider's is "},
		{name: "a clock far off", lie: clock(2 * time.Minute), says: "✘ clock: the provider's is 2m ahead of this machine's, and clock_skew allows 1m: sign-ins fail"},
		{name: "no clock", lie: func(l *oidctest.Faults) {
			none := func(h http.Header) { h["Date"] = nil }
			l.At(oidctest.Discovery).Header, l.At(oidctest.JWKS).Header = none, none
		}, says: "· clock: the provider does not send its time"},
		{name: "another method", ours: func(_ *op.DiscoveryConfig, c *op.Client) { c.AuthMethod = "client_secret_post" },
			says: "! client authentication: client_secret_post is not among client_secret_basic, which the provider offers → Set client_auth"},
		{name: "no secret", ours: func(_ *op.DiscoveryConfig, c *op.Client) { c.Secret = nil },
			says: "! client authentication: no client_secret is configured, and the provider offers client_secret_basic → Copy the secret"},
		{name: "no method that works", lie: metadata("token_endpoint_auth_methods_supported", []string{"private_key_jwt"}),
			says: "✘ client authentication: the provider offers the client authentication methods private_key_jwt"},
		{name: "a wrong secret", ours: func(_ *op.DiscoveryConfig, c *op.Client) {
			c.Secret = func() (string, error) { return "another-secret", nil }
		}, says: `✘ credentials: the provider answers invalid_client ("client authentication failed") → Check client_id, and copy the secret`},
		{name: "a client that may not", lie: answers(oidctest.Token, 400, `{"error": "unauthorized_client"}`),
			says: "✘ credentials: the provider answers unauthorized_client → Check client_id and the secret"},
		{name: "a code that is looked at before the client", lie: answers(oidctest.Token, 400, `{"error": "invalid_grant"}`),
			says: "· credentials: not known: the provider gives the same answer for wrong ones"},
		{name: "an answer that says nothing", lie: answers(oidctest.Token, 400, `{"error": "invalid_request"}`),
			says: "· credentials: the provider's answer does not say whether it accepts them"},
		{name: "a code that was never issued", lie: answers(oidctest.Token, 200, `{"access_token": "a", "token_type": "Bearer", "id_token": "a.b.c"}`),
			says: "! credentials: the provider accepted a code that it never issued"},
		{name: "a token endpoint that repeats the secret", lie: answers(oidctest.Token, 401, `{"error": "invalid_client", "error_description": "a-secret-of-the-test-client"}`),
			says: `✘ credentials: the provider answers invalid_client ("[redacted]")`},
		{name: "an unregistered redirect URI", setUp: func(p *oidctest.Provider) {
			p.SetClient(func(c *oidctest.Client) { c.RedirectURIs = nil })
		}, says: "✘ redirect URI: the provider does not accept the authorization request (status 400) → Register exactly the redirect URI below"},
		{name: "a scope that it refuses", lie: func(l *oidctest.Faults) { l.Authorization.Error = "invalid_scope" },
			says: "✘ scopes: the provider answers invalid_scope → Remove the scope"},
		{name: "an unknown answer to an authorization request", lie: answers(oidctest.Authorize, 200, "Sign in"),
			says: "· redirect URI: the provider's answer does not say whether it is registered"},
		{name: "plain PKCE", lie: metadata("code_challenge_methods_supported", []string{"plain"}), says: "! PKCE: S256 is not among plain"},
		{name: "no word on PKCE", lie: metadata("code_challenge_methods_supported", nil), says: "· PKCE: S256 is sent"},
		{name: "PKCE that is off", ours: func(_ *op.DiscoveryConfig, c *op.Client) { c.NoPKCE = true },
			says: "! PKCE: it is off, and the provider offers it → Remove pkce off."},
		{name: "bound tokens", lie: metadata("dpop_signing_alg_values_supported", []string{"PS256", "ES256"}), ours: withDPoP(op.DPoPOn),
			says: "✔ DPoP: the provider offers proofs by PS256, ES256"},
		{name: "bound tokens that it does not know", ours: withDPoP(op.DPoPOn), says: "✘ DPoP: it is on, and the provider does not offer it → Write dpop auto, or have the provider offer it"},
		{name: "bound tokens by other algorithms", lie: metadata("dpop_signing_alg_values_supported", []string{"PS256"}), ours: withDPoP(op.DPoPOn),
			says: "✘ DPoP: the provider offers proofs by PS256, and not by ES256 → Name one of those with alg in dpop { }."},
		{name: "bound tokens without discovery", ours: func(d *op.DiscoveryConfig, c *op.Client) {
			withDPoP(op.DPoPOn)(d, c)
			d.Endpoints = op.Endpoints{Authorization: d.Issuer + "/authorize", Token: d.Issuer + "/token", JWKS: d.Issuer + "/jwks"}
		}, says: "· DPoP: it is on; without discovery"},
		{name: "bound tokens where they are offered, and they are not", ours: withDPoP(op.DPoPAuto), says: "· DPoP: the provider does not offer it: tokens are bearer tokens"},
		{name: "bound tokens where they are offered, by other algorithms", lie: metadata("dpop_signing_alg_values_supported", []string{"PS256"}), ours: withDPoP(op.DPoPAuto),
			says: "· DPoP: the provider offers proofs by PS256, and not by ES256: tokens are bearer tokens"},
		{name: "a scope that is not listed", ours: func(_ *op.DiscoveryConfig, c *op.Client) { c.Scopes = []string{"groups", "https://api.example/x"} },
			says: "! scopes: groups: not among those that the provider offers → Add it"},
		{name: "no logout", lie: func(l *oidctest.Faults) {
			l.Discovery = func(m map[string]any) {
				for _, name := range []string{"end_session_endpoint", "backchannel_logout_supported", "frontchannel_logout_supported"} {
					delete(m, name)
				}
			}
		}, says: "· logout: the provider offers none"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := oidctest.New(t, oidctest.TLS(), oidctest.Lenient())
			p.Register(redirectURI)
			p.SignOut()
			if row.setUp != nil {
				row.setUp(p)
			}
			if row.lie != nil {
				p.Lie(row.lie)
			}
			got := text(subject(p, row.ours).Examine(t.Context()))
			if !strings.Contains(got, row.says) {
				t.Errorf("expected %q, seen\n%s", row.says, got)
			}
			if secret := p.Client().Secret; strings.Contains(got, secret) {
				t.Errorf("the report has the secret:\n%s", got)
			}
		})
	}
}

// If the credentials are not to be tried, no request uses them.
func TestCredentialsThatAreNotTried(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]oidctest.Option{"usual": nil, "pushed requests": {oidctest.PushedRequests()}} {
		p := oidctest.New(t, append(options, oidctest.Lenient())...)
		s := subject(p, nil)
		s.TryCredentials = false
		if got := text(s.Examine(t.Context())); !strings.Contains(got, "· credentials: not tried") {
			t.Errorf("%s: expected that they are not tried, seen\n%s", name, got)
		}
		if n := p.Hits(oidctest.Token); n > 0 {
			t.Errorf("%s: expected no request at the token endpoint, seen %d", name, n)
		}
		if n := p.Hits(oidctest.PushedRequest); n > 0 {
			t.Errorf("%s: expected no pushed request, seen %d", name, n)
		}
	}
}

// An examination ends when its context ends.
func TestExaminationThatIsInterrupted(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Lenient())
	p.Lie(func(l *oidctest.Faults) { l.At(oidctest.Discovery).Delay = oidctest.Forever })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	got := text(subject(p, nil).Examine(ctx))
	if !strings.Contains(got, "✘ connection: interrupted") {
		t.Errorf("expected that it was interrupted, seen\n%s", got)
	}
}

func TestRulesThatTheProviderCannotSatisfy(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t, oidctest.Lenient())
	p.Lie(func(l *oidctest.Faults) {
		l.Discovery = func(m map[string]any) {
			m["acr_values_supported"], m["scopes_supported"] = []string{"silver"}, []string{"openid", "profile", "email", "groups"}
		}
	})
	s := subject(p, nil)
	s.Rules = []*authz.Rule{
		{Kind: authz.KindACR, Values: []string{"gold"}}, {Kind: authz.KindACR, Values: []string{"gold", "silver"}},
		{Kind: authz.KindScope, Values: []string{"files"}}, {Kind: authz.KindScope, Values: []string{"email"}}, {Kind: authz.KindGroup, Values: []string{"staff"}},
	}
	var got []string
	for _, c := range s.Examine(t.Context()) {
		if c.Name == "rules" {
			got = append(got, c.Message)
		}
	}
	want := []string{
		"acr gold: the provider offers silver", "scope files: the scope is not requested, so the provider does not grant it",
		"group staff: the provider offers the scope groups, which is not requested",
	}
	if !slices.Equal(got, want) {
		t.Errorf("expected %q, seen %q", want, got)
	}
}
