package op

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

const maxSubject = 255 // ASCII characters, Core 2

// VerifyIDToken verifies the ID token of a login (OpenID Connect Core 3.1.3.7) and
// returns its claims. go-oidc checks the form, the algorithm, the signature with
// our key set, the issuer and the audience; the rest is checked here, on the claims
// as they were sent. demands are those of the login's authorization request.
func (c *Client) VerifyIDToken(ctx context.Context, raw, nonce, accessToken string, demands Demands) (Claims, error) {
	return c.verifyIDToken(ctx, raw, idTokenCheck{nonce: nonce, accessToken: accessToken, demands: demands})
}

// verifyIDToken verifies an ID token with a check, which has what the token belongs
// to.
func (c *Client) verifyIDToken(ctx context.Context, raw string, check idTokenCheck) (Claims, error) {
	metadata, err := c.Discovery.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	if raw, err = c.open(raw); err != nil {
		return nil, tokenErrorf("%w", err)
	}
	algs := algorithms(c.Algs, metadata.IDTokenAlgs)
	if err := c.peekIDToken(raw, algs); err != nil {
		return nil, tokenErrorf("%w", err)
	}
	keys := &callKeys{client: c, algs: algs}
	verifier := oidc.NewVerifier(metadata.Issuer, keys, &oidc.Config{
		ClientID:             c.ClientID,
		SupportedSigningAlgs: algs,
		SkipExpiryCheck:      true, // checked below, with our clock skew
		SkipIssuerCheck:      true, // checked below, since an issuer may stand for many tenants
	})
	if _, err := verifier.Verify(ctx, raw); err != nil {
		var unavailable *UnavailableError
		if errors.As(keys.err, &unavailable) {
			return nil, tokenErrorf("its signature could not be checked: %w", unavailable)
		}
		if errors.Is(keys.err, errNotLooked) {
			return nil, tokenErrorf("%w", keys.err)
		}
		return nil, tokenErrorf("%w", err)
	}
	claims, err := parseObject(keys.payload)
	if err != nil {
		return nil, tokenErrorf("it %w", err)
	}
	check.metadata, check.clientID = metadata, c.ClientID
	check.audiences, check.tenants = c.Audiences, c.Tenants
	check.now, check.skew, check.header = c.Now(), c.ClockSkew, keys.header
	if err := check.checkAll(claims); err != nil {
		return nil, tokenErrorf("%w", err)
	}
	return Claims(claims), nil
}

// callKeys is the key set of one call. It keeps what go-oidc does not return.
type callKeys struct {
	client  *Client
	algs    []string
	header  jose.Header
	payload []byte
	err     error
}

func (k *callKeys) VerifySignature(ctx context.Context, raw string) ([]byte, error) {
	k.payload, k.err = k.verify(ctx, raw)
	return k.payload, k.err
}

func (k *callKeys) verify(ctx context.Context, raw string) ([]byte, error) {
	algs := make([]jose.SignatureAlgorithm, len(k.algs))
	for i, alg := range k.algs {
		algs[i] = jose.SignatureAlgorithm(alg)
	}
	jws, err := jose.ParseSignedCompact(raw, algs)
	if err != nil {
		return nil, err
	}
	k.header = jws.Signatures[0].Protected
	if Symmetric(k.header.Algorithm) {
		secret, err := k.client.secret()
		if err != nil {
			return nil, err
		}
		if secret == "" {
			return nil, errors.New("it is signed with a client secret, and there is none")
		}
		return jws.Verify([]byte(secret))
	}
	return k.client.Discovery.keys.verify(ctx, jws)
}

// idTokenCheck checks one ID token. It is pure.
type idTokenCheck struct {
	metadata        *Metadata
	clientID, nonce string
	// audiences and tenants are those of the Client.
	audiences, tenants []string
	now                time.Time
	skew               time.Duration
	header             jose.Header
	accessToken        string
	demands            Demands
	first              *First // for a refresh; from the login's ID token
}

func (c *idTokenCheck) checkAll(claims object) error {
	if c.first != nil && c.first.isFirst(claims) {
		// The login's token again. It may have expired, and its at_hash is that of the
		// first access token.
		for _, check := range []func(object) error{c.checkType, c.checkIssuerAndSubject, c.checkAudience, c.checkNonce} {
			if err := check(claims); err != nil {
				return err
			}
		}
		return errFirstAgain
	}
	for _, check := range []func(object) error{c.checkType, c.checkIssuerAndSubject, c.checkAudience, c.checkTimes, c.checkNonce, c.checkRequested, c.checkAccessTokenHash} {
		if err := check(claims); err != nil {
			return err
		}
	}
	return nil
}

// checkType refuses other kinds of tokens of the same provider (RFC 8725, section
// 3.11).
func (c *idTokenCheck) checkType(claims object) error {
	typ, _ := c.header.ExtraHeaders[jose.HeaderType].(string)
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	if strings.HasSuffix(typ, "+jwt") && typ != "id_token+jwt" {
		return errors.New("it is a token of another kind, typ " + clip(typ))
	}
	if claims.has("events") {
		return errors.New("it is a token of another kind, with events")
	}
	return nil
}

func (c *idTokenCheck) checkIssuerAndSubject(claims object) error {
	if err := c.metadata.checkIssuerOf(claims); err != nil {
		return err
	}
	if err := c.checkTenant(claims); err != nil {
		return err
	}
	subject, err := claims.text("sub")
	if err != nil {
		return err
	}
	if subject == "" {
		return errors.New("sub is missing")
	}
	if len(subject) > maxSubject || strings.ContainsFunc(subject, func(r rune) bool { return r > 0x7e || r < 0x20 }) {
		return fmt.Errorf("sub is not at most %d ASCII characters: it has %d bytes", maxSubject, len(subject))
	}
	return nil
}

// checkTenant checks the tenant, if not all are accepted.
func (c *idTokenCheck) checkTenant(claims object) error {
	if len(c.tenants) == 0 {
		return nil
	}
	tenant, err := claims.text("tid")
	if err != nil {
		return err
	}
	if !slices.Contains(c.tenants, tenant) {
		return fmt.Errorf("its tenant is %q, which is not one of tenants", clip(tenant))
	}
	return nil
}

// checkAudience checks that the token is for this client, and that other audiences
// are known or azp is this client (OpenID Connect Core 3.1.3.7, 3 to 5).
func (c *idTokenCheck) checkAudience(claims object) error {
	audience, err := claims.texts("aud", true)
	if err != nil {
		return err
	}
	if !slices.Contains(audience, c.clientID) {
		return notTheAudience(audience, c.clientID)
	}
	party, err := claims.text("azp")
	if err != nil {
		return err
	}
	if claims.has("azp") && party != c.clientID {
		return fmt.Errorf("azp is another client: it is %q, and client_id is %q", clip(party), c.clientID)
	}
	for _, member := range audience {
		switch {
		case member == c.clientID:
		case len(c.audiences) > 0 && !slices.Contains(c.audiences, member):
			return fmt.Errorf("aud names %q, which is not one of audiences", clip(member))
		case len(c.audiences) == 0 && party == "":
			return fmt.Errorf("aud names other clients, such as %q, and azp does not say that it is for this one; if they may have it as well, name them with audiences", clip(member))
		}
	}
	return nil
}

// checkTimes checks exp and iat, which are required, with the clock skew.
func (c *idTokenCheck) checkTimes(claims object) error {
	expires, ok, err := claims.moment("exp")
	if err != nil || !ok {
		return errors.Join(errors.New("exp is missing or no number"), err)
	}
	if !c.now.Before(expires.Add(c.skew)) {
		return fmt.Errorf("it expired %s ago (clock_skew is %s); if it is new, check the clocks here and at the provider", c.now.Sub(expires).Round(time.Second), c.skew)
	}
	issued, ok, err := claims.moment("iat")
	if err != nil || !ok {
		return errors.Join(errors.New("iat is missing or no number"), err)
	}
	if issued.After(c.now.Add(c.skew)) {
		return fmt.Errorf("it was issued %s in the future (clock_skew is %s); check the clocks here and at the provider", issued.Sub(c.now).Round(time.Second), c.skew)
	}
	if err := c.checkNotBefore(claims); err != nil {
		return err
	}
	_, _, err = claims.moment("auth_time")
	return err
}

// checkNotBefore checks nbf, if present.
func (c *idTokenCheck) checkNotBefore(claims object) error {
	notBefore, ok, err := claims.moment("nbf")
	if err == nil && ok && notBefore.After(c.now.Add(c.skew)) {
		err = fmt.Errorf("it is not valid yet: nbf is %s in the future (clock_skew is %s); check the clocks here and at the provider", notBefore.Sub(c.now).Round(time.Second), c.skew)
	}
	return err
}

func (c *idTokenCheck) checkNonce(claims object) error {
	if c.first != nil {
		return c.first.check(claims)
	}
	nonce, err := claims.text("nonce")
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare([]byte(nonce), []byte(c.nonce)) != 1 {
		return errors.New("nonce is not that of this login")
	}
	return nil
}

// checkAccessTokenHash checks at_hash, if present, against the access token (OpenID
// Connect Core 3.1.3.8).
func (c *idTokenCheck) checkAccessTokenHash(claims object) error {
	want, err := claims.text("at_hash")
	if err != nil || !claims.has("at_hash") {
		return err
	}
	h := hashOf(c.header.Algorithm)
	h.Write([]byte(c.accessToken))
	sum := h.Sum(nil)
	if got := base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2]); got != want {
		return errors.New("at_hash does not fit the access token")
	}
	return nil
}

// hashOf returns the hash function of an algorithm. That of Ed25519 is SHA-512.
func hashOf(alg string) hash.Hash {
	switch {
	case strings.HasSuffix(alg, "384"):
		return sha512.New384()
	case strings.HasSuffix(alg, "512"), alg == "EdDSA", alg == "Ed25519":
		return sha512.New()
	}
	return sha256.New()
}
