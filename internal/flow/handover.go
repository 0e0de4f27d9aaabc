package flow

import (
	"context"
	"net/url"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file has what the login host and the sites that send their logins to it have in
// common. The files whose names begin alike have the way of a login:
//
//	handover_begin.go   at the site: a sealed request to the login host
//	handover_serve.go   at the login host: a session that is enough, or a login
//	handover_give.go    at the login host: a ticket, after a question for a new site
//	handover_take.go    at the site: a session of its own
//	handover_logout.go  the end of both
//	handover_known.go   users whom directories at the login host no longer know

// LoginHost is how an instance has logins served elsewhere, or serves those of other
// sites.
type LoginHost struct {
	// At is the login host that logins are sent to; nil for none.
	At *address.Origin
	// For are the hosts whose logins are served here.
	For []handover.Pattern
	// Store names where sessions are kept: both sides keep them in the same place.
	Store string
	// Handovers is what both sides share.
	Handovers handover.Storage
	// Instances are those of this configuration that are at the login host.
	Instances []*Instance
	// Hosts returns the host names that the instance is for; "*" stands for any.
	Hosts func() []string
}

// handoverRest is the rest of the path of the endpoint at the login host, and the name
// of the provider's endpoint at the site.
const handoverRest = "handover"

// handoverURL returns the path at a login host that a sealed request is for.
func (in *Instance) handoverURL(sealed string) string {
	return in.Endpoints + "/" + handoverRest + "?request=" + sealed
}

// isHandoverURL reports whether a checked address is one that handoverURL has returned.
func (in *Instance) isHandoverURL(location string) bool {
	return len(in.LoginHost.For) > 0 && strings.HasPrefix(location, in.handoverURL(""))
}

// handoverBinding is what logins in flight at a login host are bound to at the site, in
// the place of a provider: no authorization response belongs to one.
func handoverBinding(at address.Origin) session.Binding {
	return session.Bind("caddy-oidc-rp login host", at.String())
}

// accepted returns the providers that an instance accepts, by issuer and client id.
func (in *Instance) accepted() (all []handover.Accepted) {
	for id, p := range in.Providers {
		if !p.Disabled && !p.ForPrograms {
			all = append(all, handover.Accepted{ID: id, Binding: p.Registration})
		}
	}
	return all
}

// registered returns the provider of an issuer and a client id; nil if there is none.
func (in *Instance) registered(binding session.Binding) *Provider {
	for _, p := range in.Providers {
		if p.Registration == binding && !p.Disabled {
			return p
		}
	}
	return nil
}

// proofOfRequest returns what a request demands.
func proofOfRequest(r *handover.Request) op.Proof { return op.Proof{MaxAge: r.MaxAge, ACR: r.ACR} }

// forwarded are the parameters of a request that a provider gets. The prompt for
// another account is one that it takes.
func (x *Exchange) forwarded(p *Provider, r *handover.Request) url.Values {
	extra := make(url.Values)
	for _, name := range append([]string{"login_hint"}, p.Forward...) {
		if value := r.Parameters.Get(name); value != "" && name != "acr_values" && name != "max_age" {
			extra.Set(name, value)
		}
	}
	switch r.Parameters.Get("prompt") {
	case selectAccount:
		extra.Set("prompt", p.otherAccount(x.R.Context()))
	case "login":
		extra.Set("prompt", "login")
	}
	return extra
}

// ringFor opens something with the keys, and once more with newer ones if another node
// may have made them.
func (x *sessions) ringFor(open func(*seal.Ring) error) (ring *seal.Ring, opened, unavailable error) {
	return x.ringAt(x.R.Context(), open)
}

// ringAt is ringFor outside of a request.
func (in *Instance) ringAt(ctx context.Context, open func(*seal.Ring) error) (ring *seal.Ring, opened, unavailable error) {
	ring, err := in.Keys.Ring(ctx)
	if err != nil {
		return nil, nil, err
	}
	if opened = open(ring); opened != seal.ErrUnknownKey {
		return ring, opened, nil
	}
	if ring, err = in.Keys.Renewed(ctx); err != nil {
		return nil, nil, err
	}
	return ring, open(ring), nil
}

// loginHostName returns the host where users sign in for this site and others; empty if
// there is none.
func (x *Exchange) loginHostName() string {
	switch s := x.Scope(); {
	case x.LoginHost.At != nil:
		return x.LoginHost.At.Host
	case servesLogins(x.Instance) && s != nil:
		return s.Origin.Host
	}
	return ""
}
