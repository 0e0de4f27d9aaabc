package opconfig

import (
	"net/url"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

func TestOptionsThatCannotWork(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		change func(*Options)
		want   string // the error
	}{
		{"the least", func(*Options) {}, ""},
		{"the metadata's address as issuer", func(o *Options) { o.Issuer += op.WellKnown },
			"issuer: ends in /.well-known/openid-configuration; write that as configuration_url, or leave the ending away"},
		{"an issuer with a query", func(o *Options) { o.Issuer += "?a" }, "issuer: has a query or a fragment"},
		{"two tenants", func(o *Options) { o.Issuer += "/{tenantid}/{tenantid}" }, "issuer: {tenantid} stands for one part of the path"},
		{"any tenant without metadata", func(o *Options) { o.Issuer += "/{tenantid}" },
			"issuer: {tenantid} stands for any tenant, so configuration_url must be named as well"},
		{"keys twice", func(o *Options) { o.JWKS, o.Endpoints.JWKS = "{}", "https://login.example.com/keys" }, "jwks and jwks_uri exclude each other"},
		{"an unknown method", func(o *Options) { o.ClientAuth = "key" },
			`client_auth: "key" is none of client_secret_basic, client_secret_jwt, client_secret_post, none, private_key_jwt, tls_client_auth`},
		{"a method without its secret", func(o *Options) { o.ClientAuth = "client_secret_post" }, "client_auth client_secret_post needs a client_secret"},
		{"a method without its key", func(o *Options) { o.ClientAuth = "private_key_jwt" }, "client_auth private_key_jwt needs a key"},
		{"a method without its certificate", func(o *Options) { o.ClientAuth = op.MTLS }, "client_auth tls_client_auth needs a certificate and its key"},
		{"a key without a method", func(o *Options) { o.ClientKeys = []string{"k"} }, "client_keys: are for client_auth private_key_jwt"},
		{"a certificate without a method", func(o *Options) { o.ClientCertificate = "c" }, "client_certificate: is for client_auth tls_client_auth"},
		{"two certificates", func(o *Options) {
			o.ClientAuth, o.ClientCertificate, o.ClientCertificateKey = op.MTLS, "c", "k"
			o.TLS = &TLSFiles{ClientCertificate: "c", ClientKey: "k"}
		}, "client_auth tls_client_auth and tls client_certificate exclude each other"},
		{"an audience without an assertion", func(o *Options) { o.ClientAssertionAudience = "issuer" },
			"client_assertion_audience: is for client_auth client_secret_jwt and private_key_jwt"},
		{"an unknown audience", func(o *Options) {
			o.ClientAuth, o.ClientKeys, o.ClientAssertionAudience = "private_key_jwt", []string{"k"}, "all"
		}, `client_assertion_audience: "all" is none of issuer, token_endpoint`},
		{"an unknown algorithm", func(o *Options) { o.IDTokenAlgs = []string{"none"} }, `id_token_algs: "none" is not known`},
		{"HS256 without a secret", func(o *Options) { o.IDTokenAlgs = []string{"HS256"} }, "id_token_algs: HS256 needs a client_secret"},
		{"state from a link", func(o *Options) { o.ForwardParams = []string{"state"} }, "forward_params: state is set by the login itself"},
		{"a redirect path with a query", func(o *Options) { o.RedirectPath = "/a?b" }, `redirect_path: "/a?b" is not a plain path`},
		{"a certificate without its key", func(o *Options) { o.TLS = &TLSFiles{ClientCertificate: "c"} },
			"tls client_certificate: a certificate and its key belong together"},
		{"a clock far off", func(o *Options) { skew := time.Hour; o.ClockSkew = &skew }, "clock_skew: is from 0 to 10m0s"},
		{"a negative timeout", func(o *Options) { o.Timeout = -1 }, "timeout: is not negative"},
		{"an unknown way to userinfo", func(o *Options) { o.UserinfoMethod = "put" }, `userinfo_method: "put" is none of get, post`},
		{"userinfo at times", func(o *Options) { o.Userinfo = "sometimes" }, `userinfo: "sometimes" is none of auto, always, never`},
	} {
		o := least
		tc.change(&o)
		got := ""
		if err := o.CheckWritten(); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%s: got the error %q, expected %q", tc.name, got, tc.want)
		}
	}
}

func TestParametersThatCannotWork(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		parameters url.Values
		want       string // the error
	}{
		"good ones":           {url.Values{"prompt": {"login"}, "resource": {"https://a.example", "urn:b"}, "max_age": {"{env.AGE}"}}, ""},
		"state":               {url.Values{"state": {"a"}}, "authorization_params: state is set by the login itself"},
		"an empty one":        {url.Values{"prompt": {""}}, "authorization_params: prompt is empty"},
		"one without a value": {url.Values{"prompt": {}}, "authorization_params: prompt is empty"},
		"several values":      {url.Values{"prompt": {"login", "consent"}}, "authorization_params: prompt has several values, which only resource can have"},
		"a relative resource": {url.Values{"resource": {"/a"}}, "authorization_params: resource is not an absolute URI without fragment"},
		"a resource's part":   {url.Values{"resource": {"https://a.example#b"}}, "authorization_params: resource is not an absolute URI without fragment"},
		"an age in words":     {url.Values{"max_age": {"1h"}}, "authorization_params: max_age is not a number of seconds"},
		"what excludes":       {url.Values{"max_age": {"0"}, "prompt": {"none"}}, "authorization_params: max_age 0 and prompt none exclude each other"},
	} {
		got := ""
		if err := CheckParameters(tc.parameters); err != nil {
			got = err.Error()
		}
		if got != tc.want {
			t.Errorf("%s: got the error %q, expected %q", name, got, tc.want)
		}
	}
}
