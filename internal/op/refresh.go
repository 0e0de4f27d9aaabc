package op

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"golang.org/x/oauth2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/dpop"
)

// First is what is remembered of the ID token of a login, to compare later ones
// with (OpenID Connect Core 12.2).
type First struct {
	Subject string
	// Nonce and Parties are hashes: of the nonce, and of iss, aud and azp.
	Nonce, Parties [8]byte
	AuthTime       int64 // auth_time; zero if absent
	// Issued is iat, to recognize the first ID token; zero if unknown.
	Issued time.Time
}

// FirstOf returns the First of a verified ID token.
func FirstOf(claims Claims) (first First, err error) {
	o := object(claims)
	if first.Subject, err = o.text("sub"); err != nil {
		return first, err
	}
	nonce, err := o.text("nonce")
	if err != nil {
		return first, err
	}
	first.Nonce = hashTexts(nonce)
	if first.Parties, err = partiesOf(o); err != nil {
		return first, err
	}
	authTime, ok, err := o.moment("auth_time")
	if ok {
		first.AuthTime = authTime.Unix()
	}
	return first, err
}

// partiesOf returns a hash of iss, aud and azp. The order of audiences does not
// matter.
func partiesOf(o object) (sum [8]byte, err error) {
	issuer, err := o.text("iss")
	if err != nil {
		return sum, err
	}
	audience, err := o.texts("aud", true)
	if err != nil {
		return sum, err
	}
	party, err := o.text("azp")
	if err != nil {
		return sum, err
	}
	audience = slices.Compact(slices.Sorted(slices.Values(audience)))
	return hashTexts(append([]string{issuer, strconv.FormatBool(o.has("azp")), party}, audience...)...), nil
}

func hashTexts(texts ...string) (sum [8]byte) {
	h := sha256.New()
	for _, text := range texts {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(text)))
		h.Write(size[:])
		h.Write([]byte(text))
	}
	copy(sum[:], h.Sum(nil))
	return sum
}

// check compares a new ID token with the first one. nonce and auth_time may be
// absent; everything present must match.
func (f *First) check(claims object) error {
	subject, err := claims.text("sub")
	if err != nil || subject != f.Subject {
		return errors.New("sub is not that of the login")
	}
	if parties, err := partiesOf(claims); err != nil || parties != f.Parties {
		return errors.New("iss, aud or azp are not those of the login")
	}
	if claims.has("nonce") {
		nonce, err := claims.text("nonce")
		sum := hashTexts(nonce)
		if err != nil || subtle.ConstantTimeCompare(sum[:], f.Nonce[:]) != 1 {
			return errors.New("nonce is not that of the login")
		}
	}
	authTime, ok, err := claims.moment("auth_time")
	// A later auth_time is harmless: the user has authenticated again elsewhere.
	if err != nil || ok && f.AuthTime != 0 && authTime.Unix() < f.AuthTime {
		return errors.New("auth_time is earlier than that of the login")
	}
	return nil
}

// errFirstAgain means that the provider sent the login's ID token again.
var errFirstAgain = errors.New("it is the ID token of the login")

// isFirst reports whether claims are those of the login's ID token.
func (f *First) isFirst(claims object) bool {
	issued, ok, err := claims.moment("iat")
	return err == nil && ok && !f.Issued.IsZero() && issued.Unix() == f.Issued.Unix()
}

// RefreshError means that the token endpoint issued no new tokens.
type RefreshError struct {
	Err error
	// Over reports that the refresh token is not valid any more. Other errors may
	// be temporary.
	Over bool
	// Down reports that the provider issues no tokens at the moment.
	Down bool
	// Key reports that the error is about the key that tokens are bound to. Another
	// login has another key.
	Key bool
	// RetryAfter is the provider's Retry-After; zero if there is none.
	RetryAfter time.Duration
}

// IsAboutKey reports whether an error is a RefreshError that is about the key that
// tokens are bound to.
func IsAboutKey(err error) bool {
	var failed *RefreshError
	return errors.As(err, &failed) && failed.Key
}

func (e *RefreshError) Error() string { return fmt.Sprintf("refresh: %v", e.Err) }
func (e *RefreshError) Unwrap() error { return e.Err }

// Refresh exchanges a refresh token for new tokens (RFC 6749, section 6; OpenID
// Connect Core 12). The scope remains the same. If the response has no refresh
// token, the old one remains in use. ctx must not end with the request of a
// browser, since the old token may be spent.
//
// key is what the refresh token may be bound to; nil if it is not bound.
func (c *Client) Refresh(ctx context.Context, refreshToken string, key *dpop.Key) (Tokens, error) {
	metadata, err := c.Discovery.Metadata(ctx)
	if err != nil {
		return Tokens{}, err
	}
	if key, err = c.tokenKey(key); err != nil {
		return Tokens{}, &RefreshError{Err: err}
	}
	httpClient, channel, method, err := c.channel(metadata, true, key)
	if err != nil {
		return Tokens{}, &RefreshError{Err: err}
	}
	config := oauth2.Config{
		ClientID: c.ClientID,
		Endpoint: oauth2.Endpoint{TokenURL: metadata.Endpoints.Token, AuthStyle: oauth2.AuthStyleInParams},
	}
	ctx = context.WithValue(callRefresh.with(ctx, c.Provider), oauth2.HTTPClient, httpClient)
	if _, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: refreshToken}).Token(); err != nil {
		return Tokens{}, refreshError(err, method, metadata.Endpoints.Token)
	}
	tokens := c.tokensOf(channel.got, refreshToken)
	if err := c.bind(&tokens, key, channel.got); err != nil {
		return Tokens{}, &RefreshError{Err: err, Key: true}
	}
	if opened, err := c.open(tokens.IDToken); err == nil {
		tokens.IDToken = opened // a token that does not open fails verification
	}
	return tokens, nil
}

func refreshError(err error, method, endpoint string) error {
	refused := refusalOf(err)
	if refused == nil {
		// An invalid response may concern only this user; without a response, the
		// provider is down.
		var unanswered *url.Error
		return &RefreshError{Err: bare(err), Down: errors.As(err, &unanswered)}
	}
	if refused.Err != nil {
		return &RefreshError{Err: bare(err)}
	}
	// During an outage, a gateway may respond with anything. Otherwise the error code
	// counts, whatever the status and the Content-Type.
	down := isOutage(refused.Status)
	failed := &RefreshError{
		Over: !down && refused.Code == "invalid_grant", Down: down, RetryAfter: refused.RetryAfter,
		Key: !down && isAboutProof(refused.Code),
		Err: fmt.Errorf("the token endpoint answered with the %w", refused),
	}
	if refused.Code != "invalid_grant" { // the advice for it is about authorization codes
		failed.Err = fmt.Errorf("%w%s", failed.Err, adviceFor(refused.Code, method, endpoint))
	}
	failed.Err = judged(failed.Err, refused.Code)
	return failed
}

// VerifyRefreshed verifies an ID token that came with a refresh, and compares it
// with that of the login (OpenID Connect Core 12.2). An *UnavailableError is
// returned as it is: nothing is known about the token then. If the provider sends
// the login's token again, there are no claims and no error.
func (c *Client) VerifyRefreshed(ctx context.Context, raw, accessToken string, first First) (Claims, error) {
	claims, err := c.verifyIDToken(ctx, raw, idTokenCheck{first: &first, accessToken: accessToken})
	var unavailable *UnavailableError
	if errors.As(err, &unavailable) {
		return nil, unavailable
	}
	if errors.Is(err, errNotLooked) {
		return nil, &UnavailableError{err, lookEvery}
	}
	if errors.Is(err, errFirstAgain) {
		return nil, nil
	}
	return claims, err
}
