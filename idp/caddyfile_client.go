package oidcidp

import (
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
)

// clientOptions lists the options of a client.
var clientOptions = caddyargs.Table[*Client]{
	"redirect_uri": func(d *caddyfile.Dispenser, c *Client) error { return moreArgs(d, &c.RedirectURIs) },
	"post_logout_redirect_uri": func(d *caddyfile.Dispenser, c *Client) error {
		return moreArgs(d, &c.PostLogoutRedirectURIs)
	},
	"backchannel_logout_uri": func(d *caddyfile.Dispenser, c *Client) error {
		return caddyargs.StringArg(d, &c.BackchannelLogoutURI)
	},
	"initiate": func(d *caddyfile.Dispenser, c *Client) error { return caddyargs.StringArg(d, &c.InitiateLoginURI) },
	"secret":   func(d *caddyfile.Dispenser, c *Client) error { return caddyargs.StringArg(d, &c.Secret) },
	"public":   func(d *caddyfile.Dispenser, c *Client) error { return caddyargs.FlagArg(d, &c.Public) },
	"pkce":     func(d *caddyfile.Dispenser, c *Client) error { return caddyargs.EnumArg(d, &c.PKCE, pkceValues...) },
	"id_token_alg": func(d *caddyfile.Dispenser, c *Client) error {
		return caddyargs.EnumArg(d, &c.IDTokenAlg, idTokenAlgs...)
	},
	"grant": func(d *caddyfile.Dispenser, c *Client) error {
		return enumListArg(d, &c.Grants, []string{clientCredentials})
	},
	"resources": func(d *caddyfile.Dispenser, c *Client) error { return caddyargs.ListArg(d, &c.Resources) },
	"scopes":    func(d *caddyfile.Dispenser, c *Client) error { return caddyargs.ListArg(d, &c.Scopes) },
	"rotate": func(d *caddyfile.Dispenser, c *Client) error {
		on := new(bool)
		if err := caddyargs.BoolArg(d, &on); err != nil {
			return err
		}
		c.Rotate = *on
		return nil
	},
	"name": func(d *caddyfile.Dispenser, c *Client) error { return caddyargs.StringArg(d, &c.Name) },
}

// parseClient parses a relying party. Syntax:
//
//	client <id> {
//		redirect_uri <uris...>
//		post_logout_redirect_uri <uris...>
//		backchannel_logout_uri <uri>
//		initiate <uri>
//		secret <secret>
//		public
//		pkce required|optional
//		id_token_alg RS256|ES256
//		grant client_credentials
//		resources <uris...>
//		scopes <scopes...>
//		rotate on|off
//		name <text>
//	}
func parseClient(d *caddyfile.Dispenser, app *App) error {
	client := new(Client)
	id, place, err := newMember(d, "client", app.Clients)
	if err != nil {
		return err
	}
	seen, err := clientOptions.ReadBlock(d, clientBlock, client)
	if err != nil {
		return err
	}
	if err := client.check(); err != nil {
		return seen.PlaceOf(err, place).Errf("client %s: %w", id, err)
	}
	if app.Clients == nil {
		app.Clients = make(map[string]*Client)
	}
	app.Clients[id] = client
	return nil
}

// moreArgs parses one or more arguments of an option that may be repeated.
func moreArgs(d *caddyfile.Dispenser, field *[]string) error {
	var more []string
	if err := caddyargs.ListArg(d, &more); err != nil {
		return err
	}
	*field = append(*field, more...)
	return nil
}
