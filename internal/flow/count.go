package flow

import (
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
)

// This file counts what happens. What ordinary requests count is looked up once.

const (
	success = "success" // of a login, a logout or a refresh
	failed  = "failed"
)

// The results of looking for the session of a request. Package sessionstore counts
// cookies that are no valid session: expired, revoked and invalid.
var (
	openedValid       = observe.SessionsOpened.With("valid")
	openedNone        = observe.SessionsOpened.With("none")
	openedForeign     = observe.SessionsOpened.With("foreign")
	openedInvalid     = observe.SessionsOpened.With("invalid")
	openedUnavailable = observe.SessionsOpened.With("unavailable")
)

// trace begins a span for what is done about the request from here on.
func (x *request) trace(name string) *observe.Span {
	ctx, span := observe.Start(x.R.Context(), name)
	if span != nil {
		x.R = x.R.WithContext(ctx)
	}
	return span
}

// countFailedLogin counts a login that did not work.
func (x *request) countFailedLogin(f *Failure) { x.countLoginAs(f.Provider, string(f.Code)) }

// countLoginAs counts a login that ended, at a provider if that is known, and says so in
// the span of the request.
func (x *request) countLoginAs(p *Provider, outcome string) {
	id := ""
	if p != nil {
		id = p.ID
	}
	observe.Logins.With(id, outcome).Inc()
	observe.Current(x.R.Context()).Set(observe.AttrProvider, id).Set(observe.AttrOutcome, outcome)
}

// logoutKinds are the names of logouts in metrics, by what audit lines say of them.
var logoutKinds = map[string]string{
	"logout": "rp", "back_channel": "backchannel", "front_channel": "frontchannel", "refresh": "refresh", "handover": "handover",
}

// countLogout counts a logout, by what brought it about.
func countLogout(via, outcome string) { observe.Logouts.With(logoutKinds[via], outcome).Inc() }

// countAudited counts what an audit line is about.
func countAudited(e *audit.Event) {
	if e.Kind == audit.SignedOut {
		countLogout(e.Via, success)
	}
}

// countRefusal counts a user whom a rule refuses.
func countRefusal(rule *authz.Line) { observe.Refusals.With(rule.Kind).Inc() }

// The results of looking at the credential of a program.
const (
	programAccepted = iota
	programRefused
	programUnavailable
)

// programCounters has the counters of programs, by kind and result.
var programCounters = func() (counters [program.Kinds][3]*observe.Counter) {
	for kind := range counters {
		for result, name := range []string{"accepted", "refused", "unavailable"} {
			counters[kind][result] = observe.Programs.With(program.Kind(kind).String(), name)
		}
	}
	return counters
}()

// countProgram counts what a credential was worth.
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

// The results of asking the directories of known users.
var (
	directoryKnown       = observe.DirectoryLookups.With("known")
	directoryUnknown     = observe.DirectoryLookups.With("unknown")
	directoryUnavailable = observe.DirectoryLookups.With("unavailable")
)
