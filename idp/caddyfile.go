package oidcidp

import (
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("oidc_idp", parseApp)
	httpcaddyfile.RegisterHandlerDirective("oidc_idp", parseHandler)
	httpcaddyfile.RegisterDirectiveOrder("oidc_idp", httpcaddyfile.Before, "respond")

	appBlock.Options = appOptions.Names()
	mailBlock.Options = mailOptions.Names()
	authenticatorBlock.Options = authenticatorOptions.Names()
	passwordBlock.Options = passwordOptions.Names()
	sessionBlock.Options = sessionOptions.Names()
	clientBlock.Options = clientOptions.Names()
	externalBlock.Options, oidcBlock.Options = externalOptions.Names(), oidcOptions.Names()
	samlBlock.Options, oauth2Block.Options = samlOptions.Names(), oauth2Options.Names()
	for _, b := range blocks {
		b.Others = blocks
	}
}

// Kinds of blocks. init sets their options, because the tables of options refer to
// functions that report errors.
var (
	appBlock           = &caddyargs.Kind{Name: "of oidc_idp", Place: "of oidc_idp itself", Repeats: []string{"authenticator", "client", "external"}}
	mailBlock          = &caddyargs.Kind{Name: "of mail", Place: "of mail"}
	authenticatorBlock = &caddyargs.Kind{Name: "of an authenticator", Place: "of an authenticator"}
	passwordBlock      = &caddyargs.Kind{Name: "of password", Place: "of an authenticator's password"}
	sessionBlock       = &caddyargs.Kind{Name: "of session", Place: "of an authenticator's session"}
	clientBlock        = &caddyargs.Kind{Name: "of a client", Place: "of a client", Repeats: []string{"redirect_uri", "post_logout_redirect_uri"}}
)

// blocks are the kinds of blocks that are searched for a misplaced option.
var blocks = []*caddyargs.Kind{
	authenticatorBlock, passwordBlock, sessionBlock, clientBlock, externalBlock, samlBlock, oidcBlock, oauth2Block, mailBlock, appBlock,
}

// appOptions lists the global options.
var appOptions = caddyargs.Table[*App]{
	"issuer":        parseIssuerOption,
	"database":      parseDatabase,
	"authenticator": parseAuthenticator,
	"client":        parseClient,
	"external":      parseExternal,
	"mail":          parseMail,
	"pages":         func(d *caddyfile.Dispenser, a *App) error { return caddyargs.StringArg(d, &a.Pages) },
	"name":          func(d *caddyfile.Dispenser, a *App) error { return caddyargs.StringArg(d, &a.Name) },
	"logo":          func(d *caddyfile.Dispenser, a *App) error { return caddyargs.StringArg(d, &a.Logo) },
	"languages":     func(d *caddyfile.Dispenser, a *App) error { return caddyargs.ListArg(d, &a.Languages) },
	"registration": func(d *caddyfile.Dispenser, a *App) error {
		return caddyargs.EnumArg(d, &a.Registration, registrationValues...)
	},
	"passkey_rp_id": func(d *caddyfile.Dispenser, a *App) error { return caddyargs.StringArg(d, &a.PasskeyRPID) },
	"accept_issuer": func(d *caddyfile.Dispenser, a *App) error { return caddyargs.FlagArg(d, &a.AcceptIssuer) },
	"rotate_keys":   parseRotateKeys,
	"contact":       func(d *caddyfile.Dispenser, a *App) error { return caddyargs.StringArg(d, &a.Contact) },
}

// parseApp parses the global option. Syntax:
//
//	oidc_idp {
//		issuer <url>
//		database sqlite [<file>] | <postgres URL>
//		authenticator <name> { <authenticator options> }
//		external <id> { <options of an external provider> }
//		client <id> { <client options> }
//		mail <smtp URL> { from <address>; tls verify|auto|off; username <name>; password <password> }
//		pages <folder>
//		name <text>
//		logo <file>
//		languages <tags...>
//		registration off|invite
//		contact <text>
//		passkey_rp_id <domain>
//		accept_issuer
//		rotate_keys <duration>|off
//	}
func parseApp(d *caddyfile.Dispenser, existing any) (any, error) {
	app, err := readApp(d, existing)
	if err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "oidc_idp", Value: caddyconfig.JSON(app, nil)}, nil
}

func readApp(d *caddyfile.Dispenser, existing any) (*App, error) {
	d.Next() // the option's name
	if existing != nil {
		return nil, d.Err("oidc_idp appears twice")
	}
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	place, app := caddyargs.At(d.Token()), new(App)
	seen, err := appOptions.ReadBlock(d, appBlock, app)
	if err != nil {
		return nil, err
	}
	if app.IssuerURL == "" {
		return nil, place.Err("issuer is missing: it is the URL of the site that has the handler oidc_idp, such as https://login.example.com")
	}
	if err := app.checkWords(); err != nil {
		return nil, seen.PlaceOf(err, place).WrapErr(err)
	}
	if err := app.checkExternals(); err != nil {
		return nil, seen.PlaceOf(err, place).WrapErr(err)
	}
	return app, nil
}

func parseIssuerOption(d *caddyfile.Dispenser, a *App) error {
	if err := caddyargs.StringArg(d, &a.IssuerURL); err != nil || strings.Contains(a.IssuerURL, "{") {
		return err
	}
	if _, err := parseIssuer(a.IssuerURL); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// parseDatabase parses where accounts are kept. Syntax:
//
//	database sqlite [<file>]
//	database <postgres URL>
func parseDatabase(d *caddyfile.Dispenser, a *App) error {
	args := d.RemainingArgs()
	if len(args) == 0 || args[0] == "" {
		return d.Err("database takes sqlite with a file or without one, or the URL of a PostgreSQL database")
	}
	db := &Database{Engine: "postgres"}
	switch {
	case args[0] == "sqlite" && len(args) == 1:
		db.Engine = "sqlite"
	case args[0] == "sqlite" && len(args) == 2 && args[1] != "":
		db.Engine, db.File = "sqlite", args[1]
	case len(args) > 1:
		return d.Errf("database takes one argument, or sqlite and a file, not %d arguments", len(args))
	case !strings.ContainsAny(args[0], ":{"):
		return suggest.Hint(d.Errf("database: unrecognized value '%s'; it is sqlite, or a URL like postgres://localhost/accounts", args[0]), args[0], databaseEngines...)
	default:
		db.URL = args[0]
	}
	a.Database = db
	if err := db.check(); err != nil {
		return d.Errf("database: %w", err)
	}
	return nil
}

// parseRotateKeys parses how long a key signs; «off» disables rotation.
func parseRotateKeys(d *caddyfile.Dispenser, a *App) error {
	if err := durationOrOff(d, &a.RotateKeys); err != nil {
		return err
	}
	if a.RotateKeys == 0 {
		a.RotateKeys = -1
	}
	return nil
}

// mailOptions lists the options of mail.
var mailOptions = caddyargs.Table[*Mail]{
	"tls":      func(d *caddyfile.Dispenser, m *Mail) error { return caddyargs.EnumArg(d, &m.TLS, mailTLSValues...) },
	"from":     func(d *caddyfile.Dispenser, m *Mail) error { return caddyargs.StringArg(d, &m.From) },
	"username": func(d *caddyfile.Dispenser, m *Mail) error { return caddyargs.StringArg(d, &m.Username) },
	"password": func(d *caddyfile.Dispenser, m *Mail) error { return caddyargs.StringArg(d, &m.Password) },
}

func parseMail(d *caddyfile.Dispenser, a *App) error {
	place := caddyargs.At(d.Token())
	a.Mail = new(Mail)
	if err := caddyargs.StringArg(d, &a.Mail.Server); err != nil {
		return err
	}
	seen, err := mailOptions.ReadBlock(d, mailBlock, a.Mail)
	if err != nil {
		return err
	}
	if err := a.Mail.check(); err != nil {
		return seen.PlaceOf(err, place).Errf("mail: %w", err)
	}
	return nil
}

// parseHandler parses the directive, which has no options of its own. Syntax:
//
//	oidc_idp
func parseHandler(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	h.Next() // the directive's name
	if h.NextArg() || h.NextBlock(0) {
		return nil, h.Err("oidc_idp takes no arguments here; its options are global")
	}
	return new(Handler), nil
}
