package op

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// backchannelEvent is the member of events that makes a token a logout token
// (OpenID Connect Back-Channel Logout 1.0, 2.4).
const backchannelEvent = "http://schemas.openid.net/event/backchannel-logout"

// untilSaid is how long a logout token without exp is taken: older providers
// send none, and try again for a while.
const untilSaid = time.Hour

// LogoutToken is what a provider says has ended: its session SID, or, without
// one, all sessions of the subject.
type LogoutToken struct {
	Issuer       string // iss: of the tenant, where the provider's stands for many
	Subject, SID string
	ID           string    // jti
	Issued       time.Time // iat, by the provider's clock
	At           time.Time // the same by our clock, as well as it is known: for sessions without the iat of their ID token
	Until        time.Time // when the token itself is of no use any more
}

// VerifyLogoutToken checks a logout token (Back-Channel Logout 1.0, 2.6). One
// that is encrypted is opened as an ID token is, and one that is not is accepted
// as such an ID token is. What can be seen without a signature is looked at
// first, so that the garbage of strangers causes no request to the provider for
// anything. That the token was not taken before is for the caller to check.
func (c *Client) VerifyLogoutToken(ctx context.Context, raw string) (*LogoutToken, error) {
	raw, err := c.open(raw)
	if err == nil {
		err = c.glance(raw)
	}
	if err != nil {
		return nil, logoutTokenError(err)
	}
	metadata, err := c.Discovery.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	// Those of ID tokens: a key that is published for something else must not
	// end sessions (2.6, 2).
	algs := algorithms(c.Algs, metadata.IDTokenAlgs)
	if err := checkAlgorithm(raw, algs); err != nil {
		return nil, logoutTokenError(err)
	}
	// Without go-oidc, which knows ID tokens alone: what it would check of them is
	// checked here, on the members as they were sent.
	keys := &callKeys{client: c, algs: algs}
	payload, err := keys.verify(ctx, raw)
	var unavailable *UnavailableError
	if errors.As(err, &unavailable) {
		err = fmt.Errorf("its signature could not be checked: %w", unavailable)
	}
	if err != nil {
		return nil, logoutTokenError(err)
	}
	claims, err := parseObject(payload)
	if err != nil {
		return nil, logoutTokenError(fmt.Errorf("it %w", err))
	}
	check := logoutTokenCheck{idTokenCheck{metadata: metadata, clientID: c.ClientID, now: c.Now(), skew: c.ClockSkew, header: keys.header, audiences: c.Audiences, tenants: c.Tenants}}
	token, err := check.checkAll(claims)
	if err != nil {
		return nil, logoutTokenError(err)
	}
	return token, nil
}

func logoutTokenError(err error) error { return fmt.Errorf("the logout token: %w", err) }

// glance looks at a token whose signature is not checked yet.
func (c *Client) glance(raw string) error {
	algs := c.Algs
	if len(algs) == 0 {
		algs = asymmetric
	}
	claims, err := peek(raw, algs)
	if err != nil {
		return err
	}
	issuer, err := claims.text("iss")
	if err != nil {
		return err
	}
	if !c.Discovery.IsIssuer(issuer) {
		return notTheIssuer(issuer)
	}
	audience, err := claims.texts("aud", true)
	if err != nil {
		return err
	}
	if !slices.Contains(audience, c.ClientID) {
		return notTheAudience(audience, c.ClientID)
	}
	if !claims.has("events") {
		return errors.New("events is missing")
	}
	return nil
}

// IsIssuer reports whether a text is the provider's issuer, as far as that is
// known without asking the provider: where only the configuration URL is
// configured, with or without a slash at the end.
func (r *Discovery) IsIssuer(issuer string) bool {
	configured := r.config.Issuer
	if configured == "" {
		configured = strings.TrimSuffix(r.config.ConfigurationURL, WellKnown)
	}
	// An address that looks like one for many tenants may be a single issuer's.
	if template := TenantTemplate(configured); template != "" && (&Metadata{Issuer: template}).IsIssuer(issuer) {
		return true
	}
	if strings.Contains(issuer, TenantPart) {
		return false
	}
	if r.config.Issuer != "" {
		return issuer == r.config.Issuer
	}
	return checkIssuer(issuer, "", r.config.ConfigurationURL) == nil
}

// logoutTokenCheck is what a logout token is held to: what an ID token is, as
// far as the two are alike. All of it is pure.
type logoutTokenCheck struct{ idTokenCheck }

func (c *logoutTokenCheck) checkAll(claims object) (*LogoutToken, error) {
	token := new(LogoutToken)
	for _, check := range []func(object, *LogoutToken) error{c.checkType, c.checkOrigin, c.checkTimes, c.checkEvent} {
		if err := check(claims, token); err != nil {
			return nil, err
		}
	}
	return token, nil
}

// checkType takes logout tokens alone: an ID token has a nonce and no events, and
// other tokens about security events have another event.
func (c *logoutTokenCheck) checkType(claims object, _ *LogoutToken) error {
	typ, _ := c.header.ExtraHeaders[jose.HeaderType].(string)
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	if strings.HasSuffix(typ, "+jwt") && typ != "logout+jwt" {
		return errors.New("it is a token of another kind, typ " + clip(typ))
	}
	if _, present := claims["nonce"]; present { // be it null
		return errors.New("it has a nonce")
	}
	events, err := parseObject(claims["events"])
	if err != nil {
		return errors.New("events is no object")
	}
	if _, err := parseObject(events[backchannelEvent]); err != nil {
		return errors.New("events does not hold the back-channel logout as an object")
	}
	return nil
}

// checkIssuer: it is the provider's, or one of its tenants': a logout token need not
// name the tenant apart, as an ID token does.
func (c *logoutTokenCheck) checkIssuer(claims object, token *LogoutToken) (err error) {
	if token.Issuer, err = claims.text("iss"); err != nil {
		return err
	}
	if !c.metadata.IsIssuer(token.Issuer) || !c.isOfTenant(token.Issuer) {
		return notTheIssuer(token.Issuer)
	}
	return nil
}

// isOfTenant reports whether an issuer of the provider is that of a tenant which is
// taken.
func (c *logoutTokenCheck) isOfTenant(issuer string) bool {
	return len(c.tenants) == 0 || slices.ContainsFunc(c.tenants, func(tenant string) bool {
		return issuer == strings.Replace(c.metadata.Issuer, TenantPart, tenant, 1)
	})
}

func (c *logoutTokenCheck) checkOrigin(claims object, token *LogoutToken) error {
	if err := c.checkIssuer(claims, token); err != nil {
		return err
	}
	if err := c.checkAudience(claims); err != nil {
		return err
	}
	var err error
	if token.ID, err = claims.text("jti"); err != nil {
		return err
	}
	if token.ID == "" {
		return errors.New("jti is missing")
	}
	return nil
}

// checkTimes: iat is there, exp and nbf may be.
func (c *logoutTokenCheck) checkTimes(claims object, token *LogoutToken) error {
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
	token.Issued = issued
	expires, ok, err := claims.moment("exp")
	if err != nil {
		return err
	}
	if !ok {
		expires = issued.Add(untilSaid)
	}
	token.Until = expires.Add(c.skew)
	if !c.now.Before(token.Until) {
		return fmt.Errorf("it expired %s ago (clock_skew is %s)", c.now.Sub(expires).Round(time.Second), c.skew)
	}
	// What ended had begun before the token was issued, by the provider's
	// clock, which may be behind ours by the skew, and in whole seconds: a
	// session that began in that second, or seems to have begun up to the skew
	// later, must not survive. Now is the limit, since whoever signs in after
	// this moment signs in later by any clock. The price: who signs in again
	// while the token is on its way, for less than the skew, does so twice.
	token.At = issued.Truncate(time.Second).Add(time.Second + c.skew)
	if token.At.After(c.now) {
		token.At = c.now
	}
	return nil
}

func (c *logoutTokenCheck) checkEvent(claims object, token *LogoutToken) error {
	var errs [2]error
	token.Subject, errs[0] = claims.text("sub")
	token.SID, errs[1] = claims.text("sid")
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if token.Subject == "" && token.SID == "" {
		return errors.New("sub and sid are missing")
	}
	return nil
}
