package flow

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clock"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/callback"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// ClocksApart is by how much the clocks of nodes may differ. What ends by one's
// clock ends what began a moment later by another's; a sign-in that comes after
// it is spared, see revocation.Event.
const ClocksApart = 3 * time.Second

// Events learns what happens to users.
type Events interface {
	// Wanted reports whether events of a kind are looked at.
	Wanted(audit.Kind) bool
	Emit(*audit.Event)
}

// Memory is what flows remember in this process, for all configurations that use
// the same storage. The zero value is ready.
type Memory struct {
	spent        callback.Spent // the logins whose response was taken
	confirmed    callback.Spent // the logins whose session a browser has brought
	logoutTokens revocation.Replay
	liveSIDs     revocation.Live
	liveCookies  liveCookies // of the sessions that have streams
	frontchannel frontchannelLimiter
}

// Shared is what the instances of one configuration share. Instances are added
// before requests are served.
type Shared struct {
	Memory    *Memory
	Instances []*Instance
	Clock     *clock.Clock
	// Events learns what audit lines are about; nil for nothing.
	Events Events

	refusals audit.Sampler
	once     audit.Once[onceKey]
	united   sync.Once
	needs    map[needsKey]*identity.Needs
}

// wants reports whether events of a kind are looked at.
func (s *Shared) wants(kind audit.Kind) bool { return s.Events != nil && s.Events.Wanted(kind) }

// Revoke stores events that may be about sessions of any instance of this
// configuration, wherever those keep theirs.
func (s *Shared) Revoke(ctx context.Context, events ...revocation.Event) error {
	var errs []error
	added := make(map[any]bool)
	for _, in := range s.Instances {
		if place := in.Sessions.Revocations(); !added[place] {
			added[place] = true
			errs = append(errs, place.Add(ctx, events...))
		}
	}
	return errors.Join(errs...)
}

// RevocationLifetime returns how long a revocation has to be kept: as long as any
// session can last at the instances of this configuration, and at those that
// share the storage, which are taken to have the same. Where sessions are remembered
// after their end, it has to be known for as long that they were revoked.
func (s *Shared) RevocationLifetime() time.Duration {
	longest := time.Duration(0)
	for _, in := range s.Instances {
		lifetime := in.Lifetime
		if in.severalProviders() {
			lifetime += session.LastLifetime
		}
		longest = max(longest, lifetime)
	}
	return longest + sessionstore.RevocationMargin
}

// needsKey is what instances share sessions by.
type needsKey struct {
	provider string
	binding  session.Binding
	cookie   string
}

func (in *Instance) needsKey(p *Provider) needsKey {
	return needsKey{p.ID, p.Binding, in.CookieName}
}

// NeedsOf returns what a login at a provider requests and keeps, together with
// what was requested before, by the transaction or the session at hand: all that
// the instances need which share the sessions.
func (in *Instance) NeedsOf(p *Provider, before session.Names) *identity.Needs {
	in.Shared.uniteNeeds()
	return in.Shared.needs[in.needsKey(p)].With(before)
}

// uniteNeeds looks at all instances once, when all are provisioned.
func (s *Shared) uniteNeeds() {
	s.united.Do(func() {
		instances := make(map[needsKey][]identity.Needs)
		for _, in := range s.Instances {
			for _, p := range in.Providers {
				key := in.needsKey(p)
				instances[key] = append(instances[key], in.Needs)
			}
		}
		s.needs = make(map[needsKey]*identity.Needs)
		for key, needs := range instances {
			s.needs[key] = identity.Union(needs...)
		}
	})
}

// onceKey is one thing to log: its kind, and the claim, scope or other name that
// it is about. Equal providers of several sites share it.
type onceKey struct {
	provider     string
	registration session.Binding
	kind, name   string
}
