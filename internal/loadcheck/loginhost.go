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

// checkLoginAt finds sites whose login host cannot serve their logins. It can examine
// only login hosts in the same configuration.
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

// instancesAt returns all instances at an origin, and those among them that serve logins
// for other sites.
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

// problemsAt returns the problems that every one of the given instances at a login
// host has with serving this instance's logins.
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

// patterns returns the valid patterns of login_for. Invalid ones are reported
// elsewhere.
func (i *Instance) patterns() (all []handover.Pattern) {
	for _, text := range i.LoginFor {
		if p, err := handover.ParsePattern(text); err == nil {
			all = append(all, p)
		}
	}
	return all
}

// place names where sessions are kept. It is the same for cookies and Caddy's storage,
// because both keep their logouts in Caddy's storage.
func (s *Session) place() string {
	var store struct{ Module string }
	if s.Store == "" || json.Unmarshal([]byte(s.Store), &store) != nil {
		return "storage"
	}
	return store.Module
}

// isShared reports whether other nodes can read the sessions. If they cannot,
// provisioning an instance with login_at or login_for already fails.
func (s *Session) isShared() bool {
	return s.place() != "memory" && (s.Store != "" || len(s.Secrets) == 0)
}

// hasProviderOf reports whether two instances have a provider with the same
// issuer and client id.
func (i *Instance) hasProviderOf(other *Instance) bool {
	return slices.ContainsFunc(i.Providers, func(p Provider) bool {
		return slices.ContainsFunc(other.Providers, func(q Provider) bool { return p.Issuer == q.Issuer && p.ClientID == q.ClientID })
	})
}

// checkLoginFor finds wildcards in login_for that match hosts that another site
// serves without naming them. If such a name points to someone else's server,
// that server receives the sessions of its visitors.
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

// servesUnnamed reports whether an instance serves hosts that match a pattern
// and are not named in the configuration.
func (i *Instance) servesUnnamed(pattern string) bool {
	return i.Hosts == nil || slices.ContainsFunc(i.Hosts, func(host string) bool {
		return httpconfig.HasPlaceholder(host) || strings.Contains(host, "*") && address.Overlap(host, pattern)
	})
}
