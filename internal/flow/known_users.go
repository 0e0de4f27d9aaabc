package flow

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/knownusers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file refuses users that are not in any directory of known users.

var errUnknownUser = errors.New("no directory of known_users knows the user")

// directoryRetryAfter is the default Retry-After while a directory cannot be
// reached.
const directoryRetryAfter = 10 * time.Second

// checkKnown looks the session's user up in the directories. It fails if the user
// is not known, or if that cannot be determined now.
func (in *Instance) checkKnown(ctx context.Context, p *Provider, s *session.Session) *Failure {
	if f := in.checkDirectories(ctx, p, s); f != nil || s.Parent == nil {
		return f
	}
	return in.checkParentKnown(ctx, p, s)
}

// checkDirectories looks the session's user up in the directories of this instance.
func (in *Instance) checkDirectories(ctx context.Context, p *Provider, s *session.Session) *Failure {
	if len(in.KnownUsers) == 0 || s.Kind != session.Person {
		return nil
	}
	known, err := in.KnownUsers.Know(ctx, in.knownUser(p, s))
	switch {
	case err != nil:
		directoryUnavailable.Inc()
		f := &Failure{Code: errorcode.ProviderUnavailable, Provider: p, RetryAfter: directoryRetryAfter}
		if after := knownusers.RetryAfter(err); after > 0 {
			f.RetryAfter = after
		}
		f.Cause = &refusedUser{fmt.Errorf("%w: %w", errorcode.ErrDirectory, err), s}
		return f
	case !known:
		directoryUnknown.Inc()
		return &Failure{Code: errorcode.UserUnknown, Provider: p, Cause: &refusedUser{errUnknownUser, s}}
	}
	directoryKnown.Inc()
	return nil
}

// knownUser returns the session's user in the form that directories are asked with.
func (in *Instance) knownUser(p *Provider, s *session.Session) knownusers.User {
	return knownusers.User{
		ID: in.UserOf(p, s).ID(), Name: s.Username,
		Provider: p.ID, Default: p == in.Default, Tenant: p.Mapping.TenantOf(s),
	}
}

// dropUnknown makes the request anonymous if no directory knows its user. A logout
// still ends the session. A failure means that a directory cannot be reached.
func (x *sessions) dropUnknown() *Failure {
	st := x.State
	if !st.SignedIn() || len(x.KnownUsers) == 0 && st.session.Parent == nil {
		return nil
	}
	f := x.checkKnown(x.R.Context(), st.provider, st.session)
	if f == nil {
		return nil
	}
	st.SignOut()
	if f.Code == errorcode.UserUnknown {
		st.unknown = true
		st.markForeign(x.Instance, st.loaded)
		return nil
	}
	return f
}

// knows reports whether the directories know the user of st.
func (x *sessions) knows(st *State) bool {
	return st.at.checkKnown(x.R.Context(), st.provider, st.session) == nil
}
