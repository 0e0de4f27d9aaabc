package oidcrp

import (
	"errors"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
)

// checkSites looks at all sites of the configuration, once. What can never work
// is an error; what is often a mistake is a warning in the log.
func (a *App) checkSites(ctx caddy.Context) error {
	if a.checked {
		return nil
	}
	a.checked = true
	modules := ctx.Modules()
	if len(modules) == 0 {
		return nil
	}
	http, ok := modules[0].(*caddyhttp.App)
	if !ok {
		return nil // an instance in some other app
	}
	check := siteCheck{app: a, onDemand: onDemandIn(ctx)}
	a.sites = readSites(http)
	for _, site := range a.sites {
		check.look(site)
	}
	for _, w := range check.warnings {
		a.logger.Warn(w.message, append(w.fields, zap.String("site", w.site))...)
	}
	return errors.Join(check.errs...)
}

// siteCheck collects what is wrong with the sites of a configuration.
type siteCheck struct {
	app      *App
	onDemand func(host string) bool
	errs     []error
	warnings []siteWarning
}

type siteWarning struct {
	site, message string
	fields        []zap.Field
}

func (c *siteCheck) refuse(site *writtenSite, format string, args ...any) {
	err := fmt.Errorf("site %s: "+format, append([]any{site.name()}, args...)...)
	if !slices.ContainsFunc(c.errs, func(other error) bool { return other.Error() == err.Error() }) {
		c.errs = append(c.errs, err)
	}
}

// warn adds a warning, once for a site and what it is about.
func (c *siteCheck) warn(site *writtenSite, message string, fields ...zap.Field) {
	w := siteWarning{site.name(), message, fields}
	for _, other := range c.warnings {
		if other.site == w.site && other.message == w.message && fmt.Sprint(other.fields) == fmt.Sprint(w.fields) {
			return
		}
	}
	c.warnings = append(c.warnings, w)
}

func (c *siteCheck) look(site *writtenSite) {
	for _, message := range site.traps {
		c.warn(site, message)
	}
	for n, i := range site.found {
		c.baseURL(i)
		c.cookieDomain(i)
		c.privateFolders(i)
		c.reachable(i)
		c.signedOut(i)
		for _, other := range site.found[:n] {
			if i.sameSite(other) {
				c.equalIDs(i, other)
			}
		}
	}
}

// session is how an instance keeps sessions.
func (c *siteCheck) session(i *writtenInstance) SessionConfig {
	return i.config.Session.over(c.app.Session).withDefaults()
}
