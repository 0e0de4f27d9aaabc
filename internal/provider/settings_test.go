package provider

import (
	"context"
	"errors"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optest"
)

// Report A13: what wrong settings bring about is told from an outage.
func TestWrongSettingsAreNoOutage(t *testing.T) {
	t.Parallel()
	discovery := func(change func(m map[string]any)) func(*optest.Provider, *optest.Lies) {
		return func(_ *optest.Provider, l *optest.Lies) { l.Discovery = change }
	}
	at := func(e optest.Endpoint, status int, body string) func(*optest.Provider, *optest.Lies) {
		return func(_ *optest.Provider, l *optest.Lies) {
			l.At(e).Status = status
			if body != "" {
				l.At(e).Replace("text/html", body)
			}
		}
	}
	for name, tc := range map[string]struct {
		settings bool
		lie      func(*optest.Provider, *optest.Lies)
	}{
		"another issuer": {true, discovery(func(m map[string]any) { m["issuer"] = m["issuer"].(string) + "/" })},
		"a redirect": {true, func(op *optest.Provider, l *optest.Lies) {
			l.At(optest.Discovery).Redirects(302, "/elsewhere")
		}},
		"404":                           {true, at(optest.Discovery, 404, "")},
		"401":                           {true, at(optest.Discovery, 401, "")},
		"HTML":                          {true, at(optest.Discovery, 200, "<html>")},
		"no token endpoint":             {true, discovery(func(m map[string]any) { delete(m, "token_endpoint") })},
		"no usable method":              {true, discovery(func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"private_key_jwt"} })},
		"plain http":                    {true, discovery(func(m map[string]any) { m["token_endpoint"] = "http://op.example/token" })},
		"invalid_client":                {true, at(optest.Token, 401, `{"error":"invalid_client"}`)},
		"unauthorized_client":           {true, at(optest.Token, 400, `{"error":"unauthorized_client"}`)},
		"503":                           {false, at(optest.Discovery, 503, "")},
		"429":                           {false, at(optest.Discovery, 429, "")},
		"no answer":                     {false, func(_ *optest.Provider, l *optest.Lies) { l.At(optest.Discovery).Drop = true }},
		"invalid_grant":                 {false, at(optest.Token, 400, `{"error":"invalid_grant"}`)},
		"a token endpoint that is down": {false, at(optest.Token, 502, "<html>")},
	} {
		op := optest.New(t, optest.Lenient())
		client := guardedClient(t, op, nil, nil)
		op.Lie(func(l *optest.Lies) { tc.lie(op, l) })
		login := Login{State: "s", Nonce: "n", Verifier: "v", RedirectURI: "https://rp.example/code"}
		_, err := client.AuthorizationURL(t.Context(), login, nil)
		if err == nil {
			_, err = client.Exchange(context.Background(), "code", login)
		}
		var settings *SettingsError
		if err == nil || errors.As(err, &settings) != tc.settings {
			t.Errorf("%s: %v; wrong settings: %t, want %t", name, err, settings != nil, tc.settings)
		}
	}
	for code, want := range map[string]bool{"unauthorized_client": true, "invalid_scope": true, "server_error": false, "access_denied": false} {
		var settings *SettingsError
		if err := RefusedLogin(code, "", ""); errors.As(err, &settings) != want {
			t.Errorf("%s: %v", code, err)
		}
	}
}
