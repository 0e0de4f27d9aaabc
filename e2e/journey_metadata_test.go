package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// The metadata of a remote provider names this machine's admin API as an endpoint. A
// request to the token endpoint /stop would stop Caddy.
func TestMetadataCannotAimCaddyAtItself(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		endpoint string // the endpoint at the admin API, if any
		pushes   bool
	}{
		{}, // correct metadata: a login begins
		{endpoint: "token_endpoint"},
		{endpoint: "pushed_authorization_request_endpoint", pushes: true},
		{endpoint: "jwks_uri"},
	} {
		t.Run(cmp.Or(tc.endpoint, "honest metadata"), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, oidcProvider, site{})
			w.op.issuer = "http://idp.example" // no process serves this address
			metadata := map[string]any{
				"issuer":                                w.op.issuer,
				"authorization_endpoint":                w.op.issuer + "/authorize",
				"token_endpoint":                        w.op.issuer + "/token",
				"jwks_uri":                              w.op.issuer + "/keys",
				"response_types_supported":              []string{"code"},
				"subject_types_supported":               []string{"public"},
				"id_token_signing_alg_values_supported": []string{"RS256"},
				"require_pushed_authorization_requests": tc.pushes,
			}
			if tc.endpoint != "" {
				metadata[tc.endpoint] = fmt.Sprintf("http://127.0.0.1:%d/stop", w.caddy.admin)
			}
			document, err := json.Marshal(metadata)
			if err != nil {
				t.Fatal(err)
			}
			// The site reaches the provider through a proxy, because the name does not
			// resolve here.
			var astray atomic.Int32
			proxy := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, r *http.Request) {
				if r.URL.Host != "idp.example" {
					astray.Add(1)
				}
				answer.Header().Set("Content-Type", "application/json")
				_, _ = answer.Write(document)
			}))
			t.Cleanup(proxy.Close)
			w.caddy.start(w.caddy.caddyfile("", fmt.Sprintf(`
%s {
	bind 127.0.0.1
	oidc_rp {
		issuer http://idp.example
		client_id rp
		client_secret {env.OIDC_CLIENT_SECRET}
		insecure
		proxy %s
	}
	respond "the application"
}`, w.base, proxy.URL)))

			r, err := http.NewRequest(http.MethodGet, w.base+"/x", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept", "text/html")
			answer, err := http.DefaultTransport.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if tc.endpoint == "" {
				if answer.StatusCode != 302 {
					t.Errorf("honest metadata: expected a login with status 302, seen %d", answer.StatusCode)
				}
				if to := answer.Header.Get("Location"); mustParse(to).Host != "idp.example" {
					t.Errorf("honest metadata: expected a login at idp.example, seen %q", to)
				}
				return
			}
			if answer.StatusCode != 503 {
				t.Errorf("the page has status %d, want 503", answer.StatusCode)
			}
			if n := astray.Load(); n > 0 {
				t.Errorf("the proxy was asked for the admin API %d times", n)
			}
			if status, _ := w.caddy.config(); status != http.StatusOK {
				t.Errorf("Caddy's admin API: expected status 200, seen %d", status)
			}
			if !w.caddy.process.running() {
				t.Error("expected Caddy to run, seen that it has ended")
			}
			if w.caddy.count(tc.endpoint) == 0 {
				t.Errorf("the log does not name %s", tc.endpoint)
			}
		})
	}
}
