package loadcheck

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
)

// checkLoginAt finds sites whose login host cannot serve their logins. It knows only a
// login host of the same configuration.
func checkLoginAt(r *report, i *Instance) {
	if i.LoginAt == nil {
		return
	}
	at := i.LoginAt.String()
	if slices.Contains(i.origins(), at) {
		r.refuse("login_at: %s is this site itself", at)
		return
	}
	there, hosts := r.instancesAt(at)
	switch {
	case len(there) == 0:
		return
	case len(hosts) == 0:
		r.refuse("login_at: %s is a site of this configuration, which serves no logins of others; name this site in login_for there", at)
		return
	}
	for _, problem := range i.problemsAt(at, hosts) {
		r.refuse("login_at: %s", problem)
	}
}

// instancesAt returns the instances at an origin, and those of them that serve logins of
// other sites.
func (r *report) instancesAt(origin string) (all, hosts []*Instance) {
	for _, site := range r.sites {
		for _, i := range site.Instances {
			if slices.Contains(i.origins(), origin) {
				all = append(all, i)
				if len(i.LoginFor) > 0 {
					hosts = append(hosts, i)
				}
			}
		}
	}
	return all, hosts
}

// problemsAt returns what keeps all of some instances at a login host from serving the
// logins of this one.
func (i *Instance) problemsAt(at string, hosts []*Instance) (problems []string) {
	serves := func(broken func(*Instance) bool) bool {
		return !slices.ContainsFunc(hosts, func(h *Instance) bool { return !broken(h) })
	}
	for _, text := range i.origins() {
		origin, err := address.ParseOrigin(text)
		if err == nil && serves(func(h *Instance) bool { return !handover.MatchesAny(h.patterns(), origin) }) {
			problems = append(problems, "login_for of "+at+" does not name "+origin.Host)
		}
	}
	if serves(func(h *Instance) bool { return h.Endpoints != i.Endpoints }) {
		problems = append(problems, at+" has other endpoints than this site; both need the same")
	}
	if i.Session.isShared() && serves(func(h *Instance) bool {
		return h.Session.isShared() && (h.Session.place() != i.Session.place() || !slices.Equal(h.Session.Secrets, i.Session.Secrets))
	}) {
		problems = append(problems, at+" keeps its sessions in another place, or with other secrets, than this site; both need the same")
	}
	if serves(func(h *Instance) bool { return !h.hasProviderOf(i) }) {
		problems = append(problems, at+" has no provider with the issuer and the client id of one of this site")
	}
	return problems
}

// patterns are those of login_for that can be read. The others are reported elsewhere.
func (i *Instance) patterns() (all []handover.Pattern) {
	for _, text := range i.LoginFor {
		if p, err := handover.ParsePattern(text); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// place names where sessions are kept. It is the same for cookies and Caddy's storage,
// where the logouts of both are.
func (s *Session) place() string {
	var store struct{ Module string }
	if s.Store == "" || json.Unmarshal([]byte(s.Store), &store) != nil {
		return "storage"
	}
	return store.Module
}

// isShared reports whether sessions are kept where other nodes see them. An instance
// refuses others by itself.
func (s *Session) isShared() bool {
	return s.place() != "memory" && (s.Store != "" || len(s.Secrets) == 0)
}

// hasProviderOf reports whether two instances have a provider in common.
func (i *Instance) hasProviderOf(other *Instance) bool {
	return slices.ContainsFunc(i.Providers, func(p Provider) bool {
		return slices.ContainsFunc(other.Providers, func(q Provider) bool { return p.Issuer == q.Issuer && p.ClientID == q.ClientID })
	})
}

// checkLoginFor finds wildcards that stand for unnamed hosts of another site: a
// name that points to somebody else's server could bring its visitors there.
func checkLoginFor(r *report, i *Instance) {
	for _, p := range i.patterns() {
		if !p.HasWildcard() {
			continue
		}
		for _, site := range r.sites {
			for _, other := range site.Instances {
				if other.LoginAt != nil && other.Base == nil && other.servesUnnamed(p.Host()) {
					r.warn("a wildcard of login_for stands for names that another site would serve without being named: if one of them points to someone else's server, sessions of its visitors reach it; name hosts in login_for, or pin that site with base_url",
						slog.String("login_for", p.Host()), slog.String("other_site", site.Name()))
				}
			}
		}
	}
}

// servesUnnamed reports whether an instance is for hosts of a pattern that the
// configuration does not name.
func (i *Instance) servesUnnamed(pattern string) bool {
	return i.Hosts == nil || slices.ContainsFunc(i.Hosts, func(host string) bool {
		return httpconfig.HasPlaceholder(host) || strings.Contains(host, "*") && address.Overlap(host, pattern)
	})
}
