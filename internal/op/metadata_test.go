package op

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheIssuerIsComparedByteForByte(t *testing.T) {
	t.Parallel()
	const plain = "https://op.example"
	for _, tc := range []struct {
		name, got, issuer, configurationURL string
		ok                                  bool
	}{
		{"the same", plain, plain, plain + WellKnown, true},
		{"the same with a slash", plain + "/", plain + "/", plain + WellKnown, true},
		{"the same with a path", plain + "/realm", plain + "/realm", "", true},
		{"a slash too many", plain + "/", plain, "", false},
		{"a slash too few", plain, plain + "/", "", false},
		{"another case", "https://OP.example", plain, "", false},
		{"the default port", "https://op.example:443", plain, "", false},
		{"another scheme", "http://op.example", plain, "", false},
		{"an escape", "https://op.example/%61", "https://op.example/a", "", false},
		{"none", "", plain, "", false},
		{"another", "https://evil.example", plain, "", false},

		{"of the configuration URL", plain, "", plain + WellKnown, true},
		{"of the configuration URL with a slash", plain + "/", "", plain + WellKnown, true},
		{"of the configuration URL with two slashes", plain + "//", "", plain + WellKnown, false},
		{"of the configuration URL with a path", plain + "/realm", "", plain + "/realm" + WellKnown, true},
		{"another one than the configuration URL's", "https://evil.example", "", plain + WellKnown, false},
		{"a part of the configuration URL's", plain, "", plain + "/realm" + WellKnown, false},
		{"none at a configuration URL", "", "", plain + WellKnown, false},
		{"one at a configuration URL of another form", plain, "", plain + "/config.json", false},
		{"one that is named beside a configuration URL of another form", plain, plain, "https://cdn.example/config.json", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			document := fmt.Sprintf(`{"issuer":%q}`, tc.got)
			m, err := parseMetadata([]byte(document), tc.issuer, tc.configurationURL)
			if (err == nil) != tc.ok {
				t.Fatalf("%v", err)
			}
			if tc.ok && m.Issuer != tc.got {
				t.Errorf("issuer %q", m.Issuer)
			}
			if strings.HasPrefix(tc.name, "a slash") && !strings.Contains(err.Error(), "slash") {
				t.Errorf("no hint: %v", err)
			}
		})
	}
}

func TestTheConfigurationURLOfAnIssuer(t *testing.T) {
	t.Parallel()
	for issuer, want := range map[string]string{
		"https://op.example":        "https://op.example/.well-known/openid-configuration",
		"https://op.example/":       "https://op.example/.well-known/openid-configuration",
		"https://op.example/realm":  "https://op.example/realm/.well-known/openid-configuration",
		"https://op.example/realm/": "https://op.example/realm/.well-known/openid-configuration",
	} {
		if got := ConfigurationURL(issuer); got != want {
			t.Errorf("of %q: %q", issuer, got)
		}
	}
}

const document = `{
	"issuer": "https://op.example",
	"authorization_endpoint": "https://op.example/authorize?tenant=1",
	"token_endpoint": "https://op.example/token",
	"userinfo_endpoint": "https://op.example/userinfo",
	"jwks_uri": "https://op.example/keys",
	"end_session_endpoint": "https://op.example/logout",
	"id_token_signing_alg_values_supported": ["none", "HS256", "ES256", "RS256"],
	"token_endpoint_auth_methods_supported": ["client_secret_post"],
	"authorization_response_iss_parameter_supported": true,
	"Issuer": "https://evil.example",
	"unknown": [{"x": 1}]
}`

func TestMetadataIsRead(t *testing.T) {
	t.Parallel()
	m, err := parseMetadata([]byte(document), "https://op.example", "")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ got, want string }{
		"issuer":                 {m.Issuer, "https://op.example"},
		"authorization_endpoint": {m.Endpoints.Authorization, "https://op.example/authorize?tenant=1"},
		"token_endpoint":         {m.Endpoints.Token, "https://op.example/token"},
		"userinfo_endpoint":      {m.Endpoints.Userinfo, "https://op.example/userinfo"},
		"jwks_uri":               {m.Endpoints.JWKS, "https://op.example/keys"},
		"end_session_endpoint":   {m.Endpoints.EndSession, "https://op.example/logout"},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: expected %s, seen %s", name, tc.want, tc.got)
		}
	}
	if !m.IssParameter {
		t.Error("expected responses with iss, seen that they are not")
	}
	if want := []string{"client_secret_post"}; !slices.Equal(m.AuthMethods, want) {
		t.Errorf("token_endpoint_auth_methods_supported: expected %q, seen %q", want, m.AuthMethods)
	}
	if err := m.check(true, false); err != nil {
		t.Error(err)
	}
	if got := algorithms(nil, m.IDTokenAlgs); !slices.Equal(got, []string{"ES256", "RS256"}) {
		t.Errorf("algorithms %q: a provider must not bring in none or HS256", got)
	}
}

func TestMetadataThatIsNone(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ old, new string }{
		{document, ""},
		{document, "<html>"},
		{document, "[]"},
		{`"issuer": "https://op.example",`, ""},
		{`"issuer": "https://op.example"`, `"issuer": ["https://op.example"]`},
		{`"https://op.example/token"`, `1`},
		{`"unknown": [{"x": 1}]`, `"jwks_uri": "https://evil.example/keys"`},
		{`["client_secret_post"]`, `"client_secret_post"`},
		{`["none", "HS256", "ES256", "RS256"]`, `[1]`},
	} {
		text := strings.Replace(document, tc.old, tc.new, 1)
		if m, err := parseMetadata([]byte(text), "https://op.example", ""); err == nil {
			t.Errorf("with %q: %+v", tc.new, m)
		}
	}
	for _, value := range []string{`"true"`, "1", "null", "[true]", "false"} {
		text := strings.Replace(document, "_supported\": true", "_supported\": "+value, 1)
		if m, err := parseMetadata([]byte(text), "https://op.example", ""); err == nil && m.IssParameter {
			t.Errorf("iss is expected because of %s", value)
		}
	}
}

func TestOverridesCountAlone(t *testing.T) {
	t.Parallel()
	m, err := parseMetadata([]byte(document), "https://op.example", "")
	if err != nil {
		t.Fatal(err)
	}
	before := *m
	m.override(Endpoints{})
	if m.Endpoints != before.Endpoints {
		t.Errorf("no overrides: expected %+v, seen %+v", before.Endpoints, m.Endpoints)
	}
	m.override(Endpoints{Token: "https://inner.example/token", EndSession: "https://inner.example/out"})
	want := before.Endpoints
	want.Token, want.EndSession = "https://inner.example/token", "https://inner.example/out"
	if m.Endpoints != want {
		t.Errorf("expected %+v, seen %+v", want, m.Endpoints)
	}
	m.override(Endpoints{Token: "http://inner.example/token"})
	if m.check(true, false) == nil {
		t.Error("an override with plain http passes")
	}
}

const aliased = `{"issuer":"https://op.example","authorization_endpoint":"https://op.example/a","token_endpoint":"https://op.example/t",
	"userinfo_endpoint":"https://op.example/u","jwks_uri":"https://op.example/j","revocation_endpoint":"https://op.example/r",
	"introspection_endpoint":"https://op.example/i","pushed_authorization_request_endpoint":"https://op.example/p",
	"require_pushed_authorization_requests":true,"token_endpoint_auth_signing_alg_values_supported":["PS256"],
	"mtls_endpoint_aliases":{"token_endpoint":"https://mtls.example/t","userinfo_endpoint":"https://mtls.example/u","revocation_endpoint":"https://mtls.example/r",
	"introspection_endpoint":"https://mtls.example/i","pushed_authorization_request_endpoint":"https://mtls.example/p",
	"authorization_endpoint":"https://mtls.example/a","jwks_uri":"https://mtls.example/j"}}`

func TestAliasesAreForBackChannels(t *testing.T) {
	t.Parallel()
	m, err := parseMetadata([]byte(aliased), "https://op.example", "")
	if err != nil {
		t.Fatal(err)
	}
	places := func(host string) []string {
		return []string{m.Issuer + "/a", m.Issuer + "/j", host + "/t", host + "/u", host + "/r", host + "/i", host + "/p"}
	}
	got := func() []string {
		return []string{m.Endpoints.Authorization, m.Endpoints.JWKS, m.Endpoints.Token, m.Endpoints.Userinfo, m.Endpoints.Revocation, m.Endpoints.Introspection, m.Endpoints.Pushed}
	}
	if want := places(m.Issuer); !slices.Equal(got(), want) {
		t.Errorf("before: expected %q, seen %q", want, got())
	}
	if !m.Pushed {
		t.Error("expected that the provider requires pushed requests, seen that it does not")
	}
	if want := []string{"PS256"}; !slices.Equal(m.AuthAlgs, want) {
		t.Errorf("token_endpoint_auth_signing_alg_values_supported: expected %q, seen %q", want, m.AuthAlgs)
	}
	if err := m.useAliases(); err != nil || !slices.Equal(got(), places("https://mtls.example")) {
		t.Errorf("with a certificate: expected the aliases, seen %q, error %v", got(), err)
	}
	m.aliases.Token = "http://mtls.example/t"
	if err := m.useAliases(); err != nil || m.check(true, false) == nil {
		t.Errorf("expected that an alias with plain http is refused, seen that it passes, error %v", err)
	}
	for _, change := range [][2]string{{`"https://op.example/r"`, "7"}, {`"https://op.example/p"`, "[]"}} {
		if _, err := parseMetadata([]byte(strings.Replace(aliased, change[0], change[1], 1)), "https://op.example", ""); err == nil {
			t.Errorf("%s passes", change[1])
		}
	}
	for _, value := range []string{`"true"`, "1", "null", "false"} {
		if m, err := parseMetadata([]byte(strings.Replace(aliased, "requests\":true", "requests\":"+value, 1)), "https://op.example", ""); err == nil && m.Pushed {
			t.Errorf("requests are pushed because of %s", value)
		}
	}
}

// TestMalformedAliases checks that only clients with a certificate refuse malformed
// aliases.
func TestMalformedAliases(t *testing.T) {
	t.Parallel()
	for _, change := range [][2]string{
		{`"https://mtls.example/t"`, "7"},
		{`"mtls_endpoint_aliases":{`, `"mtls_endpoint_aliases":[],"x":{`},
		{`"mtls_endpoint_aliases":{`, `"mtls_endpoint_aliases":{"token_endpoint":"https://evil.example/t",`},
	} {
		document := []byte(strings.Replace(aliased, change[0], change[1], 1))
		keysOnly := DiscoveryConfig{Issuer: "https://op.example", MTLS: true, KeysOnly: true}
		m, err := keysOnly.parse(document)
		if err == nil {
			err = NewDiscovery(keysOnly).complete(m)
		}
		if err != nil {
			t.Errorf("%s, for keys only: expected no error, seen %v", change[1], err)
		}
		for _, certificate := range []bool{false, true} {
			config := DiscoveryConfig{Issuer: "https://op.example", MTLS: certificate}
			m, err := config.parse(document)
			if err == nil {
				err = NewDiscovery(config).complete(m)
			}
			var settings *SettingsError
			switch {
			case certificate && (!errors.As(err, &settings) || !strings.Contains(err.Error(), "mtls_endpoint_aliases")):
				t.Errorf("%s, with a certificate: expected an error that names mtls_endpoint_aliases, seen %v", change[1], err)
			case !certificate && (err != nil || m.Endpoints.Token != "https://op.example/t"):
				t.Errorf("%s, without a certificate: expected the usual endpoints, seen %+v, error %v", change[1], m, err)
			}
		}
	}
}

// Configured endpoints take precedence over aliases.
func TestOverridesCountMoreThanAliases(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.ReplaceAll(aliased, "https://op.example", "http://"+r.Host))
	}))
	defer server.Close()
	for _, mtls := range []bool{false, true} {
		r := NewDiscovery(DiscoveryConfig{Issuer: server.URL, Timeout: time.Minute, Now: time.Now, MTLS: mtls, Endpoints: Endpoints{Userinfo: "https://inner.example/u"}})
		m, err := r.Metadata(t.Context())
		r.Close()
		if err != nil {
			t.Fatalf("mutual TLS %t: %v", mtls, err)
		}
		if want := "https://inner.example/u"; m.Endpoints.Userinfo != want {
			t.Errorf("mutual TLS %t: expected userinfo at %s, seen %s", mtls, want, m.Endpoints.Userinfo)
		}
		if aliased := m.Endpoints.Token == "https://mtls.example/t"; aliased != mtls {
			t.Errorf("mutual TLS %t: expected the alias of the token endpoint %t, seen %s", mtls, mtls, m.Endpoints.Token)
		}
	}
}

func TestMetadataThatCannotServe(t *testing.T) {
	t.Parallel()
	least := Metadata{Endpoints: Endpoints{Authorization: "https://op.example/a", Token: "https://op.example/t", JWKS: "https://op.example/j"}}
	for _, tc := range []struct {
		name     string
		change   func(*Metadata)
		needKeys bool
		ok       bool
	}{
		{"the least", func(*Metadata) {}, true, true},
		{"no authorization endpoint", func(m *Metadata) { m.Endpoints.Authorization = "" }, true, false},
		{"no token endpoint", func(m *Metadata) { m.Endpoints.Token = "" }, true, false},
		{"no keys", func(m *Metadata) { m.Endpoints.JWKS = "" }, true, false},
		{"no keys where they are configured", func(m *Metadata) { m.Endpoints.JWKS = "" }, false, true},
		{"keys over plain http", func(m *Metadata) { m.Endpoints.JWKS = "http://op.example/j" }, true, false},
		{"userinfo over plain http", func(m *Metadata) { m.Endpoints.Userinfo = "http://op.example/u" }, true, false},
		{"logout over plain http", func(m *Metadata) { m.Endpoints.EndSession = "http://op.example/e" }, true, false},
		{"revocation over plain http", func(m *Metadata) { m.Endpoints.Revocation = "http://op.example/r" }, true, false},
		{"introspection without a host", func(m *Metadata) { m.Endpoints.Introspection = "/i" }, true, false},
		{"pushed requests over plain http", func(m *Metadata) { m.Endpoints.Pushed = "http://op.example/p" }, true, false},
		{"pushed requests without an endpoint", func(m *Metadata) { m.Pushed = true }, true, false},
		{"pushed requests", func(m *Metadata) { m.Pushed, m.Endpoints.Pushed = true, "https://op.example/p" }, true, true},
		{"logout by a script", func(m *Metadata) { m.Endpoints.EndSession = "javascript:alert(1)" }, true, false},
	} {
		m := least
		tc.change(&m)
		if err := m.check(tc.needKeys, false); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestAddressesOfProviders(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		address      string
		ok, insecure bool // insecure: allowed with that option
	}{
		{"https://op.example", true, true},
		{"https://op.example:8443/a?b=c", true, true},
		{"http://localhost/a", true, true},
		{"http://localhost:8080", true, true},
		{"http://op.localhost", true, true},
		{"http://127.0.0.1:9", true, true},
		{"http://127.8.9.1", true, true},
		{"http://[::1]:9", true, true},
		{"http://op.example", false, true},
		{"http://localhost.evil.example", false, true},
		{"http://127.0.0.1.evil.example", false, true},
		{"http://10.0.0.1", false, true},
		{"http://0.0.0.0", false, true},
		{"http://notlocalhost", false, true},
		{"ftp://op.example", false, false},
		{"javascript:alert(1)", false, false},
		{"//op.example", false, false},
		{"/path", false, false},
		{"", false, false},
		{"https:///path", false, false},
		{"https:op.example", false, false},
		{"https://user@op.example", false, false},
		{"https://user:secret@op.example", false, false},
		{"https://op.example#fragment", false, false},
		{"https://op.example/\x00", false, false},
		{"https://[::1", false, false},
	} {
		if err := CheckURL(tc.address, false); (err == nil) != tc.ok {
			t.Errorf("%q: %v", tc.address, err)
		}
		if err := CheckURL(tc.address, true); (err == nil) != tc.insecure {
			t.Errorf("%q, insecure: %v", tc.address, err)
		}
		if err := CheckURL(tc.address, false); err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("expected an error without the password, seen %v", err)
		}
	}
}

func TestAlgorithms(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ configured, discovered, want []string }{
		{nil, nil, []string{"RS256"}},
		{nil, []string{"none", "HS256", "dir", ""}, []string{"RS256"}},
		{nil, []string{"EdDSA", "HS512", "PS256"}, []string{"EdDSA", "PS256"}},
		{[]string{"HS256"}, []string{"RS256"}, []string{"HS256"}},
	} {
		if got := algorithms(tc.configured, tc.discovered); !slices.Equal(got, tc.want) {
			t.Errorf("algorithms(%q, %q) = %q", tc.configured, tc.discovered, got)
		}
	}
	for _, alg := range []string{"none", "", "rs256", "RS1", "ES256K", "RSA-OAEP"} {
		if KnownAlgorithm(alg) {
			t.Errorf("%q: expected it to be unknown, seen that it is known", alg)
		}
		if Symmetric(alg) {
			t.Errorf("%q: expected it not to be symmetric, seen that it is", alg)
		}
	}
	if !KnownAlgorithm("HS256") {
		t.Error("HS256: expected it to be known, seen that it is not")
	}
	for alg, want := range map[string]bool{"HS256": true, "RS256": false} {
		if got := Symmetric(alg); got != want {
			t.Errorf("%s: expected symmetric %t, seen %t", alg, want, got)
		}
	}
}

func TestConfigurationsThatNeedNoDiscovery(t *testing.T) {
	t.Parallel()
	whole := DiscoveryConfig{Issuer: "https://op.example", Endpoints: Endpoints{Authorization: "a", Token: "t", JWKS: "j"}}
	if !whole.static() {
		t.Error("all that is needed is there")
	}
	withKeys := whole
	withKeys.Endpoints.JWKS, withKeys.JWKS = "", []byte("{}")
	if !withKeys.static() {
		t.Error("keys from a document are keys")
	}
	for name, change := range map[string]func(*DiscoveryConfig){
		"issuer":        func(c *DiscoveryConfig) { c.Issuer = "" },
		"authorization": func(c *DiscoveryConfig) { c.Endpoints.Authorization = "" },
		"token":         func(c *DiscoveryConfig) { c.Endpoints.Token = "" },
		"keys":          func(c *DiscoveryConfig) { c.Endpoints.JWKS = "" },
	} {
		c := whole
		change(&c)
		if c.static() {
			t.Errorf("without %s it is static", name)
		}
	}
}
