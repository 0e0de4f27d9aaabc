package oidcrp

import (
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// maxAnnounced is for how many host names of a site its addresses are logged.
const maxAnnounced = 20

// registration is what has to be registered at a provider for one origin.
type registration struct {
	origin, provider, issuer string
	redirect, prefix         string
	publishesKeys            bool
}

// key is what makes two registrations the same.
func (r registration) key() string { return r.issuer + "\x00" + r.provider + "\x00" + r.redirect }

func (r registration) fields() []zap.Field {
	endpoint := r.origin + r.prefix + "/" + r.provider
	fields := []zap.Field{
		zap.String("provider", r.provider),
		zap.String("redirect_uri", r.redirect),
		zap.String("post_logout_redirect_uri", endpoint+"/signedout"),
		zap.String("backchannel_logout_uri", endpoint+"/backchannel-logout"),
		zap.String("frontchannel_logout_uri", endpoint+"/frontchannel-logout"),
	}
	if r.publishesKeys {
		fields = append(fields, zap.String("jwks_uri", endpoint+"/jwks"))
	}
	return fields
}

const registerMessage = "register these addresses at the provider"

// announce logs what has to be registered, once for each origin and provider,
// except what the configuration before this one has logged. It makes no requests:
// origins are what the configuration names.
func (a *App) announce(sites []*writtenSite) {
	before := running.announced()
	announced := make(map[string]bool)
	check := siteCheck{app: a}
	for _, site := range sites {
		for _, i := range site.found {
			for _, r := range check.registrations(i) {
				if announced[r.key()] {
					continue
				}
				announced[r.key()] = true
				if !before[r.key()] {
					a.logger.Info(registerMessage, r.fields()...)
				}
			}
		}
	}
	a.announced.Store(&announced)
}

// announced are the registrations that running configurations have logged.
func (r *runningApps) announced() map[string]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make(map[string]bool)
	for _, app := range r.apps {
		if announced := app.announced.Load(); announced != nil {
			maps.Copy(all, *announced)
		}
	}
	return all
}

// registrations are what an instance needs at its providers.
func (c *siteCheck) registrations(i *writtenInstance) (all []registration) {
	prefix := orDefault(i.config.Endpoints, defaultEndpoints)
	for _, origin := range c.origins(i) {
		for _, id := range c.idsOf(i) {
			p := c.ownProvider(i, id)
			if p == nil || p.Disabled {
				continue
			}
			path := orDefault(p.RedirectPath, prefix+"/"+id+"/code")
			if i.reaches(path) == no {
				continue // another instance serves it
			}
			all = append(all, registration{
				origin: origin, provider: id, issuer: identityOf(p)["issuer"], redirect: origin + path, prefix: prefix,
				publishesKeys: len(p.ClientKeys)+len(p.DecryptionKey)+len(p.ClientCertificate) > 0,
			})
		}
	}
	return all
}

// origins are where browsers see an instance, as far as the configuration names
// them: not for sites that answer to any host, nor for wildcards.
func (c *siteCheck) origins(i *writtenInstance) (origins []string) {
	if base, set := i.base(); set {
		return []string{base.String()}
	}
	scheme, port := schemeOf(i.site.server, i.site.http)
	for _, host := range i.hosts {
		if hasPlaceholder(host) || strings.Contains(host, "*") || len(origins) == maxAnnounced {
			continue
		}
		origin, ok := address.FromRequest(scheme, withPort(host, port))
		if !ok {
			continue
		}
		if scheme == "http" && !origin.Loopback() && !c.session(i).Cookie.Insecure {
			// Logins begin here only if a proxy in front has TLS.
			if origin, ok = address.FromRequest("https", withPort(host, "")); !ok {
				continue
			}
		}
		if text := origin.String(); !slices.Contains(origins, text) {
			origins = append(origins, text)
		}
	}
	return origins
}

func withPort(host, port string) string {
	host = strings.Trim(host, "[]")
	if port != "" {
		return net.JoinHostPort(host, port)
	}
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// schemeOf returns how browsers reach a server: its scheme, and its port where
// that is not the one that Caddy has for the scheme.
func schemeOf(server *caddyhttp.Server, app *caddyhttp.App) (scheme, port string) {
	scheme, usual := "http", app.HTTPPort
	if usual == 0 {
		usual = caddyhttp.DefaultHTTPPort
	}
	if len(server.TLSConnPolicies) > 0 {
		if scheme, usual = "https", app.HTTPSPort; usual == 0 {
			usual = caddyhttp.DefaultHTTPSPort
		}
	}
	for n, listen := range server.Listen {
		at, err := caddy.ParseNetworkAddress(listen)
		if err != nil || at.IsUnixNetwork() || at.IsFdNetwork() {
			continue
		}
		if int(at.StartPort) == usual {
			return scheme, ""
		}
		if n == 0 && at.StartPort != 0 {
			port = strconv.Itoa(int(at.StartPort))
		}
	}
	return scheme, port
}

// logRegistration says at the first login what has to be registered where the
// configuration does not name the site: a provider that does not know the
// redirect URI tells only the visitor.
func (h *Handler) logRegistration(id, origin, redirectURI string) {
	p := h.providers[id]
	r := registration{
		origin: origin, provider: id, issuer: p.Mapping.Issuer, redirect: redirectURI, prefix: h.Endpoints,
		publishesKeys: p.publishesKeys,
	}
	if announced := h.app.announced.Load(); announced != nil && (*announced)[r.key()] {
		return
	}
	if p.announced.CompareAndSwap(false, true) {
		h.logger.Info(registerMessage, r.fields()...)
	}
}
