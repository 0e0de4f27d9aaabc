package op

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const tokenIssuer = "https://op.example"

// tokenTime is the current time in these tests.
var tokenTime = time.Unix(1_800_000_000, 0)

// goodToken has the claims of an access token according to RFC 9068.
const goodToken = `{"iss":"https://op.example","sub":"u-1","aud":"api","exp":1800000300,"iat":1799999990,"client_id":"cli","jti":"j","scope":"read write","auth_time":1799999000,"acr":"gold"}`

// tokenVerifier returns a verifier with the keys of these tests.
func tokenVerifier(t testing.TB, change func(*AccessTokens, *DiscoveryConfig)) *AccessTokens {
	t.Helper()
	config := DiscoveryConfig{Issuer: tokenIssuer, KeysOnly: true, JWKS: keySetOf(member(t, "p256", ""), member(t, "rsa", "")), Now: func() time.Time { return tokenTime }, Timeout: time.Second}
	a := &AccessTokens{Audiences: []string{"api", "https://api.example/mcp"}, ClockSkew: time.Minute, Now: config.Now}
	if change != nil {
		change(a, &config)
	}
	a.Discovery = NewDiscovery(config)
	return a
}

// mint returns a token with the given header and claims, signed with the named test key.
// these tests.
func mint(t testing.TB, name, header, claims string) string {
	t.Helper()
	input := b64url(header) + "." + b64url(claims)
	alg := jose.ES256
	if name == "rsa" {
		alg = jose.RS256
	}
	return input + "." + b64url(string(signatureOf(t, name, alg, input)))
}

// with returns the claims of goodToken with some replaced or added.
func with(members string) string {
	o, err := parseObject([]byte(goodToken))
	if err != nil {
		panic(err)
	}
	changed, err := parseObject([]byte("{" + members + "}"))
	if err != nil {
		panic(err)
	}
	parts := []string{}
	for name, raw := range o {
		if _, there := changed[name]; !there {
			parts = append(parts, fmt.Sprintf("%q:%s", name, raw))
		}
	}
	for name, raw := range changed {
		parts = append(parts, fmt.Sprintf("%q:%s", name, raw))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// without returns the claims of goodToken without one of them.
func without(name string) string {
	o, err := parseObject([]byte(goodToken))
	if err != nil {
		panic(err)
	}
	parts := []string{}
	for other, raw := range o {
		if other != name {
			parts = append(parts, fmt.Sprintf("%q:%s", other, raw))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

const atJWT = `{"alg":"ES256","kid":"p256","typ":"at+jwt"}`

func reasonOf(err error) TokenReason {
	var bad *TokenError
	if errors.As(err, &bad) {
		return bad.Reason
	}
	return ""
}

func TestGoodAccessTokens(t *testing.T) {
	t.Parallel()
	anyType := func(a *AccessTokens, _ *DiscoveryConfig) { a.AnyType = true }
	for _, tc := range []struct {
		name, header, claims string
		change               func(*AccessTokens, *DiscoveryConfig)
	}{
		{"RFC 9068", atJWT, goodToken, nil},
		{"the long form of the type, in another case", `{"alg":"ES256","kid":"p256","typ":"APPLICATION/AT+JWT"}`, goodToken, nil},
		{"no kid", `{"alg":"ES256","typ":"at+jwt"}`, goodToken, nil},
		{"several audiences", atJWT, with(`"aud":["other","https://api.example/mcp"]`), nil},
		{"a fraction of a second", atJWT, with(`"exp":1800000300.5`), nil},
		{"no iat", atJWT, without("iat"), nil},
		{"expired within clock_skew", atJWT, with(`"exp":1799999950`), nil},
		{"issued in the future within clock_skew", atJWT, with(`"iat":1800000050`), nil},
		{"any type: JWT", `{"alg":"ES256","kid":"p256","typ":"JWT"}`, goodToken, anyType},
		{"any type: none", `{"alg":"ES256","kid":"p256"}`, goodToken, anyType},
		{"any type: a claim typ of access tokens", `{"alg":"ES256","kid":"p256","typ":"JWT"}`, with(`"typ":"Bearer"`), anyType},
		{"any type: at+jwt whose audience is a client id", atJWT, goodToken, func(a *AccessTokens, _ *DiscoveryConfig) {
			a.AnyType, a.IsClientID = true, func(audience string) bool { return audience == "api" }
		}},
		{"any type: a second audience that is no client id", `{"alg":"ES256","kid":"p256","typ":"JWT"}`, with(`"aud":["api","https://api.example/mcp"]`), func(a *AccessTokens, _ *DiscoveryConfig) {
			a.AnyType, a.IsClientID = true, func(audience string) bool { return audience == "api" }
		}},
		{"a tenant", atJWT, with(`"iss":"https://login.microsoftonline.com/` + tenantA + `/v2.0","tid":"` + tenantA + `"`), func(a *AccessTokens, c *DiscoveryConfig) {
			c.Issuer, a.Tenants = microsoft+TenantPart+"/v2.0", []string{tenantA}
		}},
	} {
		_, err := tokenVerifier(t, tc.change).Verify(t.Context(), mint(t, "p256", tc.header, tc.claims))
		if err != nil {
			t.Errorf("%s: expected that it is accepted, seen %v", tc.name, err)
		}
	}
}

// Each row is a token with one flaw.
func TestHostileAccessTokens(t *testing.T) {
	t.Parallel()
	anyType := func(a *AccessTokens, _ *DiscoveryConfig) { a.AnyType = true }
	isClient := func(a *AccessTokens, _ *DiscoveryConfig) {
		a.AnyType, a.IsClientID = true, func(audience string) bool { return audience == "api" }
	}
	tenants := func(a *AccessTokens, c *DiscoveryConfig) {
		c.Issuer, a.Tenants = microsoft+TenantPart+"/v2.0", []string{tenantA}
	}
	header := func(members string) string { return `{"kid":"p256","typ":"at+jwt",` + members + `}` }
	typ := func(typ string) string { return `{"alg":"ES256","kid":"p256","typ":` + typ + `}` }
	es256 := `"alg":"ES256"`
	for _, tc := range []struct {
		name, header, claims string
		reason               TokenReason
		change               func(*AccessTokens, *DiscoveryConfig)
	}{
		// The header.
		{"alg none", header(`"alg":"none"`), goodToken, ReasonAlgorithm, nil},
		{"alg None, in another case", header(`"alg":"None"`), goodToken, ReasonAlgorithm, nil},
		{"alg HS256, with the public key as its secret", header(`"alg":"HS256"`), goodToken, ReasonAlgorithm, nil},
		{"alg HS512, which Keycloak's refresh tokens have", header(`"alg":"HS512"`), goodToken, ReasonAlgorithm, nil},
		{"alg HS256 although the configuration names it", header(`"alg":"HS256"`), goodToken, ReasonAlgorithm, func(a *AccessTokens, _ *DiscoveryConfig) { a.Algs = []string{"HS256"} }},
		{"an algorithm that the configuration does not name", header(es256), goodToken, ReasonAlgorithm, func(a *AccessTokens, _ *DiscoveryConfig) { a.Algs = []string{"RS256"} }},
		{"alg of another kind of key", header(`"alg":"RS256"`), goodToken, ReasonSignature, nil},
		{"alg es256, in another case", header(`"alg":"es256"`), goodToken, ReasonAlgorithm, nil},
		{"no alg", `{"typ":"at+jwt"}`, goodToken, ReasonAlgorithm, nil},
		{"alg is a list", header(`"alg":["ES256"]`), goodToken, ReasonAlgorithm, nil},
		{"alg twice", header(es256 + `,"alg":"none"`), goodToken, ReasonMalformed, nil},
		{"crit", header(es256 + `,"crit":["exp"],"exp":1`), goodToken, ReasonCritical, nil},
		{"crit that is null", header(es256 + `,"crit":null`), goodToken, ReasonCritical, nil},
		{"an unencoded payload", header(es256 + `,"b64":false`), goodToken, ReasonCritical, nil},
		{"a compressed payload", header(es256 + `,"zip":"DEF"`), goodToken, ReasonCritical, nil},
		{"a header of an encrypted token", header(es256 + `,"enc":"A256GCM"`), goodToken, ReasonEncrypted, nil},
		{"a kid of no key", `{"alg":"ES256","kid":"other","typ":"at+jwt"}`, goodToken, ReasonSignature, nil},
		{"a key set of its own in the header", `{"alg":"ES256","kid":"x","typ":"at+jwt","jku":"https://evil.example/jwks"}`, goodToken, ReasonSignature, nil},
		{"a header that is a list", `["alg","ES256"]`, goodToken, ReasonMalformed, nil},
		{"a header with something after it", atJWT + " x", goodToken, ReasonMalformed, nil},
		// The kind of token.
		{"typ JWT", typ(`"JWT"`), goodToken, ReasonType, nil},
		{"no typ", `{"alg":"ES256","kid":"p256"}`, goodToken, ReasonType, nil},
		{"typ null", typ(`null`), goodToken, ReasonType, nil},
		{"a typ that is no text", typ(`5`), goodToken, ReasonType, anyType},
		{"typ of a logout token", typ(`"logout+jwt"`), goodToken, ReasonType, anyType},
		{"typ of a DPoP proof", typ(`"dpop+jwt"`), goodToken, ReasonType, anyType},
		{"typ of an introspection response", typ(`"token-introspection+jwt"`), goodToken, ReasonType, anyType},
		{"typ of a request object", typ(`"oauth-authz-req+jwt"`), goodToken, ReasonType, anyType},
		{"typ with a space", typ(`"at+jwt "`), goodToken, ReasonType, anyType},
		{"an ID token: nonce", typ(`"JWT"`), with(`"nonce":"n"`), ReasonKind, anyType},
		{"an ID token: a nonce that is null", typ(`"JWT"`), with(`"nonce":null`), ReasonKind, anyType},
		{"an ID token: at_hash", typ(`"JWT"`), with(`"at_hash":"x"`), ReasonKind, anyType},
		{"an ID token: c_hash", typ(`"JWT"`), with(`"c_hash":"x"`), ReasonKind, anyType},
		{"an ID token: s_hash", `{"alg":"ES256","kid":"p256"}`, with(`"s_hash":"x"`), ReasonKind, anyType},
		{"an ID token of Keycloak", typ(`"JWT"`), with(`"typ":"ID"`), ReasonKind, anyType},
		{"an ID token of Amazon Cognito", typ(`"JWT"`), with(`"token_use":"id"`), ReasonKind, anyType},
		{"a refresh token of Keycloak", typ(`"JWT"`), with(`"typ":"Refresh"`), ReasonKind, anyType},
		{"an offline token of Keycloak", typ(`"JWT"`), with(`"typ":"Offline"`), ReasonKind, anyType},
		{"a logout token of Keycloak", typ(`"JWT"`), with(`"typ":"Logout"`), ReasonKind, anyType},
		{"a claim typ in another case", typ(`"JWT"`), with(`"typ":"REFRESH"`), ReasonKind, anyType},
		{"a claim typ that is a list", typ(`"JWT"`), with(`"typ":["ID"]`), ReasonKind, anyType},
		{"a logout token: events", typ(`"JWT"`), with(`"events":{}`), ReasonKind, anyType},
		{"an ID token for a client of ours", typ(`"JWT"`), goodToken, ReasonAudienceIsClient, isClient},
		{"an ID token for a client that is called like the resource", typ(`"JWT"`), with(`"aud":"https://site.example"`), ReasonAudienceIsClient, func(a *AccessTokens, _ *DiscoveryConfig) {
			isSite := func(audience string) bool { return audience == "https://site.example" }
			a.AnyType, a.IsClientID, a.IsResource = true, isSite, isSite
		}},
		{"bound to a DPoP key", atJWT, with(`"cnf":{"jkt":"x"}`), ReasonBound, nil},
		{"bound to a certificate", atJWT, with(`"cnf":{"x5t#S256":"x"}`), ReasonBound, nil},
		{"a cnf that is null", atJWT, with(`"cnf":null`), ReasonBound, nil},
		// The issuer.
		{"another issuer", atJWT, with(`"iss":"https://evil.example"`), ReasonIssuer, nil},
		{"the issuer with a slash", atJWT, with(`"iss":"https://op.example/"`), ReasonIssuer, nil},
		{"the issuer in another case", atJWT, with(`"iss":"https://OP.example"`), ReasonIssuer, nil},
		{"no issuer", atJWT, without("iss"), ReasonIssuer, nil},
		{"the issuer in a list", atJWT, with(`"iss":["https://op.example"]`), ReasonIssuer, nil},
		{"iss twice", atJWT, `{"iss":"https://evil.example",` + goodToken[1:], ReasonMalformed, nil},
		{"the issuer of all tenants", atJWT, with(`"iss":"` + microsoft + TenantPart + `/v2.0"`), ReasonIssuer, tenants},
		{"the issuer of a tenant that is no tenant", atJWT, with(`"iss":"` + microsoft + `common/v2.0","tid":"common"`), ReasonIssuer, tenants},
		{"another tenant", atJWT, with(`"iss":"` + microsoft + tenantB + `/v2.0","tid":"` + tenantB + `"`), ReasonTenant, tenants},
		{"a tenant that the issuer is not of", atJWT, with(`"iss":"` + microsoft + tenantB + `/v2.0","tid":"` + tenantA + `"`), ReasonIssuer, tenants},
		{"no tenant", atJWT, with(`"iss":"` + microsoft + tenantA + `/v2.0"`), ReasonTenant, tenants},
		// The audience.
		{"no audience", atJWT, without("aud"), ReasonAudience, nil},
		{"another audience", atJWT, with(`"aud":"other-api"`), ReasonAudience, nil},
		{"an audience in another case", atJWT, with(`"aud":"API"`), ReasonAudience, nil},
		{"an audience that begins like ours", atJWT, with(`"aud":"api2"`), ReasonAudience, nil},
		{"our audience with a slash", atJWT, with(`"aud":"https://api.example/mcp/"`), ReasonAudience, nil},
		{"our audiences in one text", atJWT, with(`"aud":"api other"`), ReasonAudience, nil},
		{"an empty audience", atJWT, with(`"aud":""`), ReasonAudience, func(a *AccessTokens, _ *DiscoveryConfig) { a.Audiences = []string{""} }},
		{"no audience in a list", atJWT, with(`"aud":[]`), ReasonAudience, nil},
		{"audiences that are no texts", atJWT, with(`"aud":["api",5]`), ReasonAudience, nil},
		{"an audience that is an object", atJWT, with(`"aud":{"api":true}`), ReasonAudience, nil},
		{"the client is our audience", atJWT, with(`"aud":"account","client_id":"api","azp":"api"`), ReasonAudience, nil},
		// Times.
		{"no exp", atJWT, without("exp"), ReasonNoExpiry, nil},
		{"exp null", atJWT, with(`"exp":null`), ReasonNoExpiry, nil},
		{"exp as text", atJWT, with(`"exp":"1800000300"`), ReasonTimes, nil},
		{"exp that is not finite", atJWT, with(`"exp":1e400`), ReasonTimes, nil},
		{"exp beyond all numbers", atJWT, with(`"exp":1e300`), ReasonTimes, nil},
		{"exp true", atJWT, with(`"exp":true`), ReasonTimes, nil},
		{"expired", atJWT, with(`"exp":1799999940`), ReasonExpired, nil},
		{"exp in milliseconds of the past", atJWT, with(`"exp":-1800000300000`), ReasonExpired, nil},
		{"exp zero", atJWT, with(`"exp":0`), ReasonExpired, nil},
		{"issued in the future", atJWT, with(`"iat":1800000061`), ReasonNotYet, nil},
		{"iat as text", atJWT, with(`"iat":"1799999990"`), ReasonTimes, nil},
		{"not valid yet", atJWT, with(`"nbf":1800000061`), ReasonNotYet, nil},
		{"nbf as text", atJWT, with(`"nbf":"0"`), ReasonTimes, nil},
		{"auth_time as text", atJWT, with(`"auth_time":"1799999000"`), ReasonTimes, nil},
		// The subject.
		{"no sub", atJWT, without("sub"), ReasonSubject, nil},
		{"an empty sub", atJWT, with(`"sub":""`), ReasonSubject, nil},
		{"sub as a number", atJWT, with(`"sub":1`), ReasonSubject, nil},
		{"sub with a control character", atJWT, with(`"sub":"a\u0000b"`), ReasonSubject, nil},
		{"sub beyond ASCII", atJWT, with(`"sub":"älice"`), ReasonSubject, nil},
		{"a long sub", atJWT, with(`"sub":"` + strings.Repeat("a", 256) + `"`), ReasonSubject, nil},
		{"sub twice, in another spelling", atJWT, `{"s\u0075b":"admin",` + goodToken[1:], ReasonMalformed, nil},
		{"a client id as a list", atJWT, with(`"client_id":["cli"]`), ReasonSubject, nil},
		{"a client that a user has signed in as", atJWT, with(`"sub":"cli"`), ReasonSubject, nil},
		// Scopes.
		{"scopes as a number", atJWT, with(`"scope":7`), ReasonScope, nil},
		{"scopes as an object", atJWT, with(`"scope":{"admin":true}`), ReasonScope, nil},
		{"a scope with a space in a list", atJWT, with(`"scope":["read admin"]`), ReasonScope, nil},
		{"an empty scope in a list", atJWT, with(`"scope":[""]`), ReasonScope, nil},
		// The payload.
		{"claims that are a list", atJWT, `[1]`, ReasonMalformed, nil},
		{"claims that are no JSON", atJWT, `{"iss":`, ReasonMalformed, nil},
		{"claims with something after them", atJWT, goodToken + `{}`, ReasonMalformed, nil},
	} {
		_, err := tokenVerifier(t, tc.change).Verify(t.Context(), mint(t, "p256", tc.header, tc.claims))
		if got := reasonOf(err); got != tc.reason {
			t.Errorf("%s: expected the reason %s, seen %v", tc.name, tc.reason, err)
		}
	}
}

// These tokens are malformed as a whole.
func TestMisshapenAccessTokens(t *testing.T) {
	t.Parallel()
	good := mint(t, "p256", atJWT, goodToken)
	parts := strings.Split(good, ".")
	for name, tc := range map[string]struct {
		token  string
		reason TokenReason
	}{
		"empty":                       {"", ReasonMalformed},
		"one part":                    {parts[0], ReasonMalformed},
		"two parts":                   {parts[0] + "." + parts[1], ReasonMalformed},
		"four parts":                  {good + ".", ReasonMalformed},
		"a nested JWE":                {"eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00iLCJjdHkiOiJKV1QifQ.a.b.c.d", ReasonEncrypted},
		"no signature":                {parts[0] + "." + parts[1] + ".", ReasonSignature},
		"a signature of zeros":        {parts[0] + "." + parts[1] + "." + b64url(strings.Repeat("\x00", 64)), ReasonSignature},
		"a signature of another key":  {parts[0] + "." + parts[1] + "." + strings.Split(mint(t, "p256-b", atJWT, goodToken), ".")[2], ReasonSignature},
		"a key of its own":            {mint(t, "p256-b", `{"alg":"ES256","typ":"at+jwt","jwk":`+member(t, "p256-b", "")+`}`, goodToken), ReasonSignature},
		"other claims":                {parts[0] + "." + b64url(with(`"sub":"admin"`)) + "." + parts[2], ReasonSignature},
		"another header":              {b64url(`{"alg":"ES256","typ":"at+jwt"}`) + "." + parts[1] + "." + parts[2], ReasonSignature},
		"a header in standard base64": {"+/==." + parts[1] + "." + parts[2], ReasonMalformed},
		"more than 16 KiB":            {good + strings.Repeat("A", maxAccessToken), ReasonMalformed},
		"JSON serialization":          {`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, ReasonMalformed},
		"a line break":                {parts[0] + "\n." + parts[1] + "." + parts[2], ReasonMalformed},
	} {
		_, err := tokenVerifier(t, nil).Verify(t.Context(), tc.token)
		if got := reasonOf(err); got != tc.reason {
			t.Errorf("%s: expected the reason %s, seen %v", name, tc.reason, err)
		}
	}
}

// A token was issued to a user, or to the client itself.
func TestSubjectsOfAccessTokens(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, claims string
		isClient     bool
		client       string
	}{
		{"a user's", goodToken, false, "cli"},
		{"a user's, with azp", `{"sub":"u","azp":"cli"}`, false, "cli"},
		{"a client's: sub is client_id", `{"sub":"cli","client_id":"cli"}`, true, "cli"},
		{"a client's: sub is azp", `{"sub":"cli","azp":"cli"}`, true, "cli"},
		{"a client's of Okta", `{"sub":"cli","cid":"cli"}`, true, "cli"},
		{"a client's of Auth0", `{"sub":"cli@clients","azp":"cli","gty":"client-credentials"}`, true, "cli"},
		{"a user's of Auth0 who is called so", `{"sub":"cli@clients","azp":"cli"}`, false, "cli"},
		{"another client's name with Auth0's mark", `{"sub":"other@clients","azp":"cli","gty":"client-credentials"}`, false, "cli"},
		{"an application's of Entra ID", `{"sub":"oid","azp":"cli","idtyp":"app"}`, true, "cli"},
		{"a user's of Entra ID", `{"sub":"oid","azp":"cli","idtyp":"user"}`, false, "cli"},
		{"a service account's of Keycloak", `{"sub":"uuid","azp":"Cli","client_id":"Cli","preferred_username":"service-account-cli"}`, true, "Cli"},
		{"a user's of Keycloak who is called so", `{"sub":"uuid","azp":"cli","preferred_username":"service-account-cli","sid":"s"}`, false, "cli"},
		{"a user's of Keycloak who is called so, signed in at that client", `{"sub":"uuid","azp":"cli","client_id":"cli","preferred_username":"service-account-cli","sid":"s"}`, false, "cli"},
		{"no client", `{"sub":"u"}`, false, ""},
		{"sub is the client of another member", `{"sub":"x","client_id":"cli","azp":"x"}`, false, "cli"},
	} {
		claims, err := parseObject([]byte(tc.claims))
		if err != nil {
			t.Fatal(err)
		}
		token := new(AccessToken)
		if err := checkSubject(claims, token); err != nil {
			t.Errorf("%s: expected no error, seen %v", tc.name, err)
		}
		if token.IsClient != tc.isClient {
			t.Errorf("%s: expected that it is a client's: %v, seen %v", tc.name, tc.isClient, token.IsClient)
		}
		if token.Client != tc.client {
			t.Errorf("%s: expected the client %q, seen %q", tc.name, tc.client, token.Client)
		}
	}
}

func TestScopesOfAccessTokens(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ claims, want string }{
		{`{"scope":"read write"}`, "read,write"},
		{`{"scope":"  read   write "}`, "read,write"},
		{`{"scope":["read","write"]}`, "read,write"},
		{`{"scp":"read write"}`, "read,write"},
		{`{"scp":["read","write"]}`, "read,write"},
		{`{"scope":"read","scp":["admin"]}`, "read"},
		{`{"scope":""}`, ""},
		{`{"scope":null,"scp":"read"}`, "read"},
		{`{}`, ""},
	} {
		claims, err := parseObject([]byte(tc.claims))
		if err != nil {
			t.Fatal(err)
		}
		token := new(AccessToken)
		if err := checkScopes(claims, token); err != nil {
			t.Errorf("%s: expected no error, seen %v", tc.claims, err)
		}
		if got := strings.Join(token.Scopes, ","); got != tc.want {
			t.Errorf("%s: expected %q, seen %q", tc.claims, tc.want, got)
		}
	}
}

func FuzzAccessToken(f *testing.F) {
	good := mint(f, "p256", atJWT, goodToken)
	f.Add(good)
	f.Add(mint(f, "rsa", `{"alg":"RS256","kid":"rsa","typ":"at+jwt"}`, goodToken))
	f.Add(mint(f, "p256", `{"alg":"ES256","typ":"JWT"}`, with(`"nonce":"n"`)))
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add("eyJhbGciOiJub25lIn0." + b64url(goodToken) + ".")
	f.Add("a.b.c.d.e")
	verifiers := []*AccessTokens{
		tokenVerifier(f, nil),
		tokenVerifier(f, func(a *AccessTokens, _ *DiscoveryConfig) { a.AnyType = true }),
	}
	signed := map[string]bool{good: true}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, a := range verifiers {
			token, err := a.Verify(t.Context(), raw)
			switch {
			case err == nil && token.Expires.IsZero():
				t.Errorf("%q: expected that an accepted token expires", raw)
			case err == nil && !signed[raw] && !strings.Contains(raw, strings.Split(good, ".")[1]):
				t.Errorf("%q was accepted, and was not signed by a key of the issuer", raw)
			case err != nil && reasonOf(err) == "":
				t.Errorf("%q: expected a reason, seen %v", raw, err)
			case err != nil && len(err.Error()) > 2000:
				t.Errorf("%q: expected a short error, seen one of %d bytes", raw, len(err.Error()))
			}
		}
	})
}

func b64url(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// signatureOf returns a JWS signature of input (RFC 7515 5.1).
func signatureOf(t testing.TB, name string, alg jose.SignatureAlgorithm, input string) []byte {
	t.Helper()
	sum := sha256.Sum256([]byte(input))
	switch key := testKeys()[name].(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case *rsa.PrivateKey:
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	t.Fatalf("no signature with %s", alg)
	return nil
}
