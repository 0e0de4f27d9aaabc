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

// This file is about what a login has to prove: where that comes from, who reads it,
// and what follows if the login does not prove it.

// maxLinkACRs bounds acr_values in a login link, in bytes.
const maxLinkACRs = 2000

// unmetAuthentication is how a provider says that the user did not sign in as it was
// asked (OpenID Connect Core Error Code unmet_authentication_requirements 1.0).
const unmetAuthentication = "unmet_authentication_requirements"

// proofOfRules returns the proof that rules demand of a login at a provider, which is
// nil where it is not known yet: a method of amr is asked for by the provider's acr.
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

// proofOfProvider returns the proof that the fixed parameters of a provider amount to.
func proofOfProvider(p *Provider) op.Proof {
	proof := op.Proof{MaxAge: p.Client.Demands.MaxAge}
	if values := p.Client.Demands.ACRs; len(values) > 0 {
		proof.ACR = [][]string{values}
	}
	return proof
}

// proofOfLink returns the proof that a login link demands. What cannot be a demand is
// an error: to ignore it would let in a user who proves less than was meant.
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

// parametersOfProof returns the parameters of a login link that demand a proof.
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

// secondsOf returns a duration in whole seconds; nil is none.
func secondsOf(d *time.Duration) *int64 {
	if d == nil {
		return nil
	}
	seconds := int64(*d / time.Second)
	return &seconds
}

// demands returns all that the login demands. A login without questions cannot ask the
// user to sign in again.
func (l *login) demands() op.Demands {
	return l.provider.Client.DemandsOf(l.proof, l.provider.LoginIsAuthTime && l.silent == "" && !l.attempt)
}

// checkProof holds an ID token to what rules or a login link demanded of this login,
// at whichever instance it began.
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

// markOf returns what a session keeps of what its login demanded, encoded: enough to
// know the same demands again. It is empty if nothing was demanded.
func markOf(demands *op.Demands, encoded string) string {
	if !demands.Any() && demands.Proof.IsZero() {
		return ""
	}
	sum := sha256.Sum256([]byte(encoded))
	return base64.RawURLEncoding.EncodeToString(sum[:6])
}

// wasInVain reports whether the session comes from a login with the same demands, a
// moment ago, and something else than time is the reason that it does not satisfy
// them: another such login would lead to the same.
func (l *login) wasInVain() bool {
	s, user, demands := l.State.session, l.State.User(), l.demands()
	if l.Now().Sub(s.SignedIn) >= repeatWindow || user.Asked() != markOf(&demands, demands.Encode()) {
		return false
	}
	skew := l.provider.Client.ClockSkew
	return demands.Check(s.AuthTime, s.ACR, s.SignedIn, skew) != nil || demands.Proof.Check(s.AuthTime, user.ACR(), s.SignedIn, skew) != nil
}

// The causes of a 403 to a user whom no further login is begun for. A link begins one
// all the same.
var (
	errNoStepUp       = fmt.Errorf("%w, and no login is begun", errorcode.ErrUnproved)
	errInVain         = fmt.Errorf("%w: the user has just signed in for this page; does the provider take acr away from refreshed ID tokens", errNoStepUp)
	errTooManyStepUps = fmt.Errorf("%w: this browser has begun two within a minute", errNoStepUp)
)

// respondUnproved responds with 403 to a signed-in user who does not prove what the
// page demands, in the place of another login.
func (x *Exchange) respondUnproved(cause error, proof op.Proof) error {
	observe.Refusals.With("step_up").Inc()
	f := &Failure{Code: errorcode.Forbidden, Cause: cause, Provider: x.State.provider, Proof: proof}
	if s := x.Scope(); s != nil {
		f.ReturnTo = x.returnToPage(s)
	}
	return x.errorPage(http.StatusForbidden, f, x.log(f))
}
