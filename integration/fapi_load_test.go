package integration_test

import (
	"strings"
	"testing"
)

// These Caddyfiles contradict their profile. Each error names the option, the requirement with
// its clause, and the line.
func TestCaddyfilesThatContradictTheirProfile(t *testing.T) {
	t.Parallel()
	const (
		key         = "client_auth private_key_jwt {file./etc/caddy/oidc/key.pem}"
		certificate = "client_auth tls_client_auth /etc/caddy/oidc/cert.pem /etc/caddy/oidc/key.pem"
	)
	for _, tc := range []struct{ name, lines, want string }{
		{"a secret", "client_secret {env.OIDC_CLIENT_SECRET}\nprofile fapi2", "does not allow client_secret: clients authenticate with private_key_jwt or tls_client_auth, and have no secret (FAPI 2.0 Security Profile 5.3.3.1), at Caddyfile:5"},
		{"a public client", "profile fapi2", "does not allow a client without client_auth: clients authenticate with private_key_jwt or tls_client_auth (FAPI 2.0 Security Profile 5.3.3.1; RFC 7523, RFC 8705)"},
		{"assertions for the token endpoint", key + " {\n\taudience token_endpoint\n}\nprofile fapi2", "does not allow client_assertion_audience token_endpoint: client assertions are addressed to the issuer (FAPI 2.0 Security Profile 5.3.3.1)"},
		{"no PKCE", key + "\nprofile fapi2\npkce off", "does not allow pkce off: authorization requests have an S256 code challenge (FAPI 2.0 Security Profile 5.3.3.2; RFC 7636), at Caddyfile:7"},
		{"bearer tokens", key + "\nprofile fapi2\ndpop off", "does not allow dpop off: access tokens are bound to a key, or to a client certificate"},
		{"bearer tokens, if need be", key + "\nprofile fapi2\ndpop auto", "does not allow dpop auto: access tokens are bound to a key, or to a client certificate"},
		{"RS256", certificate + "\nprofile fapi2\nid_token_algs RS256", "does not allow id_token_algs RS256: JSON Web Tokens are signed with PS256, ES256 or EdDSA (FAPI 2.0 Security Profile 5.4.1), at Caddyfile:7"},
		{"an access token in a form", certificate + "\nprofile fapi2\nuserinfo_method post", "does not allow userinfo_method post: access tokens are sent in the header, never in a form (FAPI 2.0 Security Profile 5.3.3.1), at Caddyfile:7"},
		{"plain http", certificate + "\nprofile fapi2\ninsecure", "does not allow insecure: all connections have TLS (FAPI 2.0 Security Profile 5.2.1), at Caddyfile:7"},
		{"an endpoint by hand", certificate + "\nprofile fapi2\ntoken_endpoint https://login.bank.example/token", "does not allow token_endpoint: endpoints are those of the provider's metadata (FAPI 2.0 Security Profile 5.3.3.1), at Caddyfile:7"},
		{"responses that are not signed", key + "\nprofile fapi2_message_signing\nresponse_mode query", "does not allow response_mode query: signed responses are requested with response_mode jwt (FAPI 2.0 Message Signing 5.4.2), at Caddyfile:7"},
		{"responses that are signed and come by POST", key + "\nprofile fapi2_message_signing\nresponse_mode form_post.jwt", "does not allow response_mode form_post.jwt: signed responses are requested with response_mode jwt (FAPI 2.0 Message Signing 5.4.2), at Caddyfile:7"},
		{"requests without a key to sign them", certificate + "\nprofile fapi2_message_signing", "request_object signed needs client_keys"},
		{"another profile", key + "\nprofile fapi", "profile: unrecognized value 'fapi'; it is fapi2 or fapi2_message_signing, at Caddyfile:6"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			text := "app.example.com {\n\toidc_rp {\n\t\tissuer https://login.bank.example\n\t\tclient_id rp\n" + tc.lines + "\n\t}\n}\n"
			_, err := adapt(text)
			if err == nil {
				t.Fatal("expected an error, seen none")
			}
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("expected the error\n%s\nseen\n%v", tc.want, err)
			}
		})
	}
}
