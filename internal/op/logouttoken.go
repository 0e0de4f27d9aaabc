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

// backchannelEvent is the member of events that identifies logout tokens (OpenID
// Connect Back-Channel Logout 1.0, section 2.4).
const backchannelEvent = "http://schemas.openid.net/event/backchannel-logout"

// untilSaid is the lifetime of logout tokens without exp, which older providers
// send.
const untilSaid = time.Hour

// LogoutToken is a verified logout token: it ends the session with SID, or, if SID
// is empty, all sessions of the subject.
type LogoutToken struct {
	Issuer       string // iss; that of the tenant if the provider has many
	Subject, SID string
	ID           string    // jti
	Issued       time.Time // iat, by the provider's clock
	At           time.Time // estimate of iat by our clock, for sessions without the iat of their ID token
	Until        time.Time // when the token expires
}

// VerifyLogoutToken verifies a logout token (Back-Channel Logout 1.0, section 2.6).
// Like ID tokens, it may be encrypted. Checks that need no signature come first, so
// that made-up tokens cause no request to the provider. The caller has to check for
// replays.
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
	// Use the algorithms of ID tokens: a key that is published for something else must
	// not end sessions (section 2.6, 2).
	algs := algorithms(c.Algs, metadata.IDTokenAlgs)
	if err := checkAlgorithm(raw, algs); err != nil {
		return nil, logoutTokenError(err)
	}
	// go-oidc only verifies ID tokens. What it would check is checked here, on the claims
	// as they were sent.
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

// glance checks a token before its signature is verified.
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

// IsIssuer reports whether a text is the provider's issuer, as far as that is known
// without metadata. If only the configuration URL is configured, a slash at the end
// is optional.
func (r *Discovery) IsIssuer(issuer string) bool {
	configured := r.config.Issuer
	if configured == "" {
		configured = strings.TrimSuffix(r.config.ConfigurationURL, WellKnown)
	}
	// A URL that looks like one for many tenants may still be that of a single issuer.
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

// logoutTokenCheck checks one logout token, in the same way as ID tokens as far as
// they are alike. It is pure.
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

// checkType accepts only logout tokens: ID tokens have a nonce and no events, and
// other security event tokens have another event.
func (c *logoutTokenCheck) checkType(claims object, _ *LogoutToken) error {
	typ, _ := c.header.ExtraHeaders[jose.HeaderType].(string)
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	if strings.HasSuffix(typ, "+jwt") && typ != "logout+jwt" {
		return errors.New("it is a token of another kind, typ " + clip(typ))
	}
	if _, present := claims["nonce"]; present { // even if it is null
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

// checkIssuer checks that iss is the provider's issuer, or one of its tenants'.
// Unlike ID tokens, logout tokens need not have tid.
func (c *logoutTokenCheck) checkIssuer(claims object, token *LogoutToken) (err error) {
	if token.Issuer, err = claims.text("iss"); err != nil {
		return err
	}
	if !c.metadata.IsIssuer(token.Issuer) || !c.isOfTenant(token.Issuer) {
		return notTheIssuer(token.Issuer)
	}
	return nil
}

// isOfTenant reports whether an issuer of the provider is that of an accepted
// tenant.
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

// checkTimes checks iat, which is required, and exp and nbf, if present.
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
	// The sessions to end had begun before the token was issued, by the provider's
	// clock, which may be behind ours by the skew and has a resolution of a second. A
	// session that began in that second, or seems to have begun up to the skew later,
	// must not survive. The present is the limit, since later logins are later by any
	// clock. The price is that users who log in again while the token is on its way, for
	// less than the skew, have to do so twice.
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
