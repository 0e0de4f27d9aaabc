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

// ClocksApart is how far the clocks of nodes may differ. A revocation also covers
// sessions that began up to this long after it by another node's clock. A login
// that provably followed it is spared; see revocation.Event.
const ClocksApart = 3 * time.Second

// Events learns what happens to users.
type Events interface {
	// Wanted reports whether anyone subscribed to events of a kind.
	Wanted(audit.Kind) bool
	Emit(*audit.Event)
}

// Memory is what the flows remember in this process, shared by all configurations
// that use the same storage. The zero value is ready to use.
type Memory struct {
	spent        callback.Spent // logins whose response was processed
	confirmed    callback.Spent // logins whose session cookie a browser has sent
	logoutTokens revocation.Replay
	liveSIDs     revocation.Live
	liveCookies  liveCookies // of the sessions that have streams
	frontchannel frontchannelLimiter
}

// Shared is the state that all instances of one configuration share. Instances must
// be added before requests are served.
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

// wants reports whether anyone subscribed to events of a kind.
func (s *Shared) wants(kind audit.Kind) bool { return s.Events != nil && s.Events.Wanted(kind) }

// Revoke stores revocations for the sessions of all instances of this
// configuration, in each place where those are kept.
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

// RevocationLifetime returns how long a revocation has to be kept: as long as a
// session can last at any instance of this configuration. Instances that share the
// storage are assumed to have the same lifetimes. If the last session is
// remembered, it has to be known for that time as well that it was revoked.
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

// needsKey identifies the sessions that instances share.
type needsKey struct {
	provider string
	binding  session.Binding
	cookie   string
}

func (in *Instance) needsKey(p *Provider) needsKey {
	return needsKey{p.ID, p.Binding, in.CookieName}
}

// NeedsOf returns what a login at a provider requests and keeps: the needs of all
// instances that share its sessions, and what was requested before by the
// transaction or session at hand.
func (in *Instance) NeedsOf(p *Provider, before session.Names) *identity.Needs {
	in.Shared.uniteNeeds()
	return in.Shared.needs[in.needsKey(p)].With(before)
}

// uniteNeeds computes the needs of all instances. It runs once, after all of them
// are provisioned.
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

// onceKey identifies a message that is logged once: its kind, and the claim, scope
// or other name that it is about. Equal providers of several sites share it.
type onceKey struct {
	provider     string
	registration session.Binding
	kind, name   string
}
