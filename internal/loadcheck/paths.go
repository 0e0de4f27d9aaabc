package loadcheck

import (
	"log/slog"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/httpconfig"
)

// checkFolders finds private folders whose own path is public: the pattern /x/*
// does not match /x.
func checkFolders(r *report, i *Instance) {
	warn := func(option, pattern, folder string) {
		r.warn("a path pattern does not match the folder itself, which anyone may see: name both, as in private /x /x/*",
			slog.String("option", option), slog.String("pattern", pattern), slog.String("not_matched", folder))
	}
	guard := httpconfig.Paths(i.Match)
	if !i.Public {
		for _, pattern := range guard {
			if folder, ok := httpconfig.Folder(pattern); ok && !mayMatch(guard, folder) {
				warn("oidc_rp", pattern, folder)
			}
		}
	}
	for _, route := range i.Routes {
		if !route.Private {
			continue
		}
		for _, pattern := range httpconfig.Paths(route.Match) {
			folder, ok := httpconfig.Folder(pattern)
			if ok && i.publicByDefault(folder) && (len(guard) == 0 || mayMatch(guard, folder) || mayMatch(guard, pattern)) {
				warn("private", pattern, folder)
			}
		}
	}
}

// mayMatch reports whether any of the patterns matches a path, or might.
func mayMatch(patterns []string, path string) bool {
	return httpconfig.MatchPath(patterns, path) != httpconfig.No
}

// publicByDefault reports whether a path is public because the site is public
// and no route matches it.
func (i *Instance) publicByDefault(path string) bool {
	for _, route := range i.Routes {
		if mayMatch(httpconfig.Paths(route.Match), path) {
			return false
		}
	}
	return i.Public
}

// callback returns the path of the redirect URI of a provider.
func (i *Instance) callback(p Provider) string {
	if p.RedirectPath != "" {
		return p.RedirectPath
	}
	return i.Endpoints + "/" + p.ID + "/code"
}

// checkEndpoints finds logins that cannot end because the callback goes to a
// handler that does not serve it.
func checkEndpoints(r *report, i *Instance) {
	for _, p := range i.Providers {
		path := i.callback(p)
		served := i.Reaches(path) != httpconfig.No
		for _, other := range r.site.Instances {
			served = served || other != i && other.SharesRequests(i.Instance) && other.Reaches(path) != httpconfig.No && other.serves(p.ID, i.Endpoints)
		}
		if !served {
			r.warn("this instance is in a route that its endpoints do not reach, and no other instance of the site serves them: logins cannot end; add oidc_rp endpoints with the provider outside of the handle blocks",
				slog.String("provider", p.ID), slog.String("endpoint", path))
			return
		}
	}
}

// serves reports whether the instance serves the endpoints of a provider under a
// path prefix.
func (i *Instance) serves(id, prefix string) bool {
	if i.Endpoints != prefix {
		return false
	}
	_, ok := i.provider(id)
	return ok
}

// checkSignedOut finds logouts that lead to a private page, where another login
// begins. It may even succeed silently if the user still has a session at the
// provider.
func checkSignedOut(r *report, i *Instance) {
	path, _, _ := strings.Cut(i.SignedOut, "?")
	if i.Public || i.EndpointsOnly || len(i.Match) > 0 || !strings.HasPrefix(path, "/") || httpconfig.HasPlaceholder(path) {
		return
	}
	for _, route := range i.Routes {
		if paths := httpconfig.Paths(route.Match); len(paths) == 0 || mayMatch(paths, path) {
			return
		}
	}
	if i.Reaches(path) == httpconfig.Yes {
		r.warn("signed_out leads to a private page, where the next login starts immediately: make that page public", slog.String("signed_out", i.SignedOut))
	}
}
