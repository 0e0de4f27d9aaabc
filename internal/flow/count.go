package flow

import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
)

// This file counts what happens. Counters of ordinary requests are looked up once.

const (
	success = "success" // outcomes of a login, a logout or a refresh
	failed  = "failed"
)

// Results of opening the session of a request. Package sessionstore counts cookies
// that are not valid sessions: expired, revoked and invalid.
var (
	openedValid       = observe.SessionsOpened.With("valid")
	openedNone        = observe.SessionsOpened.With("none")
	openedForeign     = observe.SessionsOpened.With("foreign")
	openedInvalid     = observe.SessionsOpened.With("invalid")
	openedUnavailable = observe.SessionsOpened.With("unavailable")
)

// trace starts a span and makes it the current one of the request.
func (x *request) trace(name string) *observe.Span {
	ctx, span := observe.Start(x.R.Context(), name)
	if span != nil {
		x.R = x.R.WithContext(ctx)
	}
	return span
}

// countFailedLogin counts a failed login.
func (x *request) countFailedLogin(f *Failure) { x.countLoginAs(f.Provider, string(f.Code)) }

// countLoginAs counts the end of a login with the given outcome, and adds it to the
// request's span. p may be nil.
func (x *request) countLoginAs(p *Provider, outcome string) {
	id := ""
	if p != nil {
		id = p.ID
	}
	observe.Logins.With(id, outcome).Inc()
	observe.Current(x.R.Context()).Set(observe.AttrProvider, id).Set(observe.AttrOutcome, outcome)
}

// logoutKinds maps the via of an audit event to the kind of logout in metrics.
var logoutKinds = map[string]string{
	"logout": "rp", "back_channel": "backchannel", "front_channel": "frontchannel", "refresh": "refresh", "handover": "handover",
}

// countLogout counts a logout; via is what caused it.
func countLogout(via, outcome string) { observe.Logouts.With(logoutKinds[via], outcome).Inc() }

// countAudited counts the logout that an audit event reports.
func countAudited(e *audit.Event) {
	if e.Kind == audit.SignedOut {
		countLogout(e.Via, success)
	}
}

// countRefusal counts a user who was refused by a rule.
func countRefusal(rule *authz.Line) { observe.Refusals.With(rule.Kind).Inc() }

// Results of verifying the credential of a program.
const (
	programAccepted = iota
	programRefused
	programUnavailable
)

// programCounters holds the counters of programs, by kind and result.
var programCounters = func() (counters [program.Kinds][3]*observe.Counter) {
	for kind := range counters {
		for result, name := range []string{"accepted", "refused", "unavailable"} {
			counters[kind][result] = observe.Programs.With(program.Kind(kind).String(), name)
		}
	}
	return counters
}()

// countProgram counts the result of verifying a credential.
func countProgram(c *program.Credential, f *Failure) {
	result := programAccepted
	if f != nil {
		result = programRefused
		if f.RetryAfter > 0 {
			result = programUnavailable
		}
	}
	programCounters[c.Kind()][result].Inc()
}

// Results of looking users up in the directories of known users.
var (
	directoryKnown       = observe.DirectoryLookups.With("known")
	directoryUnknown     = observe.DirectoryLookups.With("unknown")
	directoryUnavailable = observe.DirectoryLookups.With("unavailable")
)
