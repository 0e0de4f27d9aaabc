package integration_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// mistake is one that operators often make, in one or two sites or at the provider.
type mistake struct {
	name string
	// sites are the sites of the Caddyfile. {provider} stands for the options of a correct
	// client, and {issuer} for the provider's issuer.
	sites string
	// globals are global options.
	globals string
	// before prepares the provider and the working directory.
	before func(t *testing.T, op *oidctest.Provider)
	code   int
	// claims are the claims of a user, in a file for the doctor.
	claims string
	// message says what is wrong, and remedy says what to do about it.
	message, remedy string
}

// mistakes are the common ones. The doctor reports each of them, as its report includes
// the errors and warnings of loading the configuration.
var mistakes = []mistake{
	{
		name: "a typo in an option",
		sites: `
app.example.com {
	oidc_rp {
		isuer {issuer}
		client_id rp
	}
}
`,
		code:    2,
		message: "unrecognized option 'isuer'", remedy: "did you mean 'issuer'?",
	},
	{
		name: "a typo in the host of the issuer",
		sites: `
app.example.com {
	oidc_rp {
		issuer https://login..example.com
		client_id rp
	}
}
`,
		code:    2,
		message: "✘ connection: there is no host login..example.com", remedy: "→ Check the issuer for a typo",
	},
	{
		name: "a slash at the end of the issuer",
		sites: `
app.example.com {
	oidc_rp {
		issuer {issuer}/
		client_id rp
	}
}
`,
		code:    2,
		message: "✘ discovery: the provider's issuer differs from the configured one", remedy: "→ Write issuer {issuer} (the slash at the end counts)",
	},
	{
		name: "another secret than the client's",
		sites: `
app.example.com {
	oidc_rp {
		issuer {issuer}
		client_id rp
		client_secret the-secret-of-another-client
	}
}
`,
		code:    2,
		message: "✘ credentials: the provider answers invalid_client", remedy: "→ Check client_id, and copy the secret from the provider into client_secret again.",
	},
	{
		name: "a provider that is down",
		sites: `
app.example.com {
	oidc_rp {
		{provider}
	}
}
`,
		before:  func(_ *testing.T, op *oidctest.Provider) { op.Stop() },
		code:    2,
		message: "✘ connection: nothing listens at", remedy: "→ Check that the provider is running, and the host and port of the issuer.",
	},
	{
		name: "a redirect URI that is not registered",
		sites: `
other.example.com {
	oidc_rp {
		{provider}
	}
}
`,
		code:    2,
		message: "✘ redirect URI: the provider does not accept the authorization request", remedy: "→ Register exactly the redirect URI below with the provider",
	},
	{
		name: "a groups claim of another name",
		sites: `
app.example.com {
	oidc_rp {
		{provider}
		groups_claim role
		require group staff
	}
}
`,
		claims:  `{"sub": "1", "preferred_username": "alice", "roles": ["staff"]}`,
		message: "! claims: the configuration names role, and these claims do not have it", remedy: "→ Check the spelling of the claim.",
	},
	{
		name: "plain HTTP",
		sites: `
http://app.example.com {
	oidc_rp {
		{provider}
	}
}
`,
		message: "! site: the site is served over plain HTTP, where no login starts", remedy: "→ Serve it over HTTPS.",
	},
	{
		name: "a clock that is wrong",
		sites: `
app.example.com {
	oidc_rp {
		{provider}
	}
}
`,
		before: func(_ *testing.T, op *oidctest.Provider) {
			op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Discovery).Header = dated(-5 * time.Minute) })
		},
		code:    2,
		message: "✘ clock: the provider's is 5m behind this machine's, and clock_skew allows 1m", remedy: "→ Correct the clock that is wrong",
	},
	{
		name: "a scope that is missing",
		sites: `
app.example.com {
	oidc_rp {
		{provider}
		require group staff
	}
}
`,
		before: func(_ *testing.T, op *oidctest.Provider) {
			op.Lie(func(l *oidctest.Faults) {
				l.Discovery = func(m map[string]any) { m["scopes_supported"] = []string{"openid", "profile", "email", "groups"} }
			})
		},
		message: "! rules: group staff: the provider offers the scope groups, which is not requested", remedy: "→ Add groups to scopes",
	},
	{
		name: "a scope that the provider does not have",
		sites: `
app.example.com {
	oidc_rp {
		{provider}
		scopes openid groups
	}
}
`,
		message: "! scopes: groups: not among those that the provider offers", remedy: "→ Add it to the client at the provider, or remove it from scopes.",
	},
	{
		name: "a cookie for another domain",
		sites: `
app.example.com {
	oidc_rp {
		{provider}
		session {
			cookie {
				domain example.org
			}
		}
	}
}
`,
		code:    2,
		message: "domain example.org covers none of the site's host names (app.example.com)", remedy: "name the host itself or a domain above it, or leave domain out",
	},
	{
		name: "behind a proxy that speaks HTTP to Caddy",
		sites: `
http://app.example.com {
	oidc_rp {
		{provider}
	}
}
`,
		message: "the site is served over plain HTTP", remedy: "If a proxy in front of Caddy has TLS, set base_url https://…, or name the proxy with trusted_proxies.",
	},
	{
		name: "a base_url of another host",
		sites: `
app.example.com {
	oidc_rp {
		{provider}
		base_url https://www.example.com
	}
}
`,
		code:    2, // the redirect URI of that host is not registered either
		message: "! load: base_url names a host that this site does not serve", remedy: "unless a proxy in front of Caddy rewrites the Host header",
	},
	{
		name: "two sites of which the provider knows one",
		globals: `
	oidc_rp {
		provider corp {
			{provider}
		}
	}
`,
		sites: `
app.example.com {
	oidc_rp
}

wiki.example.com {
	oidc_rp
}
`,
		before: func(_ *testing.T, op *oidctest.Provider) {
			op.Register("https://app.example.com/@app/auth/corp/code")
		},
		code:    2,
		message: "✘ redirect URI: the provider does not accept the authorization request (status 400) https://wiki.example.com/@app/auth/corp/code",
		remedy:  "→ Register exactly the redirect URI below with the provider",
	},
	{
		name: "a matcher that is not defined",
		sites: `
app.example.com {
	oidc_rp {
		{provider}
		public @assets
	}
}
`,
		code:    2,
		message: "unrecognized matcher name: @assets", remedy: "→ Define the matcher in this site, as in @assets path /a /b/*",
	},
	{
		name: "a provider without a name",
		globals: `
	oidc_rp {
		provider {
			{provider}
		}
	}
`,
		sites: `
app.example.com {
	oidc_rp
}
`,
		code:    2,
		message: "provider has no id", remedy: "give it one of your choice, as in provider corp { … }",
	},
	{
		name: "several providers of which the site names none",
		globals: `
	oidc_rp {
		provider corp {
			{provider}
		}
		provider partner {
			{provider}
		}
	}
`,
		sites: `
app.example.com {
	oidc_rp
}
`,
		code:    2,
		message: "there are several shared providers (corp, partner)", remedy: "name those of this site with the option provider",
	},
	{
		name: "a file that is missing",
		sites: `
app.example.com {
	oidc_rp {
		issuer {issuer}
		client_id rp
		client_secret {file.secret.txt}
	}
}
`,
		code:    2,
		message: "client_secret: {file.secret.txt} is empty or cannot be read: no such file or directory", remedy: "→ Create the file, or correct its name",
	},
	{
		name: "a variable that is not set",
		sites: `
app.example.com {
	oidc_rp {
		issuer {issuer}
		client_id rp
		client_secret {env.OIDC_RP_NO_SUCH_SECRET}
	}
}
`,
		code:    2,
		message: "client_secret: {env.OIDC_RP_NO_SUCH_SECRET} is empty or cannot be read", remedy: "→ Set OIDC_RP_NO_SUCH_SECRET in the environment of Caddy and of this command.",
	},
	{
		name: "a key that the provider does not know",
		sites: `
app.example.com {
	oidc_rp {
		issuer {issuer}
		client_id rp
		client_auth private_key_jwt key.pem
	}
}
`,
		before: func(t *testing.T, op *oidctest.Provider) {
			known := ecKey()
			op.SetClient(func(c *oidctest.Client) { c.Auth, c.Secret, c.Key = "private_key_jwt", "", known.Public() })
			must(0, os.Rename(keyFile(t, ecKey()), "key.pem"))
		},
		code:    2,
		message: "✘ credentials: the provider answers invalid_client", remedy: "→ Check client_id, and that the provider has the public key: register the JWKS URI, or the key itself.",
	},
	{
		name: "a file that holds no key",
		sites: `
app.example.com {
	oidc_rp {
		issuer {issuer}
		client_id rp
		client_auth private_key_jwt key.pem
	}
}
`,
		before: func(t *testing.T, _ *oidctest.Provider) {
			if err := os.WriteFile("key.pem", []byte("not a key"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		code:    2,
		message: "client_auth: key 1:", remedy: "PEM",
	},
}

// TestUsualMistakes checks that each mistake leads to one message that names the remedy.
func TestUsualMistakes(t *testing.T) {
	if !ownProcess(t) {
		return
	}
	for _, row := range mistakes {
		t.Run(row.name, func(t *testing.T) {
			op := oidctest.New(t, oidctest.Lenient())
			op.Register("https://app.example.com/@app/auth/default/code")
			op.SignOut()
			secret := op.Client().Secret
			inFolder(t)
			if row.before != nil {
				row.before(t, op)
			}
			fill := func(text string) string {
				return strings.NewReplacer("{provider}", strings.TrimSpace(options(op)), "{issuer}", op.Issuer()).Replace(text)
			}
			var args []string
			if row.claims != "" {
				rewrite(t, "claims.json", row.claims)
				args = []string{"--claims", "claims.json"}
			}
			d := diagnoseWith(t, fill(row.globals), fill(row.sites), args...)
			d.exits(row.code).says(row.message, fill(row.remedy))
			lacks(t, "the report", d.text, secret)
		})
	}
}

// If a site is behind a proxy that Caddy does not trust, users see a page, and the log
// tells the operator what to do.
func TestUsualMistakeSeenByUsers(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	w := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "http://rp.test/page", nil)
	request.Header = http.Header{"Accept": {"text/html"}, "X-Forwarded-Proto": {"https"}}
	r.handler().ServeHTTP(w, request)
	equal(t, "the status", w.Code, http.StatusForbidden)
	contains(t, "the page", w.Body.String(), "The log tells its operator what to do.")
	contains(t, "the log", r.logs(), "set base_url https://… or trusted_proxies if a proxy in front has TLS")
}
