package opconfig

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

const (
	aTenant   = "9188040d-6c67-4c5b-b112-36a304b66dad"
	anyTenant = "https://login.microsoftonline.com/common/v2.0"
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
			`client_auth: "key" is none of assertion_file, client_secret_basic, client_secret_jwt, client_secret_post, none, private_key_jwt, tls_client_auth`},
		{"a method without its secret", func(o *Options) { o.ClientAuth = "client_secret_post" }, "client_auth client_secret_post needs a client_secret"},
		{"a method without its key", func(o *Options) { o.ClientAuth = "private_key_jwt" }, "client_auth private_key_jwt needs a key"},
		{"a method without its certificate", func(o *Options) { o.ClientAuth = op.MTLS }, "client_auth tls_client_auth needs a certificate and its key"},
		{"a key without a method", func(o *Options) { o.ClientKeys = []string{"k"} }, "client_keys: are for client_auth private_key_jwt and request_object"},
		{"a key for request objects", func(o *Options) { o.RequestObject, o.ClientKeys = "signed", []string{"k"} }, ""},
		{"a key of the method for request objects", func(o *Options) {
			o.RequestObject, o.ClientAuth, o.ClientKeys = "encrypted", "private_key_jwt", []string{"k"}
		}, ""},
		{"a secret for request objects", func(o *Options) { o.RequestObject, o.ClientSecret = "signed", "{env.SECRET}" }, ""},
		{"request objects without a key", func(o *Options) { o.RequestObject = "signed" },
			"request_object signed needs client_keys, or a client_secret of at least 32 bytes, to sign with"},
		{"unknown request objects", func(o *Options) { o.RequestObject, o.ClientKeys = "jwt", []string{"k"} }, `request_object: "jwt" is none of signed, encrypted`},
		{"an unknown response mode", func(o *Options) { o.ResponseMode = "fragment.jwt" }, `response_mode: "fragment.jwt" is none of query, form_post, jwt, query.jwt, form_post.jwt`},
		{"a certificate without a method", func(o *Options) { o.ClientCertificate = "c" }, "client_certificate: is for client_auth tls_client_auth"},
		{"two certificates", func(o *Options) {
			o.ClientAuth, o.ClientCertificate, o.ClientCertificateKey = op.MTLS, "c", "k"
			o.TLS = &TLSFiles{ClientCertificate: "c", ClientKey: "k"}
		}, "client_auth tls_client_auth and tls client_certificate exclude each other"},
		{"an audience without an assertion", func(o *Options) { o.ClientAssertionAudience = "issuer" },
			"client_assertion_audience: is for client_auth client_secret_jwt, private_key_jwt and assertion_file"},
		{"an unknown audience", func(o *Options) {
			o.ClientAuth, o.ClientKeys, o.ClientAssertionAudience = "private_key_jwt", []string{"k"}, "all"
		}, `client_assertion_audience: "all" is none of issuer, token_endpoint`},
		{"an assertion without its file", func(o *Options) { o.ClientAuth = op.AssertionFile }, "client_auth assertion_file needs a file"},
		{"a file without a method", func(o *Options) { o.ClientAssertionFile = "f" }, "client_assertion_file: is for client_auth assertion_file"},
		{"any audience of a file", func(o *Options) {
			o.ClientAuth, o.ClientAssertionFile, o.ClientAssertionAudience = op.AssertionFile, "f", "api://exchange"
		}, ""},
		{"a file for pushed requests", func(o *Options) {
			o.ClientAuth, o.ClientAssertionFile, o.Endpoints.Pushed = op.AssertionFile, "f", "https://login.example.com/par"
		}, "client_auth assertion_file: the assertion is sent to the token endpoint alone, so pushed_authorization_request_endpoint cannot be used"},
		{"a file in clear text", func(o *Options) {
			o.ClientAuth, o.ClientAssertionFile, o.Insecure, o.Endpoints.Token = op.AssertionFile, "f", true, "http://login.example.com/token"
		}, "client_auth assertion_file: the assertion is not sent over plain http, also where insecure is set"},
		{"a file on loopback", func(o *Options) {
			o.ClientAuth, o.ClientAssertionFile, o.Endpoints.Token = op.AssertionFile, "f", "http://127.0.0.1/token"
		}, ""},
		{"an unknown algorithm", func(o *Options) { o.IDTokenAlgs = []string{"none"} }, `id_token_algs: "none" is not known`},
		{"HS256 without a secret", func(o *Options) { o.IDTokenAlgs = []string{"HS256"} }, "id_token_algs: HS256 needs a client_secret"},
		{"tenants of a single issuer", func(o *Options) { o.Tenants = []string{aTenant} }, "tenants: the issuer has no {tenantid}, so that there is only one tenant"},
		{"tenants by an alias", func(o *Options) { o.Issuer, o.Tenants, o.EmailTrusted = anyTenant, []string{aTenant}, true }, ""},
		{"tenants of an issuer that is not known yet", func(o *Options) { o.Issuer, o.Tenants = "https://{env.HOST}/v2.0", []string{aTenant} }, ""},
		{"a tenant by name", func(o *Options) { o.Issuer, o.Tenants = anyTenant, []string{"contoso.example"} },
			`tenants: "contoso.example" is no tenant id, such as 00000000-0000-0000-0000-000000000000`},
		{"a tenant twice", func(o *Options) {
			o.Issuer, o.Tenants = anyTenant, []string{aTenant, strings.ToUpper(aTenant)}
		}, "tenants: item 2 is empty or a duplicate"},
		{"addresses of any tenant", func(o *Options) { o.Issuer, o.EmailTrusted = anyTenant, true },
			"email_trusted: the issuer is that of any tenant ({tenantid}), and each could claim any address; name those that you trust with tenants"},
		{"groups, domains and audiences", func(o *Options) {
			o.Groups, o.GroupNames = []string{"a", "{env.A}"}, map[string]string{"b": "c", "d": "c", "a/b": "{env.B}"}
			o.Domains, o.Audiences = []string{"Corp.Example", "a-1.b", "localhost", "xn--bcher-kva.example", "{env.D}"}, []string{"api"}
		}, ""},
		{"an empty group", func(o *Options) { o.Groups = []string{"a", ""} }, "groups: item 2 is empty or a duplicate"},
		{"an empty local group", func(o *Options) { o.GroupNames = map[string]string{"a": ""} }, "groups: a name is empty"},
		{"a group in both forms", func(o *Options) { o.Groups, o.GroupNames = []string{"a"}, map[string]string{"a": "b"} }, "groups: a appears twice"},
		{"one name for two groups", func(o *Options) { o.Groups, o.GroupNames = []string{"a"}, map[string]string{"b": "a"} }, "groups: a is the name of two groups"},
		{"an audience twice", func(o *Options) { o.Audiences = []string{"a", "a"} }, "audiences: item 2 is empty or a duplicate"},
		{"a domain that is not ASCII", func(o *Options) { o.Domains = []string{"Bücher.example"} }, `domains: "bücher.example" is not ASCII; write xn--bcher-kva.example`},
		{"an address for a domain", func(o *Options) { o.Domains = []string{"@corp.example"} }, `domains: "@corp.example" is not a domain, such as corp.example`},
		{"a domain with a dot at the end", func(o *Options) { o.Domains = []string{"corp.example."} }, `domains: "corp.example." is not a domain, such as corp.example`},
		{"a domain with an empty label", func(o *Options) { o.Domains = []string{"corp..example"} }, `domains: "corp..example" is not a domain, such as corp.example`},
		{"state from a link", func(o *Options) { o.ForwardParams = []string{"state"} }, "forward_params: state is set by the login itself"},
		{"a redirect path with a query", func(o *Options) { o.RedirectPath = "/a?b" }, `redirect_path: "/a?b" is not a plain path`},
		{"a certificate without its key", func(o *Options) { o.TLS = &TLSFiles{ClientCertificate: "c"} },
			"tls client_certificate: a certificate and its key belong together"},
		{"a clock far off", func(o *Options) { skew := time.Hour; o.ClockSkew = &skew }, "clock_skew: must be from 0 to 10m0s"},
		{"a negative timeout", func(o *Options) { o.Timeout = -1 }, "timeout: must not be negative"},
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
