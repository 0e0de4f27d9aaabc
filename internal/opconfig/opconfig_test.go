package opconfig

import (
	"errors"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// least has the minimal options.
var least = Options{Issuer: "https://login.example.com", ClientID: "app"}

// variables replaces Caddy's replacer.
var variables = placeholder.Expander{Replace: func(text string) (string, error) {
	values := map[string]string{"{env.NAME}": "sub", "{env.GROUPS}": "groups", "{env.ISSUER}": "https://login.example.com"}
	if value, ok := values[text]; ok {
		return value, nil
	}
	return "", errors.New("unrecognized placeholder " + text)
}}

func resolved(t *testing.T, o Options) *Resolved {
	t.Helper()
	r, err := o.Resolve(variables)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The hash names the stored documents of providers. If it changed, those of earlier
// releases would be lost.
func TestHashOfOptionsStays(t *testing.T) {
	t.Parallel()
	byHand := least
	byHand.Endpoints = op.Endpoints{
		Authorization: "https://a.example/authorize", Token: "https://a.example/token", Userinfo: "https://a.example/userinfo",
		EndSession: "https://a.example/logout", Revocation: "https://a.example/revoke", Pushed: "https://a.example/par",
	}
	byHand.JWKS = `{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",` +
		`"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","kid":"1"}]}`
	for _, tc := range []struct {
		name    string
		options Options
		want    string
	}{
		{"the least", least, "e20c0c0dcb8e9999c1bf10c1ecafceec8085df143338ced54d63573249481777"},
		{"a placeholder", Options{Issuer: "{env.ISSUER}", ClientID: "app"}, "e20c0c0dcb8e9999c1bf10c1ecafceec8085df143338ced54d63573249481777"},
		{"a connection of its own", Options{
			ConfigurationURL: "https://login.example.com/.well-known/openid-configuration", ClientID: "app", Timeout: 3 * time.Second,
			Proxy: "http://proxy.example:3128", Insecure: true, TLS: &TLSFiles{},
		}, "b1c5101901cc745501e127a9935d8e89edb7ffabf7e8fc8ec264f2d03c91dc81"},
		{"without discovery", byHand, "d5867e2cb321cdf454566db7b39ae90e95a6f291e70c01da1b8cf3dc41041c04"},
	} {
		_, key, err := resolved(t, tc.options).DiscoveryConfig(time.Now)
		if err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if key != tc.want {
			t.Errorf("%s has the hash %s, expected %s", tc.name, key, tc.want)
		}
	}
}

func TestSessionsAreBoundToWhatSaysWhoAUserIs(t *testing.T) {
	t.Parallel()
	registration := session.Bind("https://login.example.com", "app")
	for _, tc := range []struct {
		name   string
		change func(*Options)
		same   bool
	}{
		{"the default", func(*Options) {}, true},
		{"the default by placeholders", func(o *Options) {
			o.UsernameClaim, o.GroupsClaim = []string{"preferred_username", "{env.NAME}"}, "{env.GROUPS}"
		}, true},
		{"claims by their own names", func(o *Options) { o.Claims = map[string]string{"email": "email"} }, true},
		{"other options", func(o *Options) { o.Scopes, o.Userinfo = []string{"openid"}, "always" }, true},
		{"another user name", func(o *Options) { o.UsernameClaim = []string{"email"} }, false},
		{"other groups", func(o *Options) { o.GroupsClaim = "roles" }, false},
		{"a claim by another name", func(o *Options) { o.Claims = map[string]string{"mail": "email"} }, false},
		{"other audiences, and logins as auth_time", func(o *Options) { o.Audiences, o.LoginIsAuthTime = []string{"api"}, true }, true},
		{"some groups", func(o *Options) { o.Groups = []string{"a"} }, false},
		{"a group by another name", func(o *Options) { o.GroupNames = map[string]string{"a": "a"} }, false},
		{"trusted addresses", func(o *Options) { o.EmailTrusted = true }, false},
		{"some domains", func(o *Options) { o.Domains = []string{"corp.example"} }, false},
	} {
		o := least
		tc.change(&o)
		r := resolved(t, o)
		if r.Registration() != registration {
			t.Errorf("%s: another registration, expected that of issuer and client id", tc.name)
		}
		if same := r.Binding() == registration; same != tc.same {
			t.Errorf("%s: sessions go on: %t, expected %t", tc.name, same, tc.same)
		}
	}
}

// Options that decide who a user is are part of the binding. Their order, case and
// placeholders are not.
func TestBindingsDiffer(t *testing.T) {
	t.Parallel()
	seen := make(map[session.Binding]string)
	for name, change := range map[string]func(*Options){
		"a list":           func(o *Options) { o.Groups = []string{"a", "b"} },
		"a block":          func(o *Options) { o.GroupNames = map[string]string{"a": "b"} },
		"the block turned": func(o *Options) { o.GroupNames = map[string]string{"b": "a"} },
		"a domain":         func(o *Options) { o.Domains = []string{"a"} },
		"two domains":      func(o *Options) { o.Domains = []string{"a", "b"} },
		"a tenant":         func(o *Options) { o.Issuer, o.Tenants = anyTenant, []string{aTenant} },
		"any tenant":       func(o *Options) { o.Issuer = anyTenant },
	} {
		o := least
		change(&o)
		binding := resolved(t, o).Binding()
		if other, twice := seen[binding]; twice {
			t.Errorf("expected another binding for %s than for %s, seen the same", name, other)
		}
		seen[binding] = name
	}
	o, same := least, least
	o.Groups, o.Domains = []string{"sub", "a"}, []string{"Corp.Example", "b.example"}
	same.Groups, same.Domains = []string{"a", "{env.NAME}"}, []string{"b.example", "corp.example"}
	if resolved(t, o).Binding() != resolved(t, same).Binding() {
		t.Error("expected one binding for the same names in another order, case or as placeholders, seen two")
	}
}

func TestOptionsThatAreWritten(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		options Options
		want    string // the error
	}{
		{"placeholders", Options{Issuer: "{env.ISSUER}", ClientID: "{env.ID}", JWKS: "{file./keys.json}"}, ""},
		{"a profile and metadata at a placeholder", Options{Issuer: least.Issuer, ConfigurationURL: "{env.METADATA}", ClientID: "app",
			ClientAuth: "private_key_jwt", ClientKeys: []string{"key.pem"}, Profile: "fapi2"}, ""},
		{"no issuer", Options{ClientID: "app"}, "issuer is missing"},
		{"no client", Options{Issuer: "https://login.example.com"}, "client_id is missing"},
		{"a bad parameter", Options{Issuer: least.Issuer, ClientID: "app", AuthorizationParams: map[string][]string{"max_age": {"soon"}}},
			"authorization_params: max_age is not a number of seconds"},
		{"plain http", Options{Issuer: least.Issuer, ClientID: "app", Endpoints: op.Endpoints{Token: "http://login.example.com/token"}},
			`token_endpoint: "http://login.example.com/token" is plain http, which is only for loopback (insecure would allow it)`},
	} {
		got := ""
		if err := tc.options.CheckWritten(); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%s: got the error %q, expected %q", tc.name, got, tc.want)
		}
	}
}

// Resolving does not change the options.
func TestResolvingChangesNoOptions(t *testing.T) {
	t.Parallel()
	o := least
	o.UsernameClaim, o.Claims = []string{"{env.NAME}"}, map[string]string{"id": "{env.NAME}"}
	o.AuthorizationParams = map[string][]string{"acr_values": {"{env.NAME}"}}
	r := resolved(t, o)
	for name, got := range map[string]string{"username_claim": r.UsernameClaim[0], "claims": r.Claims["id"], "authorization_params": r.AuthorizationParams.Get("acr_values")} {
		if got != "sub" {
			t.Errorf("%s: expected sub, seen %q", name, got)
		}
	}
	for name, got := range map[string]string{"username_claim": o.UsernameClaim[0], "claims": o.Claims["id"], "authorization_params": o.AuthorizationParams.Get("acr_values")} {
		if got != "{env.NAME}" {
			t.Errorf("%s of the options: expected it to stay {env.NAME}, seen %q", name, got)
		}
	}
}
