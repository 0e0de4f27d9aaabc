package op

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// maxAccessToken is the maximum size in bytes of a JWT access token.
const maxAccessToken = 16 << 10

// AccessTokens verifies JWT access tokens of one issuer (RFC 9068). It is for
// resource servers: we need not be a client of the issuer. Its fields must not be
// changed after the first use.
type AccessTokens struct {
	// Discovery has the issuer's metadata and keys.
	Discovery *Discovery
	// Audiences are the names of this resource. A token must name one of them, or a
	// URL for which IsResource returns true.
	Audiences []string
	// IsResource reports whether an audience is the URL of a part of this site.
	// Such an audience is valid only there; see AccessToken.Resources. May be nil.
	IsResource func(audience string) bool
	// AnyType also accepts tokens whose typ is JWT or absent. Their claims are then
	// checked for signs of another kind of token.
	AnyType bool
	// Algs are the accepted signature algorithms; empty for all asymmetric ones.
	Algs []string
	// Tenants are the accepted tenants of an issuer that has several; empty for
	// all.
	Tenants   []string
	ClockSkew time.Duration
	// IsClientID reports whether an audience is the client id of one of our
	// clients. ID tokens have it as well, so that only the typ distinguishes them
	// from access tokens.
	IsClientID func(audience string) bool
	Now        func() time.Time
}

// AccessToken is a verified access token.
type AccessToken struct {
	Claims Claims
	// Expires is exp. It is zero if an introspection response has none.
	Expires time.Time
	// Issued is iat; zero if there is none.
	Issued time.Time
	// Client is the client that the token was issued to; empty if the token does
	// not say.
	Client string
	// IsClient reports whether the token is the client's own and involves no user.
	IsClient bool
	// Scopes are the granted scopes.
	Scopes []string
	// Resources are the URLs that the token is for, if none of its audiences is
	// valid for the whole site.
	Resources []string

	keys   *KeySet
	signer *jose.JSONWebKey // the first of the keys that the signature was verified with
}

// IsCurrent reports whether the issuer's keys are still those that the token was
// verified with.
func (t *AccessToken) IsCurrent() bool { return t.keys == nil || t.keys.first() == t.signer }

// Verify verifies a token. The error is a *TokenError if the token is not valid,
// and an *UnavailableError if that cannot be determined now.
//
// Checks that need no signature come first, so that made-up tokens cause no request
// to the issuer.
func (a *AccessTokens) Verify(ctx context.Context, raw string) (*AccessToken, error) {
	c := &accessTokenCheck{AccessTokens: a, now: a.Now()}
	jws, err := c.parse(raw)
	if err != nil {
		return nil, err
	}
	claims, err := parseObject(jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return nil, refused(ReasonMalformed, fmt.Errorf("it %w", err))
	}
	token, err := c.checkAll(claims)
	if err != nil {
		return nil, err
	}
	metadata, err := a.Discovery.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	if err := metadata.checkIssuerOf(claims); err != nil {
		return nil, refused(ReasonIssuer, err)
	}
	keys := a.Discovery.keys
	if _, err := keys.verify(ctx, jws); err != nil {
		return nil, signatureError(err)
	}
	token.keys, token.signer = keys, keys.first()
	return token, nil
}

// signatureError distinguishes wrong signatures from those that cannot be verified
// now.
func signatureError(err error) error {
	var unavailable *UnavailableError
	switch {
	case errors.As(err, &unavailable):
		return err
	case errors.Is(err, errNotLooked):
		return &UnavailableError{err, lookEvery}
	}
	return refused(ReasonSignature, err)
}

// accessTokenCheck checks one access token. It is pure.
type accessTokenCheck struct {
	*AccessTokens
	now time.Time
	// typed reports whether the typ is that of access tokens.
	typed bool
}

// parse parses a token and checks its header.
func (c *accessTokenCheck) parse(raw string) (*jose.JSONWebSignature, error) {
	if len(raw) > maxAccessToken {
		return nil, refusedf(ReasonMalformed, "it has more than %d bytes", maxAccessToken)
	}
	switch strings.Count(raw, ".") {
	case 2:
	case 4:
		return nil, refusedf(ReasonEncrypted, "it is encrypted")
	default:
		return nil, refusedf(ReasonMalformed, "it is not a signed token")
	}
	if strings.ContainsFunc(raw, isNotCompact) { // decoders skip line breaks
		return nil, refusedf(ReasonMalformed, "it has characters that no signed token has")
	}
	first, _, _ := strings.Cut(raw, ".")
	text, err := base64.RawURLEncoding.Strict().DecodeString(first)
	if err != nil {
		return nil, refusedf(ReasonMalformed, "its header is not encoded as base64url")
	}
	header, err := parseObject(text)
	if err != nil {
		return nil, refused(ReasonMalformed, fmt.Errorf("its header %w", err))
	}
	if err := c.checkHeader(header); err != nil {
		return nil, err
	}
	algs := c.algs()
	accepted := make([]jose.SignatureAlgorithm, len(algs))
	for i, alg := range algs {
		accepted[i] = jose.SignatureAlgorithm(alg)
	}
	jws, err := jose.ParseSignedCompact(raw, accepted)
	if err != nil {
		return nil, refusedf(ReasonMalformed, "it is not a readable signed token")
	}
	return jws, nil
}

// isNotCompact reports whether a character is not allowed in compact serialization
// (RFC 7515, section 7.1).
func isNotCompact(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
}

// algs returns the accepted algorithms. Symmetric ones are never accepted:
// verifiers could also sign.
func (c *accessTokenCheck) algs() []string {
	if len(c.Algs) == 0 {
		return asymmetric
	}
	return c.Algs
}

func (c *accessTokenCheck) checkHeader(header object) error {
	for _, name := range []string{"crit", "b64", "zip"} {
		if _, present := header[name]; present { // even if it is null
			return refusedf(ReasonCritical, "its header has the member %s", name)
		}
	}
	if _, nested := header["enc"]; nested {
		return refusedf(ReasonEncrypted, "it is encrypted")
	}
	alg, err := header.text("alg")
	if err != nil || !slices.Contains(c.algs(), alg) || Symmetric(alg) {
		return refused(ReasonAlgorithm, errors.Join(err, fmt.Errorf("it is signed with the algorithm %q, and accepted are %s", clip(alg), strings.Join(c.algs(), ", "))))
	}
	return c.checkType(header)
}

// checkType checks the typ in the header (RFC 9068, section 2.1; RFC 8725, section
// 3.11).
func (c *accessTokenCheck) checkType(header object) error {
	typ, err := header.text("typ")
	if err != nil {
		return refused(ReasonType, err)
	}
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "at+jwt":
		c.typed = true
		return nil
	case "jwt", "":
		if c.AnyType {
			return nil
		}
		return refusedf(ReasonType, "its typ is %q and not at+jwt; if the issuer's access tokens are like that, set typ any", clip(typ))
	}
	return refusedf(ReasonType, "it is a token of another kind, typ %q", clip(typ))
}

// checkAll checks the claims and returns the token.
func (c *accessTokenCheck) checkAll(claims object) (*AccessToken, error) {
	token := &AccessToken{Claims: Claims(claims)}
	for _, check := range []func(object, *AccessToken) error{
		c.checkKind, checkBound, c.checkIssuer, c.checkAudience, c.checkTimes, checkSubject, checkScopes,
	} {
		if err := check(claims, token); err != nil {
			return nil, err
		}
	}
	return token, nil
}

// foreignMembers are claims that access tokens do not have, and the kind of token
// that has them.
var foreignMembers = []struct{ name, kind string }{
	{"nonce", "an ID token"}, {"at_hash", "an ID token"}, {"c_hash", "an ID token"}, {"s_hash", "an ID token"},
	{"events", "a logout token or another security event"},
}

// foreignKinds are values of the claims typ (Keycloak) and token_use (Amazon
// Cognito, Ory Hydra) of other kinds of tokens.
var foreignKinds = []string{"id", "refresh", "offline", "logout", "id_token", "refresh_token"}

// checkKind refuses other kinds of tokens by their claims, if the header does not
// have the typ of access tokens.
func (c *accessTokenCheck) checkKind(claims object, _ *AccessToken) error {
	if c.typed {
		return nil
	}
	for _, foreign := range foreignMembers {
		if _, present := claims[foreign.name]; present { // even if it is null
			return refusedf(ReasonKind, "it has the claim %s, so it is %s", foreign.name, foreign.kind)
		}
	}
	return checkKindClaims(claims)
}

func checkKindClaims(claims object) error {
	for _, name := range []string{"typ", "token_use"} {
		kind, err := claims.text(name)
		if err != nil {
			return refused(ReasonKind, err)
		}
		if slices.Contains(foreignKinds, strings.ToLower(kind)) {
			return refusedf(ReasonKind, "its claim %s is %q", name, clip(kind))
		}
	}
	return nil
}

// checkBound refuses tokens that are bound to a key or a certificate (RFC 8705, RFC
// 9449), because proof of possession is not checked here.
func checkBound(claims object, _ *AccessToken) error {
	if _, present := claims["cnf"]; present { // even if it is null
		return refusedf(ReasonBound, "it is bound to a key of its client (cnf), and is accepted from no one as a plain bearer token")
	}
	return nil
}

// checkIssuer checks the issuer, as far as that is possible without metadata, and
// the tenant.
func (c *accessTokenCheck) checkIssuer(claims object, _ *AccessToken) error {
	issuer, err := claims.text("iss")
	if err != nil {
		return refused(ReasonIssuer, err)
	}
	if !c.Discovery.IsIssuer(issuer) {
		return refused(ReasonIssuer, notTheIssuer(issuer))
	}
	if err := (&idTokenCheck{tenants: c.Tenants}).checkTenant(claims); err != nil {
		return refused(ReasonTenant, err)
	}
	return nil
}

func (c *accessTokenCheck) checkAudience(claims object, token *AccessToken) error {
	named, err := claims.texts("aud", true)
	if err != nil {
		return refused(ReasonAudience, err)
	}
	ambiguous := ""
	for _, audience := range named {
		isOurs := slices.Contains(c.Audiences, audience)
		if audience == "" || !isOurs && (c.IsResource == nil || !c.IsResource(audience)) {
			continue
		}
		switch {
		case !c.typed && c.IsClientID != nil && c.IsClientID(audience):
			ambiguous = audience
		case isOurs:
			token.Resources = nil
			return nil
		default:
			token.Resources = append(token.Resources, audience)
		}
	}
	if len(token.Resources) > 0 {
		return nil
	}
	if ambiguous != "" {
		return refusedf(ReasonAudienceIsClient, "aud is %q, which is a client id, so that only the typ at+jwt tells it from an ID token", clip(ambiguous))
	}
	return refused(ReasonAudience, notAnAudience(named, c.Audiences))
}

// resourcesAmong returns the audiences that are URLs of this site.
func resourcesAmong(named []string, isResource func(string) bool) (resources []string) {
	for _, audience := range named {
		if isResource != nil && isResource(audience) {
			resources = append(resources, audience)
		}
	}
	return resources
}

func notAnAudience(named, accepted []string) error {
	return fmt.Errorf("aud is %q, and accepted are %s", clip(strings.Join(named, " ")), clip(strings.Join(accepted, " ")))
}

func (c *accessTokenCheck) checkTimes(claims object, token *AccessToken) error {
	if !claims.has("exp") {
		return refusedf(ReasonNoExpiry, "exp is missing")
	}
	return checkTokenTimes(claims, token, c.now, c.ClockSkew)
}

// checkTokenTimes checks exp, nbf and iat, as far as they are present.
func checkTokenTimes(claims object, token *AccessToken, now time.Time, skew time.Duration) error {
	expires, hasExpiry, err := claims.moment("exp")
	if err != nil {
		return refused(ReasonTimes, err)
	}
	if hasExpiry && !now.Before(expires.Add(skew)) {
		return refusedf(ReasonExpired, "it expired %s ago (clock_skew is %s)", now.Sub(expires).Round(time.Second), skew)
	}
	issued, _, err := claims.moment("iat")
	if err != nil {
		return refused(ReasonTimes, err)
	}
	if issued.After(now.Add(skew)) {
		return refusedf(ReasonNotYet, "it was issued %s in the future (clock_skew is %s)", issued.Sub(now).Round(time.Second), skew)
	}
	notBefore, _, err := claims.moment("nbf")
	if err != nil {
		return refused(ReasonTimes, err)
	}
	if notBefore.After(now.Add(skew)) {
		return refusedf(ReasonNotYet, "nbf is %s in the future (clock_skew is %s)", notBefore.Sub(now).Round(time.Second), skew)
	}
	if _, _, err := claims.moment("auth_time"); err != nil {
		return refused(ReasonTimes, err)
	}
	token.Expires, token.Issued = expires, issued
	return nil
}
