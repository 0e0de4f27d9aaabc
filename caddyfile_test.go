package oidcrp_test

import (
	"strconv"
	"strings"
	"testing"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"
)

// Fault D6. An unknown word is answered with the one that was meant, and with
// file and line.
func TestUnknownWordsGetAHint(t *testing.T) {
	t.Parallel()
	const (
		site     = "a.example {\noidc_rp {\n"
		shared   = "{\noidc_rp {\nprovider corp {\n"
		session  = "a.example {\noidc_rp {\nsession {\n"
		provider = "issuer https://login.example.com\nclient_id rp\n"
	)
	for _, tc := range []struct{ before, text, after, hint string }{
		{site, "isuer https://login.example.com", "}\n}", "did you mean 'issuer'?"},
		{site, "clientid rp", "}\n}", "did you mean 'client_id'?"},
		{site, "client-secret x", "}\n}", "did you mean 'client_secret'?"},
		{site, "scope openid", "}\n}", "did you mean 'scopes'?"},
		{site, "signedout /", "}\n}", "did you mean 'signed_out'?"},
		{site, "privat /x", "}\n}", "did you mean 'private'?"},
		{site, "Public /x", "}\n}", "did you mean 'public'?"},
		{site, "lifetime 1h", "}\n}", "it is an option of session"},
		{site, "same_site lax", "}\n}", "it is an option of session { cookie { … } }"},
		{site, "header X-User email", "}\n}", "it is an option of upstream"},
		{site, "frobnicate", "}\n}", ""},
		{site, "unauthenticated redirekt", "}\n}", "did you mean 'redirect'?"},
		{site, "userinfo alway", "}\n}", "did you mean 'always'?"},
		{site, "pkce of", "}\n}", "did you mean 'off'?"},
		{site, "client_auth private_key", "}\n}", "did you mean 'private_key_jwt'?"},
		{site, "id_token_algs RS265", "}\n}", "did you mean 'RS256'?"},
		{shared, "token_endpiont https://login.example.com", "}\n}\n}", "did you mean 'token_endpoint'?"},
		{shared, "public /x", "}\n}\n}", "it is an option of a site"},
		{"{\noidc_rp {\n", "providers corp", "}\n}", "did you mean 'provider'?"},
		{"{\noidc_rp {\n", "client_id rp", "}\n}", "it is an option of a provider"},
		{session, "life_time 1h", "}\n}\n}", "did you mean 'lifetime'?"},
		{session, "domain a.example", "}\n}\n}", "it is an option of session { cookie { … } }"},
		{session, "store memroy", "}\n}\n}", "did you mean 'memory'?"},
		{session + "store memory {\n", "max_record 1", "}\n}\n}\n}", "did you mean 'max_records'?"},
		{session + "store redis {\n", "adress 127.0.0.1:6379", "}\n}\n}\n}", "did you mean 'address'?"},
		{session + "cookie {\n", "samesite lax", "}\n}\n}\n}", "did you mean 'same_site'?"},
		{session + "cookie {\n", "same_site nome", "}\n}\n}\n}", "did you mean 'none'?"},
		{"a.example {\noidc_rp {\nupstream {\n", "acces_token", "}\n}\n}", "did you mean 'access_token'?"},
		{"a.example {\noidc_rp {\ntls {\n", "client_cert a b", "}\n}\n}", ""},
		{"a.example {\n", "oidc_rp publick {\n" + provider + "}", "}", "did you mean 'public'?"},
		{"{\noidc_rp {\nprovider corp {\n" + provider + "}\n}\n}\na.example {\noidc_rp {\n", "provider copr", "}\n}", "did you mean 'corp'?"},
	} {
		_, err := adapt(tc.before + tc.text + "\n" + tc.after)
		if err == nil {
			t.Errorf("%s is accepted", tc.text)
			continue
		}
		if got := strings.Contains(err.Error(), "did you mean") || strings.Contains(err.Error(), "it is an option of"); got != (tc.hint != "") || !strings.Contains(err.Error(), tc.hint) {
			t.Errorf("%s: the error is %q, want %q", tc.text, err, tc.hint)
		}
		holdLine(t, err, strings.Count(tc.before, "\n")+1)
	}
}

// holdLine holds that an error names a line of the Caddyfile.
func holdLine(t *testing.T, err error, line int) {
	t.Helper()
	if m := filePlace.FindString(err.Error()); !strings.HasSuffix(m, ":"+strconv.Itoa(line)) {
		t.Errorf("got %q, want line %d", err, line)
	}
}

// Fault D8. What is wrong with several lines together is an error of the later
// one, and what is wrong with one line is an error of that.
func TestErrorsNameTheLineThatIsWrong(t *testing.T) {
	t.Parallel()
	for text, line := range map[string]int{
		"{\noidc_rp {\nprovider corp {\nissuer https://login.example.com\nclient_id rp\n}\n}\n}\na.example {\noidc_rp {\nhome /x\nprovider corp\nscopes openid\n}\n}":         13,
		"{\noidc_rp {\nprovider corp {\nissuer https://login.example.com\nclient_id rp\n}\n}\n}\na.example {\noidc_rp {\nhome /x\nscopes openid\nprovider corp\n}\n}":         13,
		"{\noidc_rp {\nprovider corp {\nissuer https://login.example.com\nclient_id rp\n}\n}\n}\na.example {\noidc_rp {\nscopes openid\nhome /x\ndefault_provider corp\n}\n}": 13,
		"a.example {\noidc_rp {\nclient_id rp\nissuer http://login.example.com\nhome /x\n}\n}":                                                                                4,
		"a.example {\noidc_rp {\nissuer https://login.example.com\nclient_id rp\ntoken_endpoint /token\nhome /x\n}\n}":                                                        5,
		"a.example {\noidc_rp {\nissuer https://login.example.com\nclient_id rp\nredirect_path x\nhome /x\n}\n}":                                                              5,
		"a.example {\noidc_rp {\nissuer https://login.example.com\nclient_id rp\nclient_auth client_secret_post\nhome /x\n}\n}":                                               5,
		"a.example {\noidc_rp {\nprovider corp {\nissuer https://login.example.com\nclient_id rp\nclock_skew 11m\n}\nhome /x\n}\n}":                                           6,
		"{\noidc_rp {\nprovider corp {\nissuer https://login.example.com\nclient_id rp\nauthorization_params {\nprompt login\nmax_age x\nb c\n}\nscopes openid\n}\n}\n}":      8,
		"a.example {\noidc_rp {\nsession {\ncookie {\ninsecure\nsame_site none\n}\nlifetime 1h\n}\n}\n}":                                                                      6,
		"a.example {\noidc_rp {\nsession {\nlifetime 1s\nrotate 1d\n}\n}\n}":                                                                                                  4,
		"a.example {\noidc_rp endpoints {\nissuer https://login.example.com\nclient_id rp\nhome /x\nprivate /a\nhome /b\n}\n}":                                                6,
		"a.example {\noidc_rp endpoints {\nissuer https://login.example.com\nclient_id rp\nupstream {\naccess_token\n}\n}\n}":                                                 5,
		"a.example {\noidc_rp endpoints {\nissuer https://login.example.com\nunauthenticated deny\nclient_id rp\n}\n}":                                                        4,
		"a.example {\noidc_rp endpoints {\nissuer https://login.example.com\npreflight pass\nclient_id rp\n}\n}":                                                              4,
		"a.example {\noidc_rp {\nissuer https://login.example.com\nclient_id rp\nupstream {\nheader X-A a\nheader Host b\nheader X-C c\n}\n}\n}":                              7,
	} {
		_, err := adapt(text)
		if err == nil {
			t.Errorf("accepted:\n%s", text)
			continue
		}
		holdLine(t, err, line)
	}
}

// A store of ours that is not linked is no typing error: the message says how
// to get it.
func TestWhatIsSaidOfAStoreThatIsNotThere(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"redis":   "build it with another --with github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis",
		"shoebox": "there is no module oidc_rp.session_stores.shoebox in this Caddy",
	} {
		if got := oidcrp.UnknownStore(kind); !strings.Contains(got, want) {
			t.Errorf("%s: %q", kind, got)
		}
	}
}
