package op

import (
	"context"
	"errors"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// Errors caused by wrong settings are distinguishable from those of an outage.
func TestWrongSettingsAreNoOutage(t *testing.T) {
	t.Parallel()
	discovery := func(change func(m map[string]any)) func(*oidctest.Provider, *oidctest.Faults) {
		return func(_ *oidctest.Provider, l *oidctest.Faults) { l.Discovery = change }
	}
	at := func(e oidctest.Endpoint, status int, body string) func(*oidctest.Provider, *oidctest.Faults) {
		return func(_ *oidctest.Provider, l *oidctest.Faults) {
			l.At(e).Status = status
			if body != "" {
				l.At(e).Replace("text/html", body)
			}
		}
	}
	for name, tc := range map[string]struct {
		settings bool
		lie      func(*oidctest.Provider, *oidctest.Faults)
	}{
		"another issuer": {true, discovery(func(m map[string]any) { m["issuer"] = m["issuer"].(string) + "/" })},
		"a redirect": {true, func(op *oidctest.Provider, l *oidctest.Faults) {
			l.At(oidctest.Discovery).Redirects(302, "/elsewhere")
		}},
		"404":                           {true, at(oidctest.Discovery, 404, "")},
		"401":                           {true, at(oidctest.Discovery, 401, "")},
		"HTML":                          {true, at(oidctest.Discovery, 200, "<html>")},
		"no token endpoint":             {true, discovery(func(m map[string]any) { delete(m, "token_endpoint") })},
		"no usable method":              {true, discovery(func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"private_key_jwt"} })},
		"plain http":                    {true, discovery(func(m map[string]any) { m["token_endpoint"] = "http://op.example/token" })},
		"invalid_client":                {true, at(oidctest.Token, 401, `{"error":"invalid_client"}`)},
		"unauthorized_client":           {true, at(oidctest.Token, 400, `{"error":"unauthorized_client"}`)},
		"503":                           {false, at(oidctest.Discovery, 503, "")},
		"429":                           {false, at(oidctest.Discovery, 429, "")},
		"no answer":                     {false, func(_ *oidctest.Provider, l *oidctest.Faults) { l.At(oidctest.Discovery).Drop = true }},
		"invalid_grant":                 {false, at(oidctest.Token, 400, `{"error":"invalid_grant"}`)},
		"a token endpoint that is down": {false, at(oidctest.Token, 502, "<html>")},
	} {
		op := oidctest.New(t, oidctest.Lenient())
		client := guardedClient(t, op, nil, nil)
		op.Lie(func(l *oidctest.Faults) { tc.lie(op, l) })
		login := Login{State: "s", Nonce: "n", Verifier: "v", RedirectURI: "https://rp.example/code"}
		_, err := client.AuthorizationURL(t.Context(), login, nil)
		if err == nil {
			_, err = client.Exchange(context.Background(), "code", login)
		}
		var settings *SettingsError
		if err == nil || errors.As(err, &settings) != tc.settings {
			t.Errorf("%s: %v; wrong settings: expected %t, seen %t", name, err, tc.settings, settings != nil)
		}
	}
	for code, want := range map[string]bool{"unauthorized_client": true, "invalid_scope": true, "server_error": false, "access_denied": false} {
		var settings *SettingsError
		if err := RefusedLogin(code, "", ""); errors.As(err, &settings) != want {
			t.Errorf("%s: %v", code, err)
		}
	}
}
