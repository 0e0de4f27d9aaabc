package oidcrp_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The tests here do not run in parallel: they set the environment and count what the
// pools hold.

// over returns a JSON object with the members of another merged in. null removes a
// member.
func over(t *testing.T, base string, patches ...string) string {
	t.Helper()
	var object map[string]json.RawMessage
	for _, text := range append([]string{base}, patches...) {
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), &object); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
	}
	maps.DeleteFunc(object, func(_ string, value json.RawMessage) bool { return string(value) == "null" })
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

const (
	soundProvider = `{"issuer": "https://login.example.com", "client_id": "rp", "client_secret": "s3cret-of-the-client"}`
	soundApp      = `{"providers": {"corp": {"issuer": "https://corp.example.com", "client_id": "rp"}}}`
)

func soundSite(provider string) string {
	return `{"handler": "oidc_rp", "own_providers": {"default": ` + provider + `}}`
}

func configOf(app, site string) string {
	return `{"apps": {"oidc_rp": ` + app + `, "http": {"servers": {"s": {"listen": ["127.0.0.1:0"], "routes": [{"handle": [` + site + `]}]}}}}}`
}

func TestTheSoundConfigurationOfTheseTestsIsAccepted(t *testing.T) {
	holdsStill(t)
	provisioned(t, configOf(soundApp, soundSite(soundProvider)), t.TempDir())
}

// mustRefuse provisions a configuration that cannot work. The error names the cause and
// no secret, and everything taken is released.
func mustRefuse(t *testing.T, config, cause string) {
	t.Helper()
	holdsStill(t)
	_, err := provision(isolated(t, config, filepath.Join(t.TempDir(), "absent")))
	if err == nil {
		t.Fatal("accepted")
	}
	if !strings.Contains(err.Error(), cause) {
		t.Errorf("got %q\nwant %q", err, cause)
	}
	if strings.Contains(err.Error(), "s3cret") {
		t.Errorf("expected an error without the secret, seen %v", err)
	}
}

func TestProvidersThatCannotWorkAreRefused(t *testing.T) {
	operatorsFiles(t)
	for _, tc := range []struct{ name, patch, cause string }{
		{"no issuer", `{"issuer": ""}`, "issuer is missing"},
		{"no client id", `{"client_id": ""}`, "client_id is missing"},
		{"a name with a line end", `{"name": "a\nb"}`, "name: is longer than 200 bytes, or is no text"},
		{"a name that is too long", `{"name": "` + strings.Repeat("x", 201) + `"}`, "name: is longer than 200 bytes, or is no text"},
		{"an issuer that is no URL", `{"issuer": "https://login example com"}`, "issuer: "},
		{"an issuer without a scheme", `{"issuer": "login.example.com"}`, `issuer: "login.example.com" is not an absolute http or https URL`},
		{"an issuer of another scheme", `{"issuer": "ldap://login.example.com"}`, "issuer: "},
		{"an issuer with a user", `{"issuer": "https://me:s3cret@login.example.com"}`, "issuer: "},
		{"an issuer with a query", `{"issuer": "https://login.example.com?a=b"}`, "issuer: has a query"},
		{"an issuer on plain http", `{"issuer": "http://login.example.com"}`, "plain http, which is only for loopback (insecure would allow it)"},
		{"an issuer whose host only begins like loopback", `{"issuer": "http://127.0.0.1.example.com"}`, "plain http"},
		{"an issuer that is private but not loopback", `{"issuer": "http://10.0.0.1"}`, "plain http"},
		{"a configuration URL that names no issuer", `{"issuer": "", "configuration_url": "https://login.example.com/metadata"}`, "configuration_url: does not end in"},
		{"a configuration URL on plain http", `{"configuration_url": "http://login.example.com/metadata"}`, "configuration_url: "},
		{"a bad authorization endpoint", `{"authorization_endpoint": "/authorize"}`, "authorization_endpoint: "},
		{"a bad token endpoint", `{"token_endpoint": "http://login.example.com/token"}`, "token_endpoint: "},
		{"a bad userinfo endpoint", `{"userinfo_endpoint": "https://"}`, "userinfo_endpoint: "},
		{"a bad jwks_uri", `{"jwks_uri": "login.example.com/keys"}`, "jwks_uri: "},
		{"a bad end session endpoint", `{"end_session_endpoint": "https://login.example.com/#logout"}`, "end_session_endpoint: "},
		{"a client id from an unset variable", `{"client_id": "{env.OIDC_NOT_SET}"}`, "client_id: {env.OIDC_NOT_SET} is empty or cannot be read"},
		{"an issuer from an unset variable", `{"issuer": "https://{env.OIDC_NOT_SET}/x"}`, "issuer: {env.OIDC_NOT_SET} is empty or cannot be read"},
		{"an issuer from a variable that makes it bad", `{"issuer": "http://{env.OIDC_HOST}"}`, "plain http"},
		{"a secret from an unset variable", `{"client_secret": "{env.OIDC_NOT_SET}"}`, "client_secret: {env.OIDC_NOT_SET} is empty or cannot be read"},
		{"a secret from a file that is not there", `{"client_secret": "{file.not/there}"}`, "client_secret: {file.not/there} is empty or cannot be read"},
		{"a secret from an empty file", `{"client_secret": "{file.` + os.DevNull + `}"}`, "client_secret: {file." + os.DevNull + "} is empty or cannot be read"},
		{"a secret with braces of its own", `{"client_secret": "a{s3cret}b"}`, `client_secret: a placeholder in it is unknown`},
		{"a parameter from an unset variable", `{"authorization_params": {"resource": "{env.OIDC_NOT_SET}"}}`, "authorization_params resource: {env.OIDC_NOT_SET} is empty"},
		{"keys from a file that is not there", `{"jwks": "{file.not/there}"}`, "jwks: {file.not/there} is empty or cannot be read"},
		{"client_secret_basic without a secret", `{"client_secret": "", "client_auth": "client_secret_basic"}`, "client_auth client_secret_basic needs a client_secret"},
		{"client_secret_post without a secret", `{"client_secret": "", "client_auth": "client_secret_post"}`, "client_auth client_secret_post needs a client_secret"},
		{"an unknown client authentication", `{"client_auth": "private_key"}`, `client_auth: "private_key" is none of`},
		{"client_secret_jwt without a secret", `{"client_secret": "", "client_auth": "client_secret_jwt"}`, "client_auth client_secret_jwt needs a client_secret"},
		{"client_secret_jwt with a short secret", `{"client_auth": "client_secret_jwt"}`, "client_auth client_secret_jwt needs a client_secret of at least 32 bytes"},
		{"private_key_jwt without a key", `{"client_auth": "private_key_jwt"}`, "client_auth private_key_jwt needs a key"},
		{"keys without private_key_jwt", `{"client_keys": ["{env.OIDC_FILES}/key.pem"]}`, "client_keys: are for client_auth private_key_jwt and request_object"},
		{"a key of requests that is not there", `{"request_object": "signed", "client_keys": ["{env.OIDC_FILES}/s3cret.pem"]}`, "client_keys: key 1: is neither PEM nor a JSON Web Key, and read as the name of a file: "},
		{"request objects without a key", `{"request_object": "signed"}`, "request_object signed needs client_keys, or a client_secret of at least 32 bytes"},
		{"request objects of another kind", `{"request_object": "jwt", "client_keys": ["{env.OIDC_FILES}/key.pem"]}`, `request_object: "jwt" is none of signed, encrypted`},
		{"a key file that is not there", `{"client_auth": "private_key_jwt", "client_keys": ["{env.OIDC_FILES}/key.pem", "{env.OIDC_FILES}/s3cret.pem"]}`, "client_auth: key 2: is neither PEM nor a JSON Web Key, and read as the name of a file: "},
		{"a key file that is empty", `{"client_auth": "private_key_jwt", "client_keys": ["{env.OIDC_FILES}/empty.pem"]}`, "client_auth: key 1: the file is empty"},
		{"a key in a variable that is not set", `{"client_auth": "private_key_jwt", "client_keys": ["{env.OIDC_NOT_SET}"]}`, "client_auth: key 1: {env.OIDC_NOT_SET} is empty or cannot be read"},
		{"a key in some other form", `{"client_auth": "private_key_jwt", "client_keys": ["{env.OIDC_OLD_SECRET}"]}`, "client_auth: key 1: is neither PEM nor"},
		{"a certificate as a key", `{"client_auth": "private_key_jwt", "client_keys": ["{env.OIDC_FILES}/cert.pem"]}`, "client_auth: key 1: holds no private key for signatures"},
		{"the same key twice", `{"client_auth": "private_key_jwt", "client_keys": ["{env.OIDC_FILES}/key.pem", "{env.OIDC_KEY}"]}`, "client_auth: key 2: another key has the same kid"},
		{"an unknown audience", `{"client_auth": "private_key_jwt", "client_keys": ["{env.OIDC_FILES}/key.pem"], "client_assertion_audience": "https://op.example"}`, `client_assertion_audience: "https://op.example" is none of issuer, token_endpoint`},
		{"an audience of nothing", `{"client_assertion_audience": "issuer"}`, "client_assertion_audience: is for"},
		{"tls_client_auth without a certificate", `{"client_auth": "tls_client_auth"}`, "client_auth tls_client_auth needs a certificate and its key"},
		{"tls_client_auth without its key", `{"client_auth": "tls_client_auth", "client_certificate": "{env.OIDC_FILES}/cert.pem"}`, "client_auth tls_client_auth needs a certificate and its key"},
		{"tls_client_auth with the key alone as certificate", `{"client_auth": "tls_client_auth", "client_certificate": "{env.OIDC_FILES}/key.pem", "client_certificate_key": "{env.OIDC_FILES}/key.pem"}`, "client_auth: the certificate: "},
		{"tls_client_auth with a file that is not there", `{"client_auth": "tls_client_auth", "client_certificate": "{env.OIDC_FILES}/s3cret.pem", "client_certificate_key": "{env.OIDC_FILES}/key.pem"}`, "client_auth: the certificate: is neither"},
		{"a certificate without tls_client_auth", `{"client_certificate": "{env.OIDC_FILES}/cert.pem"}`, "client_certificate: is for client_auth tls_client_auth"},
		{"two certificates", `{"client_auth": "tls_client_auth", "client_certificate": "{env.OIDC_FILES}/cert.pem", "client_certificate_key": "{env.OIDC_FILES}/key.pem", "tls": {"client_certificate": "{env.OIDC_FILES}/cert.pem", "client_key": "{env.OIDC_FILES}/key.pem"}}`, "client_auth tls_client_auth and tls client_certificate exclude each other"},
		{"a revocation endpoint that is plain http", `{"revocation_endpoint": "http://op.example/revoke"}`, "revocation_endpoint: "},
		{"an endpoint for pushed requests that is plain http", `{"pushed_authorization_request_endpoint": "http://op.example/par"}`, "pushed_authorization_request_endpoint: "},
		{"HS256 without a secret", `{"client_secret": "", "id_token_algs": ["HS256"]}`, "id_token_algs: HS256 needs a client_secret"},
		{"no signature", `{"id_token_algs": ["none"]}`, `id_token_algs: "none" is not known`},
		{"a parameter that is ours", `{"authorization_params": {"redirect_uri": "https://evil.example"}}`, "authorization_params: redirect_uri is set by the login itself"},
		{"a parameter from links that is ours", `{"forward_params": ["nonce"]}`, "forward_params: nonce is set by the login itself"},
		{"the return address as a parameter", `{"forward_params": ["returnto"]}`, "forward_params: returnto is set by the login itself"},
		{"a parameter twice that can only be there once", `{"authorization_params": {"prompt": ["login", "consent"]}}`, "authorization_params: prompt has several values"},
		{"a parameter without a value", `{"authorization_params": {"resource": []}}`, "authorization_params: resource is empty"},
		{"a resource that is relative", `{"authorization_params": {"resource": ["https://a.example", "/b"]}}`, "authorization_params: resource is not an absolute URI"},
		{"claims that are a list", `{"authorization_params": {"claims": "[]"}}`, "authorization_params: claims is not a JSON object"},
		{"claims of another place", `{"authorization_params": {"claims": "{\"access_token\": {}}"}}`, "authorization_params: claims has the unknown member"},
		{"a max_age that is negative", `{"authorization_params": {"max_age": "-1"}}`, "authorization_params: max_age is not a number"},
		{"max_age 0 with prompt none", `{"authorization_params": {"max_age": "0", "prompt": "none"}}`, "authorization_params: max_age 0 and prompt none exclude each other"},
		{"a decryption key that is not there", `{"decryption_key": ["/not/there.pem"]}`, "decryption_key: key 1: is neither PEM nor a JSON Web Key, and read as the name of a file: no such file"},
		{"a decryption key in an unset variable", `{"decryption_key": ["{env.OIDC_NOT_SET}"]}`, "decryption_key: key 1: {env.OIDC_NOT_SET} is empty"},
		{"a decryption key that is a secret", `{"decryption_key": ["{env.OIDC_CLIENT_SECRET}"]}`, "decryption_key: key 1: is neither PEM"},
		{"a decryption key that is a certificate", `{"decryption_key": ["{env.OIDC_FILES}/cert.pem"]}`, "key 1 holds 0 private keys"},
		{"a decryption key that is symmetric", `{"decryption_key": ["{\"kty\": \"oct\", \"k\": \"s3cret\"}"]}`, "decryption_key: key 1 holds a"},
		{"a decryption key without its armour", `{"decryption_key": ["MIIEvQs3cret"]}`, "decryption_key: key 1: is neither PEM"},
		{"a decryption key twice", `{"decryption_key": ["{env.OIDC_FILES}/key.pem", "{file.{env.OIDC_FILES}/key.pem}"]}`, "decryption_key: "},
		{"tenants without a place for the metadata", `{"issuer": "https://login.example.com/{tenantid}/v2.0"}`, "configuration_url must be named as well"},
		{"tenants as a host", `{"issuer": "https://{tenantid}.example.com", "configuration_url": "https://login.example.com/x"}`, "issuer: "},
		{"keys that are no document", `{"jwks": "keys"}`, "jwks: "},
		{"keys that are an empty set", `{"jwks": "{\"keys\": []}"}`, "jwks: none of the 0 keys"},
		{"keys that are private", `{"jwks": "{\"keys\": [{\"kty\": \"oct\", \"k\": \"s3cret\"}]}"}`, "jwks: none of the 1 keys"},
		{"keys twice", `{"jwks": "{\"keys\": []}", "jwks_uri": "https://login.example.com/keys"}`, "jwks and jwks_uri exclude each other"},
		{"userinfo of an unknown kind", `{"userinfo": "sometimes"}`, `userinfo: "sometimes" is none of auto, always, never`},
		{"a response mode of another flow", `{"response_mode": "fragment"}`, `response_mode: "fragment" is none of query, form_post, jwt, query.jwt, form_post.jwt`},
		{"DPoP of an unknown kind", `{"dpop": "always"}`, `dpop: "always" is none of auto, on, off`},
		{"a key for DPoP of an unknown kind", `{"dpop": "on", "dpop_key": "login"}`, `dpop_key: "login" is none of session, process`},
		{"proofs of DPoP by an unknown algorithm", `{"dpop": "on", "dpop_alg": "RS256"}`, `dpop_alg: "RS256" is none of ES256, EdDSA`},
		{"a key for DPoP without DPoP", `{"dpop_key": "process"}`, "dpop: key and alg are for dpop on and dpop auto"},
		{"a negative clock skew", `{"clock_skew": "-1s"}`, "clock_skew: must be from 0 to 10m0s"},
		{"a clock skew that would switch expiry off", `{"clock_skew": "1h"}`, "clock_skew: must be from 0 to 10m0s"},
		{"userinfo by another method", `{"userinfo_method": "put"}`, `userinfo_method: "put" is none of get, post`},
		{"an access token that lasts for ever", `{"access_token_lifetime": "10000h"}`, "access_token_lifetime: must be from 1s to 9600h0m0s"},
		{"a negative timeout", `{"timeout": "-1s"}`, "timeout: must not be negative"},
		{"a redirect path that is no path", `{"redirect_path": "callback"}`, `redirect_path: "callback" is not a path`},
		{"a redirect path that is a host", `{"redirect_path": "//evil.example"}`, "redirect_path: "},
		{"a redirect path with a query", `{"redirect_path": "/callback?x=1"}`, "redirect_path: "},
		{"a redirect path that is the whole site", `{"redirect_path": "/"}`, "redirect_path: "},
		{"a proxy that is no URL", `{"proxy": "user:s3cret"}`, "proxy: is not a URL"},
		{"a certificate authority that is not there", `{"tls": {"ca": ["{env.OIDC_FILES}/not-there.pem"]}}`, "tls ca: "},
		{"a certificate authority in an unset place", `{"tls": {"ca": ["{env.OIDC_NOT_SET}/ca.pem"]}}`, "tls ca: {env.OIDC_NOT_SET} is empty"},
		{"a certificate authority without a certificate", `{"tls": {"ca": ["{env.OIDC_FILES}/empty.pem"]}}`, "empty.pem is empty"},
		{"a client certificate without its key", `{"tls": {"client_certificate": "{env.OIDC_FILES}/cert.pem"}}`, "tls client_certificate: "},
		{"a client key without its certificate", `{"tls": {"client_key": "{env.OIDC_FILES}/key.pem"}}`, "tls client_certificate: "},
		{"a client certificate that is a key", `{"tls": {"client_certificate": "{env.OIDC_FILES}/key.pem", "client_key": "{env.OIDC_FILES}/key.pem"}}`, "tls client_certificate: "},
		{"an option that does not exist", `{"isuer": "https://login.example.com"}`, "isuer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Run("as a provider of a site", func(t *testing.T) {
				mustRefuse(t, configOf(soundApp, soundSite(over(t, soundProvider, tc.patch))), tc.cause)
			})
			t.Run("as a shared provider", func(t *testing.T) {
				app := `{"providers": {"a": ` + soundProvider + `, "z": ` + over(t, soundProvider, tc.patch) + `}}`
				mustRefuse(t, configOf(app, `{"handler": "oidc_rp", "providers": ["a"]}`), tc.cause)
			})
		})
	}
}

func TestSitesThatCannotWorkAreRefused(t *testing.T) {
	operatorsFiles(t)
	withPath := func(id, path string) string {
		return `"` + id + `": ` + strings.Replace(soundProvider, "{", `{"redirect_path": "`+path+`", `, 1)
	}
	short, long := "short s3cret", strings.Repeat("a long s3cret ", 4)
	for _, tc := range []struct{ name, app, patch, cause string }{
		// providers
		{"no provider", `{"providers": null}`, `{"own_providers": null}`, "no provider is configured"},
		{"several shared providers and none named", `{"providers": {"a": ` + soundProvider + `, "b": ` + soundProvider + `}}`, `{"own_providers": null}`, "there are several shared providers (a, b): name those of this site"},
		{"a default provider of another site", "", `{"default_provider": "corp"}`, "default_provider corp: is not a provider of this site"},
		{"a default provider that is not shared", `{"default_provider": "crop"}`, "", "default_provider crop: there is no such provider"},
		{"a provider that is not shared", "", `{"providers": ["crop"]}`, "provider crop: there is no shared provider of this name"},
		{"a provider twice", "", `{"providers": ["corp", "corp"]}`, "provider corp: is named twice"},
		{"an own provider with a shared id", "", `{"own_providers": {"corp": ` + soundProvider + `}}`, "provider corp: a shared provider has this id"},
		{"an own provider with the reserved id beside others", "", `{"providers": ["corp"], "default_provider": "corp"}`, "provider default: the id is reserved"},
		{"an own provider with an id that no address can hold", "", `{"own_providers": {"a/b": ` + soundProvider + `}}`, `"a/b": an id is made of letters`},
		{"an own provider without an id", "", `{"own_providers": {"": ` + soundProvider + `}}`, "an id has 1 to 64 characters"},
		{"an own provider that is null", "", `{"own_providers": {"one": null}}`, "provider one: is null"},
		{"a shared provider that is null", `{"providers": {"one": null}}`, "", "provider one: is null"},
		// addresses
		{"two providers with one redirect path", "", `{"default_provider": "one", "own_providers": {` + withPath("one", "/cb") + `, ` + withPath("two", "/cb") + `}}`, "redirect_path is that of provider"},
		{"a redirect path under the endpoints", "", `{"own_providers": {` + withPath("one", "/@app/auth/other/code") + `}}`, "provider one: redirect_path is one of our own addresses"},
		{"a redirect path that is the logout path", "", `{"logout_path": "/cb", "own_providers": {` + withPath("one", "/cb") + `}}`, "provider one: redirect_path is one of our own addresses"},
		{"a redirect path that is the home page", "", `{"home": "/cb", "own_providers": {` + withPath("one", "/cb") + `}}`, "provider one: redirect_path is one of our own addresses"},
		{"a home without a slash", "", `{"home": "start"}`, `home: "start" is not a path`},
		{"a home on another host", "", `{"home": "//evil.example"}`, "home: "},
		{"a home that a browser takes for another host", "", `{"home": "/\\evil.example"}`, "home: "},
		{"a home with a placeholder", "", `{"home": "/{http.request.uri.query.x}"}`, "home: "},
		{"endpoints without a slash", "", `{"endpoints": "auth"}`, `endpoints: "auth" is not a path`},
		{"endpoints everywhere", "", `{"endpoints": "/"}`, "endpoints: "},
		{"endpoints with a slash at the end", "", `{"endpoints": "/auth/"}`, "endpoints: "},
		{"endpoints with an escape", "", `{"endpoints": "/a%75th"}`, "endpoints: "},
		{"endpoints that no browser would send", "", `{"endpoints": "/a/../b"}`, "endpoints: "},
		{"a logout path with a query", "", `{"logout_path": "/wiki?logout"}`, "logout_path: "},
		{"a logout path under the endpoints", "", `{"logout_path": "/@app/auth/logout"}`, "logout_path: is under the endpoints"},
		{"a base URL with a path", "", `{"base_url": "https://app.example.com/app"}`, "base_url: "},
		{"a base URL without a scheme", "", `{"base_url": "app.example.com"}`, "base_url: "},
		{"a base URL from an unset variable", "", `{"base_url": "https://{env.OIDC_NOT_SET}"}`, "base_url: {env.OIDC_NOT_SET} is empty"},
		{"a return address with a path", "", `{"return_to": ["https://a.example", "https://b.example/b"]}`, "return_to: "},
		{"a return address that is a pattern", "", `{"return_to": ["https://*.example"]}`, "return_to: "},
		{"a reader of the session from an unset variable", "", `{"session_endpoint": {"origins": ["https://{env.OIDC_NOT_SET}"]}}`, "session_endpoint: origin: {env.OIDC_NOT_SET} is empty"},
		{"a reader of the session over plain HTTP, by a variable", "", `{"session_endpoint": {"origins": ["http://{env.OIDC_HOST}"]}}`, "session_endpoint: origin: only https"},
		{"a reader of the session that is a pattern", "", `{"session_endpoint": {"origins": ["https://*.example"]}}`, "session_endpoint: origin: "},
		{"a claim of the session with an empty part", "", `{"session_endpoint": {"claims": ["a..b"]}}`, "session_endpoint: claims: 'a..b': "},
		{"a return address from an unset variable", "", `{"return_to": ["https://{env.OIDC_NOT_SET}"]}`, "return_to: {env.OIDC_NOT_SET} is empty"},
		{"a signed-out address that is none", "", `{"signed_out": "www.example.com"}`, "signed_out: "},
		{"a signed-out address that is script", "", `{"signed_out": "javascript:alert(1)"}`, "signed_out: "},
		{"a signed-out address with a space", "", `{"signed_out": "https://www.example.com/good bye"}`, "signed_out: "},
		{"a signed-out address from an unset variable", "", `{"signed_out": "https://{env.OIDC_NOT_SET}"}`, "signed_out: {env.OIDC_NOT_SET} is empty"},
		// words
		{"an unknown mode", "", `{"mode": "protected"}`, `mode: "protected" is none of private, public, endpoints`},
		{"an unknown way with unauthenticated requests", "", `{"unauthenticated": "login"}`, `unauthenticated: "login" is none of`},
		{"an unknown way with preflights", "", `{"preflight": "allow"}`, `preflight: "allow" is none of`},
		{"site data of no type", "", `{"clear_site_data": ["everything"]}`, `clear_site_data: "everything" is none of`},
		{"site data twice", "", `{"clear_site_data": ["cache", "cache"]}`, "clear_site_data: cache appears twice"},
		{"all site data and more", "", `{"clear_site_data": ["*", "cache"]}`, "clear_site_data: * is all of them"},
		{"unknown error pages", "", `{"error_pages": "own"}`, `error_pages: "own" is none of`},
		// routes
		{"a route without a matcher", "", `{"routes": [{"mode": "public"}]}`, "routes: a route needs at least one matcher"},
		{"a route with an empty matcher", "", `{"routes": [{"mode": "public", "match": [{"path": ["/a"]}, {}]}]}`, "routes: a route needs at least one matcher"},
		{"a route with an unknown matcher", "", `{"routes": [{"mode": "public", "match": [{"paths": ["/a"]}]}]}`, "http.matchers.paths"},
		{"a route with a broken matcher", "", `{"routes": [{"mode": "public", "match": [{"path_regexp": {"pattern": "("}}]}]}`, "path_regexp"},
		{"a route without a mode", "", `{"routes": [{"match": [{"path": ["/a"]}]}]}`, `routes: mode: "" is none of private, public`},
		{"a route that only serves endpoints", "", `{"routes": [{"mode": "endpoints", "match": [{"path": ["/a"]}]}]}`, "routes: mode: "},
		{"a route with an unknown way with unauthenticated requests", "", `{"routes": [{"mode": "private", "unauthenticated": "login", "match": [{"path": ["/a"]}]}]}`, "routes: unauthenticated: "},
		{"a public route that demands a login", "", `{"routes": [{"mode": "public", "unauthenticated": "deny", "match": [{"path": ["/a"]}]}]}`, "unauthenticated has no effect on a public route"},
		{"a route that is null", "", `{"routes": [null]}`, "routes: a route is null"},
		{"an unknown matcher of the guard", "", `{"match": [{"paths": ["/a"]}]}`, "http.matchers.paths"},
		{"endpoints with a matcher", "", `{"mode": "endpoints", "match": [{"path": ["/a"]}]}`, "endpoints guards nothing"},
		{"endpoints with routes", "", `{"mode": "endpoints", "routes": [{"mode": "public", "match": [{"path": ["/a"]}]}]}`, "endpoints guards nothing"},
		{"endpoints with upstream", "", `{"mode": "endpoints", "upstream": {"access_token": "Authorization"}}`, "endpoints guards nothing"},
		// sessions
		{"a lifetime that is too short", "", `{"session": {"lifetime": "59s"}}`, "session: lifetime is from one minute to 400 days"},
		{"a lifetime that is too long", "", `{"session": {"lifetime": "401d"}}`, "session: lifetime is from one minute to 400 days"},
		{"a negative lifetime", "", `{"session": {"lifetime": "-12h"}}`, "session: lifetime is from one minute to 400 days"},
		{"a shared lifetime that is too short", `{"session": {"lifetime": "59s"}}`, "", "session: lifetime is from one minute to 400 days"},
		{"an idle timeout that is too short", "", `{"session": {"idle_timeout": "1s"}}`, "session: idle_timeout is off or at least one minute"},
		{"a negative idle timeout", "", `{"session": {"idle_timeout": "-1h"}}`, "session: idle_timeout is off or at least one minute"},
		{"keys that rotate too often", "", `{"session": {"rotate": "1m"}}`, "session: rotate is at least one hour"},
		{"too many cookies", "", `{"session": {"max_chunks": 5}}`, "session: max_chunks is from 1 to 4"},
		{"a negative number of cookies", "", `{"session": {"max_chunks": -1}}`, "session: max_chunks is from 1 to 4"},
		{"a secret that is too short", "", `{"session": {"secret": ["` + short + `"]}}`, "session: secret: a secret needs at least 32 bytes"},
		{"a second secret that is too short", "", `{"session": {"secret": ["` + long + `", "` + short + `"]}}`, "session: secret: a secret needs at least 32 bytes"},
		{"a secret that is too short in the environment", "", `{"session": {"secret": ["{env.OIDC_CLIENT_SECRET}"]}}`, "session: secret: a secret needs at least 32 bytes"},
		{"a secret from an unset variable", "", `{"session": {"secret": ["{env.OIDC_NOT_SET}"]}}`, "session: secret: {env.OIDC_NOT_SET} is empty"},
		{"an empty list of secrets", "", `{"session": {"secret": []}}`, "session: secret: "},
		{"a cookie name with a space", "", `{"session": {"cookie": {"name": "a b"}}}`, `session: cookie: the name "a b"`},
		{"a cookie name with a semicolon", "", `{"session": {"cookie": {"name": "a;domain=x"}}}`, "session: cookie: the name"},
		{"a cookie name with a prefix", "", `{"session": {"cookie": {"name": "__Host-a"}}}`, "session: cookie: the prefix"},
		{"a cookie name that is too long", "", `{"session": {"cookie": {"name": "` + strings.Repeat("a", 65) + `"}}}`, "session: cookie: the name"},
		{"a cookie domain that is a URL", "", `{"session": {"cookie": {"domain": "https://example.com"}}}`, "session: cookie: domain"},
		{"a cookie domain with a port", "", `{"session": {"cookie": {"domain": "example.com:8443"}}}`, "session: cookie: domain"},
		{"a cookie domain with attributes", "", `{"session": {"cookie": {"domain": "example.com; secure"}}}`, "session: cookie: domain"},
		{"a strict cookie", "", `{"session": {"cookie": {"same_site": "strict"}}}`, "same_site strict would loop"},
		{"a cookie of an unknown kind", "", `{"session": {"cookie": {"same_site": "Lax"}}}`, `cookie: same_site: "Lax" is none of lax, none`},
		{"an insecure cookie for other sites", "", `{"session": {"cookie": {"insecure": true, "same_site": "none"}}}`, "insecure excludes them"},
		{"an insecure partitioned cookie", "", `{"session": {"cookie": {"insecure": true, "partitioned": true}}}`, "insecure excludes them"},
		{"a store without a module", "", `{"session": {"store": {"max_records": 5}}}`, "session: store: it is an object that names its module"},
		{"a store that is a word", `{"session": {"store": "memory"}}`, "", "session: store: it is an object that names its module"},
		{"a store that does not exist", "", `{"session": {"store": {"module": "shoebox"}}}`, "unknown module: oidc_rp.session_stores.shoebox"},
		{"cookies with an option", "", `{"session": {"store": {"module": "cookie", "max_records": 5}}}`, `session: store: cookie: json: unknown field "max_records"`},
		{"a store with an option that it has not", "", `{"session": {"store": {"module": "memory", "shelves": 5}}}`, `unknown field "shelves"`},
		{"a store that refuses its options", "", `{"session": {"store": {"module": "memory", "max_records": -1}}}`, "max_records: -1 is less than 1"},
		// upstream
		{"a header without a name", "", `{"upstream": {"headers": {"": "sub"}}}`, "is not a header name"},
		{"a header with a space", "", `{"upstream": {"headers": {"X User": "sub"}}}`, `"X User" is not a header name`},
		{"a header in another case", "", `{"upstream": {"headers": {"x-user": "sub"}}}`, "header x-user is written X-User"},
		{"a header that is not ours", "", `{"upstream": {"headers": {"Connection": "sub"}}}`, "the header Connection is not ours to set"},
		{"a header without a value", "", `{"upstream": {"headers": {"X-User": ""}}}`, "the header X-User has no value"},
		{"a header in two spellings", "", `{"upstream": {"headers": {"X-User": "sub", "X_user": "email"}}}`, "is set twice"},
		{"both tokens in one header", "", `{"upstream": {"access_token": "X-Token", "id_token": "X-Token"}}`, "the header X-Token is set twice"},
		// application
		{"programs without credentials", "", `{"application": {}}`, "application: nothing is accepted"},
		{"a header for keys without keys", "", `{"application": {"headers": ["X-Api-Key"]}}`, "needs access_keys"},
		{"basic without keys", "", `{"application": {"basic": true}}`, "needs access_keys"},
		{"a file of keys that is not there", "", `{"application": {"access_keys": "{env.OIDC_FILES}/none.txt"}}`, "application: access_keys: "},
		{"a file of keys that is a folder", "", `{"application": {"access_keys": "{env.OIDC_FILES}"}}`, "is not a regular file"},
		{"a file of keys from an unset variable", "", `{"application": {"access_keys": "{env.OIDC_NOT_SET}"}}`, "application: access_keys: {env.OIDC_NOT_SET} is empty"},
		{"a header for keys in another case", "", `{"application": {"access_keys": "{env.OIDC_FILES}/keys.txt", "headers": ["x-api-key"]}}`, "header: x-api-key is written X-Api-Key"},
		{"a header for keys that frames requests", "", `{"application": {"access_keys": "{env.OIDC_FILES}/keys.txt", "headers": ["Content-Type"]}}`, "an access key cannot be in Content-Type"},
		{"a header for keys that upstream sets", "", `{"upstream": {"headers": {"X-User": "sub"}}, "application": {"access_keys": "{env.OIDC_FILES}/keys.txt", "headers": ["X_user"]}}`, "X_user is a header of upstream"},
		{"programs where nothing is guarded", "", `{"mode": "endpoints", "application": {"access_keys": "{env.OIDC_FILES}/keys.txt"}}`, "endpoints guards nothing: it takes no application"},
		{"a token in a header that is not ours", "", `{"upstream": {"id_token": "Cookie"}}`, "the header Cookie is not ours to set"},
		// pages
		{"pages that are not there", "", `{"pages": "{env.OIDC_FILES}/not-there"}`, "is not a folder"},
		{"pages that are a file", "", `{"pages": "{env.OIDC_FILES}/ca.pem"}`, "is not a folder"},
		{"pages in an unset place", "", `{"pages": "{env.OIDC_NOT_SET}"}`, "pages: {env.OIDC_NOT_SET} is empty"},
		{"a page that does not parse", "", `{"pages": "{env.OIDC_FILES}/unclosed"}`, "pages: error.html: "},
		{"a page that asks for what there is not", "", `{"pages": "{env.OIDC_FILES}/unknown"}`, "pages: confirm.html: "},
		{"an option that does not exist", "", `{"publik": true}`, "publik"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			site := soundSite(soundProvider)
			if tc.patch != "" {
				site = over(t, site, tc.patch)
			}
			mustRefuse(t, configOf(over(t, soundApp, tc.app), site), tc.cause)
		})
	}
}

// Rules in JSON need not come from a Caddyfile.
func TestRulesThatCannotWorkAreRefused(t *testing.T) {
	folder := operatorsFiles(t)
	for name, content := range map[string]string{"banned": "mallory-s3cret\neve\n", "domain": "not a s3cret domain\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct{ name, rules, cause string }{
		{"no values", `"require": [{"group": []}]`, "group needs at least one value"},
		{"null for values", `"require": [{"group": null}]`, "require: a rule is empty"},
		{"null", `"require": [null]`, "require: a rule is null"},
		{"an empty object", `"require": [{}]`, "a rule is an object with exactly one member"},
		{"two members", `"require": [{"group": ["a"], "user": ["b"]}]`, "a rule is an object with exactly one member"},
		{"a text", `"require": ["group a"]`, "a rule is an object with exactly one member"},
		{"an unknown member", `"require": [{"gruop": ["a"]}]`, "unrecognized rule"},
		{"a member in other letters", `"require": [{"Group": ["a"]}]`, "unrecognized rule"},
		{"a number", `"require": [{"group": [1]}]`, "cannot unmarshal number"},
		{"an empty value", `"require": [{"group": [""]}]`, "group: a value is empty"},
		{"a value twice", `"require": [{"group": ["a", "a"]}]`, `group: "a" appears twice`},
		{"any_user that is false", `"require": [{"any_user": false}]`, "a rule is empty"},
		{"a claim without a path", `"require": [{"claim": {"values": ["a"]}}]`, "claim needs a claim path"},
		{"a claim with an unknown member", `"require": [{"claim": {"path": "a", "value": "b"}}]`, "value"},
		{"a claim with no values in a list", `"require": [{"claim": {"path": "a", "values": []}}]`, "the list of values is empty"},
		{"max_age that is not a duration", `"require": [{"max_age": "soon"}]`, "soon"},
		{"max_age that is negative", `"require": [{"max_age": "-5m"}]`, "max_age needs a duration above zero"},
		{"any without rules", `"require": [{"any": []}]`, "any is empty"},
		{"any inside of any", `"require": [{"any": [{"any": [{"group": ["a"]}]}]}]`, "any cannot be inside of any"},
		{"null inside of any", `"require": [{"any": [null]}]`, "any: a rule is null"},
		{"deny of any", `"deny": [{"any": [{"group": ["a"]}]}]`, "unrecognized rule"},
		{"deny of acr", `"deny": [{"acr": ["a"]}]`, "deny does not take acr"},
		{"deny of max_age", `"deny": [{"max_age": "5m"}]`, "deny does not take max_age"},
		{"a profile that is none", `"require": [{"profile": "staff"}]`, `there is no profile "staff"`},
		{"an expression that is empty", `"require": [{"expression": ""}]`, "a rule is empty"},
		{"a placeholder of the request", `"require": [{"user": ["{http.request.header.X-User}"]}]`, "{env.NAME} and {file./path} alone"},
		{"a placeholder without an end", `"deny": [{"user": ["{env.OIDC_FILES"]}]`, "{env.NAME} and {file./path} alone"},
		{"a variable that is not set", `"deny": [{"user": ["{env.OIDC_NOT_SET}"]}]`, "{env.OIDC_NOT_SET} is empty"},
		{"a file with several lines", `"deny": [{"user": ["{file.` + folder + `/banned}"]}]`, "stands for several lines"},
		{"a file with something else", `"require": [{"email_domain": ["{file.` + folder + `/domain}"]}]`, "is not a domain in ASCII"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mustRefuse(t, configOf(soundApp, over(t, soundSite(soundProvider), "{"+tc.rules+"}")), tc.cause)
		})
	}
}
