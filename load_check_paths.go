package oidcrp

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
)

// This file checks the paths of a site: folders that a private route leaves open,
// endpoints that no instance serves, and the page after a logout.

// privateFolders is about the address of a folder itself, which a pattern for
// what is in it does not match.
func (c *siteCheck) privateFolders(i *writtenInstance) {
	warn := func(option, pattern, folder string) {
		c.warn(i.site, "a path pattern does not match the folder itself, which anyone may see: name both, as in private /x /x/*",
			zap.String("option", option), zap.String("pattern", pattern), zap.String("not_matched", folder))
	}
	var sets []caddy.ModuleMap
	for _, set := range i.config.MatcherSetsRaw {
		sets = append(sets, set)
	}
	guard := pathsOf(sets)
	if i.config.Mode != modePublic {
		for _, pattern := range guard {
			if folder, ok := folderOf(pattern); ok && anyMatches(guard, folder) == no {
				warn("oidc_rp", pattern, folder)
			}
		}
	}
	for _, route := range i.config.Routes {
		if route == nil || route.Mode != modePrivate {
			continue
		}
		for _, pattern := range pathsOf(route.MatcherSetsRaw) {
			folder, ok := folderOf(pattern)
			if ok && i.unnoticed(folder) && (len(guard) == 0 || anyMatches(guard, folder) != no || anyMatches(guard, pattern) != no) {
				warn("private", pattern, folder)
			}
		}
	}
}

// folderOf is the folder that a pattern is for everything in.
func folderOf(pattern string) (folder string, ok bool) {
	folder, ok = strings.CutSuffix(pattern, "/*")
	return folder, ok && folder != "" && strings.HasPrefix(folder, "/")
}

// unnoticed reports whether a path is public because no route names it.
func (i *writtenInstance) unnoticed(path string) bool {
	for _, route := range i.config.Routes {
		if route == nil {
			continue
		}
		if anyMatches(pathsOf(route.MatcherSetsRaw), path) != no {
			return false // somebody has thought of it
		}
	}
	return i.config.Mode == modePublic
}

// reachable is about logins whose way back ends at some other handler.
func (c *siteCheck) reachable(i *writtenInstance) {
	prefix := orDefault(i.config.Endpoints, defaultEndpoints)
	for _, id := range c.idsOf(i) {
		address := prefix + "/" + id + "/code"
		if own := c.ownProvider(i, id); own != nil && own.RedirectPath != "" {
			address = own.RedirectPath
		}
		served := i.reaches(address) != no
		for _, other := range i.site.found {
			served = served || other != i && other.sameSite(i) && other.reaches(address) != no && c.serves(other, id, prefix)
		}
		if !served {
			c.warn(i.site, "this instance is in a route that its endpoints do not come to, and no other instance of the site serves them: logins cannot end; add «oidc_rp endpoints» with the provider outside of the handle blocks",
				zap.String("provider", id), zap.String("endpoint", address))
			return
		}
	}
}

// serves reports whether an instance serves the endpoints of a provider under
// a prefix.
func (c *siteCheck) serves(i *writtenInstance, id, prefix string) bool {
	return orDefault(i.config.Endpoints, defaultEndpoints) == prefix && slices.Contains(c.idsOf(i), id)
}

// signedOut is about a logout that ends with another login: the provider may
// still know the user.
func (c *siteCheck) signedOut(i *writtenInstance) {
	path, _, _ := strings.Cut(i.config.SignedOut, "?")
	if i.config.Mode == modePublic || i.config.Mode == modeEndpoints || len(i.config.MatcherSetsRaw) > 0 || !strings.HasPrefix(path, "/") || hasPlaceholder(path) {
		return
	}
	for _, route := range i.config.Routes {
		if route != nil && (len(pathsOf(route.MatcherSetsRaw)) == 0 || anyMatches(pathsOf(route.MatcherSetsRaw), path) != no) {
			return
		}
	}
	if i.reaches(path) == yes {
		c.warn(i.site, "signed_out leads to a private page, where the next login begins at once: make that page public", zap.String("signed_out", i.config.SignedOut))
	}
}
