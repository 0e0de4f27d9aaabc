package integration_test

import (
	"net/http"
	"testing"
)

// Options for bearer tokens that cannot work, or that let everyone in, are errors at load.
func TestBearerTokensThatCannotWork(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, lines, problem string }{
		{"the workflows of everyone", `
application {
	bearer jwt github {
		issuer https://token.actions.githubusercontent.com
		audience api
	}
}`, "require any_user"},
		{"the workflows of everyone, with a rule about their scopes alone", `
require scope read
application {
	bearer jwt github {
		issuer https://token.actions.githubusercontent.com
		audience api
	}
}`, "require any_user"},
		{"the workflows of everyone, aloud", `
require any_user
application {
	bearer jwt github {
		issuer https://token.actions.githubusercontent.com
		audience api
	}
}`, ""},
		{"the workflow of one repository", `
require user github/repo:a%2Fb:ref:refs%2Fheads%2Fmain
application {
	bearer jwt github {
		issuer https://token.actions.githubusercontent.com
		audience api
	}
}`, ""},
		{"the id of a provider", `
application {
	bearer jwt default {
		issuer https://other.example.com
		audience api
	}
}`, "reserved"},
		{"the issuer of the provider", `
application {
	bearer jwt other {
		issuer https://login.example.com
		audience api
	}
}`, "the issuer is that of the provider"},
		{"one issuer twice", `
application {
	bearer jwt one {
		issuer https://other.example.com
		audience api
	}
	bearer jwt two {
		issuer https://other.example.com
		audience api
	}
}`, "the issuer is that of bearer jwt"},
		{"an issuer on plain HTTP", `
application {
	bearer jwt one {
		issuer http://other.example.com
		audience api
	}
}`, "plain http"},
		{"keys that are none", `
application {
	bearer jwt one {
		issuer https://other.example.com
		audience api
		jwks "{}"
	}
}`, "jwks"},
		{"introspection at a provider that is none", `
application {
	bearer introspect corp {
		audience api
	}
}`, "there is no provider corp"},
	} {
		config, err := adapt(`
http://rp.test {
	oidc_rp {
		issuer https://login.example.com
		client_id rp
		` + tc.lines + `
	}
}
`)
		if err == nil {
			err = tryProvision(config)
		}
		if tc.problem == "" {
			succeeds(t, tc.name, err)
		} else {
			failsWith(t, tc.name, err, tc.problem)
		}
	}
}

// known_users applies to tokens of users, and not to those of clients.
func TestKnownUsersAreAskedAboutTokens(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := jwtSite(t, op, "known_users list alice")
	known := accessToken(op, map[string]any{"preferred_username": "alice"})
	check(t, r.rawGet("/", bearerOf(known))).status(http.StatusOK).body("application sees alice")
	check(t, r.rawGet("/", bearerOf(accessToken(op, map[string]any{"preferred_username": "bob"})))).status(http.StatusForbidden)
	check(t, r.rawGet("/", bearerOf(clientToken(op, "batch", nil)))).status(http.StatusOK).body("application sees client/batch")
}

// A bearer token decides alone, even beside a session cookie. Two tokens are an error.
func TestATokenDecidesBesideACookie(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := jwtSite(t, op)
	cookies := "Cookie: " + signedIn(t, r).cookieHeader()
	check(t, r.rawGet("/", cookies)).status(http.StatusOK).body("application sees alice")
	check(t, r.rawGet("/", cookies, bearerOf(accessToken(op, nil)))).status(http.StatusOK).body("application sees u-1")
	check(t, r.rawGet("/", cookies, bearerOf(accessToken(op, map[string]any{"aud": "other"})))).status(http.StatusUnauthorized)
	check(t, r.rawGet("/", bearerOf(accessToken(op, nil)), bearerOf(accessToken(op, nil)))).status(http.StatusBadRequest)
}
