package doctor

import (
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// The lines of the report for a provider with a profile.
func TestLinesOfAProfile(t *testing.T) {
	t.Parallel()
	const (
		fit       = "✔ profile: fapi2: requests are pushed, ID tokens are signed with PS256\n"
		bound     = "✔ profile: access tokens are bound to the client certificate\n"
		unbound   = "! profile: the provider does not say that it binds access tokens to the client certificate → Have the provider bind them (RFC 8705, section 3).\n"
		noPromise = "! profile: the provider does not promise iss in its responses, and sign-ins fail without it → Have the provider send it (RFC 9207).\n"
		remedy    = " → Have the provider set up the client for FAPI 2.0. Without profile, sign-ins work but are less well protected.\n"
	)
	for _, row := range []struct {
		name   string
		change func(metadata map[string]any)
		want   string
	}{
		{"all is there", func(map[string]any) {}, fit + bound},
		{"tokens that may not be bound", func(m map[string]any) { delete(m, "tls_client_certificate_bound_access_tokens") }, fit + unbound},
		{"no promise of iss", func(m map[string]any) { delete(m, "authorization_response_iss_parameter_supported") }, fit + bound + noPromise},
		{"no pushed requests", func(m map[string]any) { delete(m, "pushed_authorization_request_endpoint") },
			"✘ profile: profile fapi2: the metadata has no pushed_authorization_request_endpoint, and authorization requests must be pushed (FAPI 2.0 Security Profile 5.3.3.2)" + remedy},
		{"other algorithms", func(m map[string]any) { m["id_token_signing_alg_values_supported"] = []string{"RS256"} },
			"✘ profile: profile fapi2: id_token_signing_alg_values_supported of the metadata has none of PS256, ES256, EdDSA, Ed25519: it has RS256 (FAPI 2.0 Security Profile 5.4.1)" + remedy},
		{"no S256", func(m map[string]any) { m["code_challenge_methods_supported"] = []string{"plain"} },
			fit + bound + "✘ PKCE: S256 is not among plain, which the provider offers, and profile fapi2 demands it → Have the provider take S256.\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := oidctest.New(t, oidctest.TLS(), oidctest.Alg("PS256"), oidctest.PushedRequests(), oidctest.Lenient())
			p.Register(redirectURI)
			p.SignOut()
			p.Lie(func(l *oidctest.Faults) {
				l.Discovery = func(m map[string]any) {
					m["tls_client_certificate_bound_access_tokens"] = true
					row.change(m)
				}
			})
			checks := subject(p, func(c *op.DiscoveryConfig, _ *op.Client) { c.Profile, c.MTLS = op.FAPI2, true }).Examine(t.Context())
			var got strings.Builder
			for line := range strings.Lines(text(checks)) {
				if strings.Contains(line, " profile: ") || strings.HasPrefix(line, "✘") {
					got.WriteString(line)
				}
			}
			if got.String() != row.want {
				t.Errorf("expected\n%s\nseen\n%s", row.want, got.String())
			}
		})
	}
}
