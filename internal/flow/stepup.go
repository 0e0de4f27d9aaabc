package flow

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// This file determines what a login has to prove, and responds to users whose login
// did not prove it.

// maxLinkACRs is the maximum length in bytes of acr_values in a login link.
const maxLinkACRs = 2000

// unmetAuthentication is the error of a provider that could not satisfy acr_values
// (OpenID Connect Core Error Code unmet_authentication_requirements 1.0).
const unmetAuthentication = "unmet_authentication_requirements"

// proofOfRules returns the proof that rules demand of a login at p. An amr method
// is requested by the acr that p maps it to; if p is nil, because users have yet to
// choose, methods are left out.
func proofOfRules(demands authz.Demands, p *Provider) op.Proof {
	proof := op.Proof{ACR: demands.ACR}
	for _, methods := range demands.AMR {
		if p == nil {
			break
		}
		if acr := p.Mapping.ACRFor(methods); acr != "" {
			proof.ACR = append(slices.Clip(proof.ACR), []string{acr})
		}
	}
	if demands.MaxAge > 0 {
		proof.MaxAge = &demands.MaxAge
	}
	return proof
}

// proofOfProvider returns the proof that the provider's fixed parameters demand.
func proofOfProvider(p *Provider) op.Proof {
	proof := op.Proof{MaxAge: p.Client.Demands.MaxAge}
	if values := p.Client.Demands.ACRs; len(values) > 0 {
		proof.ACR = [][]string{values}
	}
	return proof
}

// proofOfLink returns the proof that a login link demands. Invalid demands are an
// error: if they were ignored, users could get in with less proof than intended.
func proofOfLink(query url.Values) (proof op.Proof, err error) {
	for _, name := range []string{"acr_values", "max_age"} {
		if len(query[name]) > 1 {
			return proof, fmt.Errorf("the parameter %s appears more than once", name)
		}
	}
	text := query.Get("acr_values")
	values := strings.Fields(text)
	switch {
	case len(text) > maxLinkACRs || len(values) > op.MaxACRs:
		return proof, fmt.Errorf("acr_values has more than %d values or %d bytes", op.MaxACRs, maxLinkACRs)
	case strings.ContainsFunc(text, isUnprintable):
		return proof, errors.New("acr_values has characters that do not print")
	case len(values) > 0:
		proof.ACR = [][]string{values}
	}
	if text := query.Get("max_age"); text != "" {
		proof.MaxAge, err = op.ParseMaxAge(text)
	}
	return proof, err
}

func isUnprintable(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }

// parametersOfProof returns the login link parameters that demand a proof.
func parametersOfProof(proof op.Proof) url.Values {
	parameters := make(url.Values)
	if values := strings.Join(proof.Acceptable(), " "); values != "" && len(values) <= maxLinkACRs {
		parameters.Set("acr_values", values)
	}
	if seconds := secondsOf(proof.MaxAge); seconds != nil {
		parameters.Set("max_age", strconv.FormatInt(*seconds, 10))
	}
	return parameters
}

// secondsOf returns a duration in whole seconds; nil if d is nil.
func secondsOf(d *time.Duration) *int64 {
	if d == nil {
		return nil
	}
	seconds := int64(*d / time.Second)
	return &seconds
}

// demands returns all demands on the login. A silent login cannot ask the user to
// authenticate again.
func (l *login) demands() op.Demands {
	return l.provider.Client.DemandsOf(l.proof, l.provider.LoginIsAuthTime && l.silent == "" && !l.attempt)
}

// checkProof checks an ID token against what rules or a login link demanded when
// the login began, at whichever instance.
func (c *callbackFlow) checkProof(demands *op.Demands, idToken op.Claims) error {
	if demands.Proof.IsZero() {
		return nil
	}
	authTime, _ := op.AuthOf(idToken)
	err := demands.Proof.Check(demands.AuthTime(authTime), identity.ACRs(idToken), c.Now(), c.provider.Client.ClockSkew)
	if err != nil {
		return fmt.Errorf("%w: %w", errorcode.ErrUnproved, err)
	}
	return nil
}

// markOf returns a hash of the demands of a login, which the session keeps to
// recognize the same demands; "" if there were none.
func markOf(demands *op.Demands, encoded string) string {
	if !demands.Any() && demands.Proof.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte(encoded))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// wasInVain reports whether the session comes from a recent login with the same
// demands and still does not satisfy them, for another reason than its age. Another
// login would not help.
func (l *login) wasInVain() bool {
	s, user, demands := l.State.session, l.State.User(), l.demands()
	if l.Now().Sub(s.SignedIn) >= repeatWindow || user.Asked() != markOf(&demands, demands.Encode()) {
		return false
	}
	skew := l.provider.Client.ClockSkew
	return demands.Check(s.AuthTime, s.ACR, s.SignedIn, skew) != nil || demands.Proof.Check(s.AuthTime, user.ACR(), s.SignedIn, skew) != nil
}

// Causes of a 403 if no further login begins automatically. The user can still
// follow a login link.
var (
	errNoStepUp       = fmt.Errorf("%w, and no login is begun", errorcode.ErrUnproved)
	errInVain         = fmt.Errorf("%w: the user has just signed in for this page; does the provider take acr away from refreshed ID tokens", errNoStepUp)
	errTooManyStepUps = fmt.Errorf("%w: this browser has begun two within a minute", errNoStepUp)
)

// respondUnproved responds with 403 to a signed-in user who did not prove what the
// page demands, instead of beginning another login.
func (x *Exchange) respondUnproved(cause error, proof op.Proof) error {
	observe.Refusals.With("step_up").Inc()
	f := &Failure{Code: errorcode.Forbidden, Cause: cause, Provider: x.State.provider, Proof: proof}
	if s := x.Scope(); s != nil {
		f.ReturnTo = x.returnToPage(s)
	}
	return x.errorPage(http.StatusForbidden, f, x.log(f))
}
