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

// First is what is kept of the ID token of a login, for new ones to be compared
// with (Core 12.2).
type First struct {
	Subject string
	// Nonce and Parties are hashes: of the nonce, and of iss, aud and azp.
	Nonce, Parties [8]byte
	AuthTime       int64 // in seconds; zero where it had none
	// Issued is iat, to know the first ID token again; zero where it is not known.
	Issued time.Time
}

// FirstOf takes it from the claims of a checked ID token.
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

// partiesOf is one hash of who issued a token and whom for. The order of
// several audiences means nothing.
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

// check compares a new ID token with the first one. It may leave out nonce and
// auth_time; what it says must be what the first one said.
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
	// A later one is harmless: the user has signed in again elsewhere.
	if err != nil || ok && f.AuthTime != 0 && authTime.Unix() < f.AuthTime {
		return errors.New("auth_time is earlier than that of the login")
	}
	return nil
}

// errFirstAgain: the provider sent the ID token of the login once more.
var errFirstAgain = errors.New("it is the ID token of the login")

// isFirst reports whether claims are those of the ID token of the login.
func (f *First) isFirst(claims object) bool {
	issued, ok, err := claims.moment("iat")
	return err == nil && ok && !f.Issued.IsZero() && issued.Unix() == f.Issued.Unix()
}

// RefreshError is returned when the token endpoint gave no new tokens.
type RefreshError struct {
	Err error
	// Over: the provider no longer takes the refresh token. Anything else may
	// pass.
	Over bool
	// Down: the provider issues no tokens at the moment.
	Down bool
	// RetryAfter is what the provider asks for; zero if it does not.
	RetryAfter time.Duration
}

func (e *RefreshError) Error() string { return fmt.Sprintf("refresh: %v", e.Err) }
func (e *RefreshError) Unwrap() error { return e.Err }

// Refresh trades a refresh token for new tokens (RFC 6749 6, Core 12). The
// scope is what was granted. An answer without a new refresh token leaves the
// old one in use. The caller's context is that of the call: it must not end
// with a visitor's patience, since the old token may be spent.
//
// key is what the refresh token may be bound to; nil if to nothing.
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
		return Tokens{}, &RefreshError{Err: err}
	}
	if opened, err := c.open(tokens.IDToken); err == nil {
		tokens.IDToken = opened // what does not open fails its check
	}
	return tokens, nil
}

func refreshError(err error, method, endpoint string) error {
	refused := refusalOf(err)
	if refused == nil {
		// An answer that is none may be about this one user.
		var unanswered *url.Error
		return &RefreshError{Err: bare(err), Down: errors.As(err, &unanswered)}
	}
	if refused.Err != nil {
		return &RefreshError{Err: bare(err)}
	}
	// A server in trouble, or something in front of it, may say anything. Any
	// other answer with this code is the provider's word, whatever its status and
	// its label.
	down := isOutage(refused.Status)
	failed := &RefreshError{
		Over: !down && refused.Code == "invalid_grant", Down: down, RetryAfter: refused.RetryAfter,
		Err: fmt.Errorf("the token endpoint answered with the %w", refused),
	}
	if refused.Code != "invalid_grant" { // which is advice for a code
		failed.Err = fmt.Errorf("%w%s", failed.Err, adviceFor(refused.Code, method, endpoint))
	}
	failed.Err = judged(failed.Err, refused.Code)
	return failed
}

// VerifyRefreshed checks an ID token that came with a refresh like that of a
// login, and against that one (Core 12.2). Unavailable is returned bare: then
// nothing is known about the token. Where the provider sends the token of the
// login again there are no new claims, and no error.
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
