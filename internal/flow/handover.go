package flow

import (
	"net/url"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file is shared by the login host and the sites that send their logins to it.
// The other handover files, in the order of a login:
//
//	handover_begin.go   at the site: a sealed request to the login host
//	handover_serve.go   at the login host: a sufficient session, or a login
//	handover_give.go    at the login host: a ticket, after a confirmation for a new site
//	handover_take.go    at the site: a session of its own
//	handover_logout.go  logout at both
//	handover_known.go   users that the login host's directories no longer know

// LoginHost configures where logins are served, or for which sites this instance
// serves them.
type LoginHost struct {
	// At is the login host that logins are sent to; nil for none.
	At *address.Origin
	// For are patterns of the sites whose logins are served here.
	For []handover.Pattern
	// Store names the session store, which must be the same on both sides.
	Store string
	// Handovers is the storage that both sides share.
	Handovers handover.Storage
	// Instances are the instances of this configuration at the login host.
	Instances []*Instance
	// Hosts returns the host names that the instance serves; "*" matches any.
	Hosts func() []string
}

// handoverRest is the last part of the path of the login host's endpoint and of the
// site's.
const handoverRest = "handover"

// handoverURL returns the address, without the origin, of a sealed request at a
// login host.
func (in *Instance) handoverURL(sealed string) string {
	return in.Endpoints + "/" + handoverRest + "?request=" + sealed
}

// isHandoverURL reports whether a checked address was made by handoverURL.
func (in *Instance) isHandoverURL(location string) bool {
	return len(in.LoginHost.For) > 0 && strings.HasPrefix(location, in.handoverURL(""))
}

// handoverBinding returns what logins through a login host are bound to at the
// site, instead of a provider. No authorization response can belong to such a
// login.
func handoverBinding(at address.Origin) session.Binding {
	return session.Bind("caddy-oidc-rp login host", at.String())
}

// accepted returns the issuers and client ids that an instance accepts.
func (in *Instance) accepted() (all []handover.Accepted) {
	for id, p := range in.Providers {
		if !p.Disabled && !p.ForPrograms {
			all = append(all, handover.Accepted{ID: id, Binding: p.Registration})
		}
	}
	return all
}

// registered returns the provider with an issuer and client id; nil if there is
// none.
func (in *Instance) registered(binding session.Binding) *Provider {
	for _, p := range in.Providers {
		if p.Registration == binding && !p.Disabled {
			return p
		}
	}
	return nil
}

// proofOfRequest returns the proof that a request demands.
func proofOfRequest(r *handover.Request) op.Proof { return op.Proof{MaxAge: r.MaxAge, ACR: r.ACR} }

// forwarded returns the parameters of a request that are sent to the provider, with
// a prompt that the provider supports.
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

// loginHostName returns the host where users sign in for several sites, this one
// included; "" if there is none.
func (x *Exchange) loginHostName() string {
	switch s := x.Scope(); {
	case x.LoginHost.At != nil:
		return x.LoginHost.At.Host
	case servesLogins(x.Instance) && s != nil:
		return s.Origin.Host
	}
	return ""
}
