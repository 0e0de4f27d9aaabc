package signin

import (
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// MFA is whether users have to sign in with a second factor.
type MFA int

// The modes of MFA. With MFAOptional, users who have a factor sign in with it.
const (
	MFAOptional MFA = iota
	MFAOff
	MFARequired
)

// step is a step of a sign-in.
type step string

const (
	stepChoose      step = "choose"    // continue with the session, or another account
	stepLink        step = "link"      // an external account may be joined with one of ours
	stepName        step = "name"      // the user name
	stepPassword    step = "password"  // the password, and a code if the user has codes
	stepFactor      step = "factor"    // a code or a passkey, once the rest is proved
	stepConcealed   step = "concealed" // looks like stepFactor, but the password was wrong
	stepEnrol       step = "enrol"     // set up a factor
	stepNewPassword step = "newpassword"
	stepUnmet       step = "unmet" // the request demands two factors, which the user cannot have
	stepFinish      step = "finish"
	stepRefuse      step = "refuse"
)

// Error codes of OAuth 2.0, OpenID Connect Core 3.1.2.6, and OpenID Connect
// Unmet Authentication Requirements 1.0.
const (
	codeLoginRequired       = "login_required"
	codeInteractionRequired = "interaction_required"
	codeSelectionRequired   = "account_selection_required"
	codeUnmet               = "unmet_authentication_requirements"
	codeDenied              = "access_denied"
)

// facts are everything that the next step depends on.
type facts struct {
	request *request.Request
	state   State
	session *store.Session // of this browser; nil if there is none
	// user is the user who proved something in this request, else the session's
	// user; nil if unknown.
	user *store.User
	// From the user's login authenticator and the user's factors.
	mfa         MFA
	hasFactor   bool // whether the user has a factor that mfa allows
	remembered  bool // whether this browser replaces the second factor
	passwordDue bool
	now         time.Time

	// Only for pages and proofs.
	policy Policy
	has    []store.FactorKind // confirmed
	device device
}

// decision is the next step, and what is proved so far.
type decision struct {
	step step
	code string // error code of a refusal
	auth sso.Authentication
	// active reports that the user has proved something in this request, so that
	// the session is new or renewed.
	active bool
	// complete reports that everything that the authentication needs is proved;
	// remaining steps are due for other reasons.
	complete bool
}

// next returns the next step of a sign-in.
func next(f facts) decision {
	d := f.decide()
	if !f.request.Asks("none") || d.step == stepFinish || d.step == stepRefuse {
		return d
	}
	codes := map[step]string{stepChoose: codeSelectionRequired, stepName: codeLoginRequired, stepPassword: codeLoginRequired}
	if d.code = codes[d.step]; d.code == "" {
		d.code = codeInteractionRequired
	}
	d.step = stepRefuse
	return d
}

func (f facts) decide() decision {
	if f.request.ACRRequired && !f.asksFor(sso.ACRPassword, sso.ACRMFA, sso.ACRExternal) {
		return decision{step: stepRefuse, code: codeUnmet}
	}
	if step := f.identify(); step != "" {
		return decision{step: step}
	}
	proven := f.proven()
	d := decision{auth: proven.authentication(), active: len(f.state.Proven) > 0}
	d.auth.User = f.user
	switch {
	case d.auth.ACR == "" && f.state.Name == "":
		return decision{step: f.again()}
	case d.auth.ACR == "":
		return decision{step: stepPassword}
	case f.request.Subject != "" && f.user.ID != f.request.Subject:
		return decision{step: stepRefuse, code: codeLoginRequired}
	case d.auth.ACR != sso.ACRMFA && f.needsSecond(d.active):
		d.step = f.second()
	case f.request.ACRRequired && !f.satisfies(d.auth.ACR):
		d.step = stepRefuse
	default:
		d.complete = true
		d.step = f.due(d.active)
	}
	if d.step == stepEnrol && f.isStale(d) {
		d.step = f.again()
	}
	if d.step == stepRefuse {
		d.code = codeUnmet
	}
	return d
}

// enrolsFor is how long after an authentication a factor may be enrolled. An older
// session is not sufficient.
const enrolsFor = 5 * time.Minute

// isStale reports whether an enrolment is based only on an old session.
func (f facts) isStale(d decision) bool { return !d.active && f.now.Sub(d.auth.Time) > enrolsFor }

// again returns the step that authenticates the session's user again.
func (f facts) again() step {
	if f.asksPasswordOfSession() {
		return stepPassword
	}
	return stepName
}

// asksPasswordOfSession reports whether the session's user can be asked for the
// password without the name. Users of external providers may have none.
func (f facts) asksPasswordOfSession() bool {
	return f.session != nil && f.session.UserID == f.user.ID && f.user.Password.Hash != ""
}

// identify returns the step that determines the user, or "".
func (f facts) identify() step {
	switch {
	case f.state.Link != nil && !f.state.Link.Agreed:
		return stepLink
	case f.state.Concealed:
		return stepConcealed
	case f.state.UserID != "" && f.user != nil:
		return ""
	case f.state.Name != "":
		return stepPassword
	case f.user == nil || f.state.Other:
		return stepName
	case f.request.Asks("select_account") && !f.state.Chosen:
		return stepChoose
	case f.request.Subject != "" && f.request.Subject != f.user.ID:
		return stepName
	}
	return ""
}

// proven returns the proofs that are valid for this request: those of the request
// itself, and those of the session that are not too old.
func (f facts) proven() proofs {
	var before proofs
	if f.session != nil && f.session.UserID == f.user.ID {
		before = f.session.Proven
	}
	fresh := before.only(func(at time.Time) bool {
		switch {
		case at.After(f.request.Created):
			return true
		case f.request.Asks("login"):
			return false
		}
		return f.request.MaxAge == nil || f.now.Sub(at) <= *f.request.MaxAge
	})
	return fresh.with(f.state.Proven)
}

// needsSecond reports whether a second factor is required. Rules of a login
// authenticator apply at the next sign-in, not to an existing session.
func (f facts) needsSecond(active bool) bool {
	switch {
	case f.requiresMFA():
		return true
	case f.prefersMFA() && f.hasFactor:
		return true
	case f.prefersMFA() && !f.asksFor(sso.ACRPassword, sso.ACRExternal) && !f.state.Enrol.Later && !f.request.Asks("none"):
		return true
	case !active || f.mfa == MFAOff:
		return false
	case f.mfa != MFARequired && !f.hasFactor:
		return false
	}
	return !f.remembered || f.mustBeFresh() || f.state.Link != nil
}

// mustBeFresh reports whether the request demands a new authentication.
func (f facts) mustBeFresh() bool { return f.request.Asks("login") || f.request.MaxAge != nil }

// requiresMFA reports whether the request demands two factors.
func (f facts) requiresMFA() bool {
	return f.request.ACRRequired && f.asksFor(sso.ACRMFA) && !f.asksFor(sso.ACRPassword, sso.ACRExternal)
}

// prefersMFA reports whether two factors come first among the known classes that
// the request names.
func (f facts) prefersMFA() bool {
	for _, acr := range f.request.ACRValues {
		switch acr {
		case sso.ACRMFA:
			return true
		case sso.ACRPassword, sso.ACRExternal:
			return false
		}
	}
	return false
}

func (f facts) asksFor(acrs ...string) bool {
	return slices.ContainsFunc(f.request.ACRValues, func(acr string) bool { return slices.Contains(acrs, acr) })
}

// satisfies reports whether a class is one that the request names, or stronger than
// one of them.
func (f facts) satisfies(acr string) bool {
	return f.asksFor(acr) || acr == sso.ACRMFA && f.asksFor(sso.ACRPassword)
}

// second returns the step to a second factor.
func (f facts) second() step {
	switch {
	case f.hasFactor:
		return stepFactor
	case f.canEnrol() && !(f.mayPutOff() && f.state.Enrol.Later):
		return stepEnrol
	case f.state.Enrol.Later || f.request.Asks("none"):
		return stepRefuse
	}
	return stepUnmet
}

// canEnrol reports whether the user may have a second factor.
func (f facts) canEnrol() bool { return f.mfa != MFAOff && len(f.policy.Factors) > 0 }

// mayPutOff reports whether an enrolment is due only because of the request, so
// that the user may skip it. The application then decides whether the sign-in is
// sufficient.
func (f facts) mayPutOff() bool { return f.mfa != MFARequired && !f.mustEnrol() }

// due returns the step that is due after the authentication.
func (f facts) due(active bool) step {
	switch {
	case !active:
		return stepFinish
	case f.mustEnrol() && f.mfa != MFAOff:
		return stepEnrol
	case f.passwordDue:
		return stepNewPassword
	}
	return stepFinish
}

// mustEnrol reports whether a factor has to be enrolled, or the first one may be
// because of an operator's link.
func (f facts) mustEnrol() bool {
	return f.user.MustEnrol || f.state.MayEnrol == f.user.ID && !f.hasFactor
}
