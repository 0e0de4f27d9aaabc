package loadcheck

import (
	"log/slog"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
)

// maxOrigins limits for how many origins of an instance there are
// registrations.
const maxOrigins = 20

// Registration is what has to be registered at a provider for one origin.
type Registration struct {
	Origin, Provider, Issuer string
	RedirectURI              string
	// Prefix is the path of the endpoints.
	Prefix string
	// PublishesKeys reports whether the provider fetches our keys.
	PublishesKeys bool
}

// Key returns a key that is the same for registrations that are duplicates.
func (r Registration) Key() string {
	return r.Issuer + "\x00" + r.Provider + "\x00" + r.RedirectURI
}

// Attrs returns the URIs to register, as log attributes.
func (r Registration) Attrs() []slog.Attr {
	endpoint := r.Origin + r.Prefix + "/" + r.Provider
	attrs := []slog.Attr{
		slog.String("provider", r.Provider),
		slog.String("redirect_uri", r.RedirectURI),
		slog.String("post_logout_redirect_uri", endpoint+"/signedout"),
		slog.String("backchannel_logout_uri", endpoint+"/backchannel-logout"),
		slog.String("frontchannel_logout_uri", endpoint+"/frontchannel-logout"),
	}
	if r.PublishesKeys {
		attrs = append(attrs, slog.String("jwks_uri", endpoint+"/jwks"))
	}
	return attrs
}

// Registrations returns what has to be registered at the providers of sites,
// without duplicates, for origins that the configuration names.
func Registrations(sites []*Site) (all []Registration) {
	seen := make(map[string]bool)
	for _, site := range sites {
		for _, i := range site.Instances {
			for _, r := range i.registrations() {
				if !seen[r.Key()] {
					seen[r.Key()] = true
					all = append(all, r)
				}
			}
		}
	}
	return all
}

func (i *Instance) registrations() (all []Registration) {
	if i.LoginAt != nil {
		return nil // the login host is registered
	}
	for _, origin := range i.origins() {
		for _, p := range i.Providers {
			path := i.callback(p)
			if p.Disabled || p.Builtin || i.Reaches(path) == httpconfig.No {
				continue // no logins, nothing to register, or another instance serves them
			}
			all = append(all, Registration{
				Origin: origin, Provider: p.ID, Issuer: p.Issuer, RedirectURI: origin + path,
				Prefix: i.Endpoints, PublishesKeys: p.PublishesKeys,
			})
		}
	}
	return all
}

// origins returns the origins at which browsers see an instance. It leaves out
// hosts that the configuration does not name: wildcards, placeholders, and
// sites for any host.
func (i *Instance) origins() (origins []string) {
	if i.Base != nil {
		return []string{i.Base.String()}
	}
	if i.Checks {
		return i.checkedOrigins()
	}
	scheme, port := i.Site.Scheme()
	for _, host := range i.Hosts {
		if httpconfig.HasPlaceholder(host) || strings.Contains(host, "*") || len(origins) == maxOrigins {
			continue
		}
		origin, ok := address.FromRequest(scheme, httpconfig.JoinPort(host, port))
		if !ok {
			continue
		}
		if scheme == "http" && !origin.Loopback() && !i.Session.Cookie.Insecure {
			// Logins begin here only if a proxy in front terminates TLS.
			if origin, ok = address.FromRequest("https", httpconfig.JoinPort(host, "")); !ok {
				continue
			}
		}
		if text := origin.String(); !slices.Contains(origins, text) {
			origins = append(origins, text)
		}
	}
	return origins
}
