package oidcidp

import (
	"context"
	"errors"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/builtin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
)

// Inspect implements builtin.Inspector, for `caddy oidc-rp check`. It examines the
// database without opening it, so that nothing changes.
func (a *App) Inspect(ctx context.Context) []builtin.Finding {
	all := []builtin.Finding{a.inspectDatabase(ctx)}
	if http, err := a.ctx.AppIfConfigured("http"); err == nil {
		all = append(all, a.inspectSites(http.(*caddyhttp.App)))
	}
	return all
}

func (a *App) inspectDatabase(ctx context.Context) builtin.Finding {
	const name = "database"
	options := a.Database.options()
	what := "PostgreSQL answers"
	if options.SQLite != "" {
		what = "SQLite, " + options.SQLite
	}
	switch err := database.Probe(ctx, options); {
	case errors.Is(err, database.ErrMissing):
		return builtin.Finding{Name: name, Message: what + ": " + err.Error()}
	case err != nil && options.SQLite != "":
		return builtin.Finding{Name: name, Message: err.Error(), Remedy: "Run the check as the user who runs Caddy. The file has to be that user's, with mode 0600 in a folder that no one else can write to."}
	case err != nil:
		return builtin.Finding{Name: name, Message: err.Error(), Remedy: "Check host, name, user and password of the option database, and that the server accepts connections from here."}
	}
	return builtin.Finding{Name: name, Message: what}
}

func (a *App) inspectSites(http *caddyhttp.App) builtin.Finding {
	const name = "site of the issuer"
	served, crowded := a.lookAtSites(http)
	switch {
	case !served:
		return builtin.Finding{Name: name, Message: noSite, Remedy: "Add a site " + a.issuer.Host + " with the directive oidc_idp."}
	case len(crowded) > 0:
		return builtin.Finding{Name: name, Message: otherHandlers, Remedy: "Move what else is in that site to a host of its own."}
	}
	return builtin.Finding{Name: name, Message: a.issuer.String() + " has the handler oidc_idp and nothing else"}
}

var _ builtin.Inspector = (*App)(nil)
