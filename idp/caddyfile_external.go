package oidcidp

import (
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/opconfig"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/broker"
)

var (
	externalBlock = &caddyargs.Kind{Name: "of an external provider", Place: "of an external provider", Repeats: []string{"acr"}}
	oidcBlock     = &caddyargs.Kind{Name: "of oidc", Place: "of an external provider's oidc"}
	samlBlock     = &caddyargs.Kind{Name: "of saml", Place: "of an external provider's saml"}
	oauth2Block   = &caddyargs.Kind{Name: "of oauth2", Place: "of an external provider's oauth2"}
)

// Allowed values of options.
var (
	linkValues = []string{broker.LinkOff, broker.LinkVerifiedEmail}
	signValues = []string{broker.SignResponse, broker.SignAssertion, broker.SignBoth, broker.SignEither}
)

// externalOptions lists the options of an external provider.
var externalOptions = caddyargs.Table[*External]{
	"oidc":    parseExternalOIDC,
	"saml":    parseExternalSAML,
	"oauth2":  parseExternalOAuth2,
	"domains": func(d *caddyfile.Dispenser, e *External) error { return caddyargs.ListArg(d, &e.Domains) },
	"create":  func(d *caddyfile.Dispenser, e *External) error { return onOff(d, &e.Create) },
	"link":    func(d *caddyfile.Dispenser, e *External) error { return caddyargs.EnumArg(d, &e.Link, linkValues...) },
	"groups": func(d *caddyfile.Dispenser, e *External) error {
		return caddyargs.ListAndMap(d, &e.Groups, &e.GroupNames)
	},
	"acr":      parseExternalACR,
	"name":     func(d *caddyfile.Dispenser, e *External) error { return caddyargs.StringArg(d, &e.Name) },
	"icon":     func(d *caddyfile.Dispenser, e *External) error { return caddyargs.StringArg(d, &e.Icon) },
	"disabled": func(d *caddyfile.Dispenser, e *External) error { return caddyargs.FlagArg(d, &e.Disabled) },
}

// onOff parses «on» or «off».
func onOff(d *caddyfile.Dispenser, field *bool) error {
	on := new(bool)
	if err := caddyargs.BoolArg(d, &on); err != nil {
		return err
	}
	*field = *on
	return nil
}

// parseExternal parses an external provider. Syntax:
//
//	external <id> {
//		oidc { <oidc options> }
//		saml [metadata <url or file>] { <saml options> }
//		oauth2 github|discord { client_id <id>; client_secret <secret> }
//		domains <domains...>
//		create on|off
//		link verified_email|off
//		groups <names...> { <theirs> <here> }
//		acr <value> mfa
//		name <text>
//		icon <file>
//		disabled
//	}
func parseExternal(d *caddyfile.Dispenser, app *App) error {
	place, e := caddyargs.At(d.Token()), External{}
	if err := caddyargs.StringArg(d, &e.ID); err != nil {
		return err
	}
	if slices.ContainsFunc(app.Externals, func(other External) bool { return other.ID == e.ID }) {
		return place.Errf("external %s appears twice", e.ID)
	}
	seen, err := externalOptions.ReadBlock(d, externalBlock, &e)
	if err != nil {
		return err
	}
	if err := e.check(); err != nil {
		return seen.PlaceOf(err, place).Errf("external %s: %w", e.ID, err)
	}
	app.Externals = append(app.Externals, e)
	if err := broker.CheckAll(app.brokerConfigs()); err != nil {
		return seen.PlaceOf(err, place).WrapErr(err)
	}
	return nil
}

// parseExternalACR parses an acr value that means two factors. Syntax:
//
//	acr <value> mfa
func parseExternalACR(d *caddyfile.Dispenser, e *External) error {
	args := d.RemainingArgs()
	if len(args) != 2 || args[0] == "" {
		return d.Errf("acr takes two arguments, the external provider's value and mfa, not %d", len(args))
	}
	if args[1] != broker.MFA {
		return suggest.Hint(d.Errf("acr: '%s' is not mfa, which is the only meaning that a value can have", args[1]), args[1], broker.MFA)
	}
	if e.ACR[args[0]] != "" {
		return d.Errf("acr %s appears twice", args[0])
	}
	if e.ACR == nil {
		e.ACR = make(map[string]string)
	}
	e.ACR[args[0]] = args[1]
	return nil
}

// oidcOptions lists the options of oidc.
var oidcOptions = caddyargs.Table[*ExternalOIDC]{
	"issuer": func(d *caddyfile.Dispenser, o *ExternalOIDC) error { return caddyargs.StringArg(d, &o.Issuer) },
	"configuration_url": func(d *caddyfile.Dispenser, o *ExternalOIDC) error {
		return caddyargs.StringArg(d, &o.ConfigurationURL)
	},
	"client_id":      func(d *caddyfile.Dispenser, o *ExternalOIDC) error { return caddyargs.StringArg(d, &o.ClientID) },
	"client_secret":  func(d *caddyfile.Dispenser, o *ExternalOIDC) error { return caddyargs.StringArg(d, &o.ClientSecret) },
	"client_auth":    parseExternalClientAuth,
	"scopes":         func(d *caddyfile.Dispenser, o *ExternalOIDC) error { return caddyargs.ListArg(d, &o.Scopes) },
	"username_claim": func(d *caddyfile.Dispenser, o *ExternalOIDC) error { return caddyargs.ListArg(d, &o.UsernameClaim) },
	"groups_claim":   func(d *caddyfile.Dispenser, o *ExternalOIDC) error { return caddyargs.StringArg(d, &o.GroupsClaim) },
	"email_trusted":  func(d *caddyfile.Dispenser, o *ExternalOIDC) error { return caddyargs.FlagArg(d, &o.EmailTrusted) },
	"login_is_auth_time": func(d *caddyfile.Dispenser, o *ExternalOIDC) error {
		return caddyargs.FlagArg(d, &o.LoginIsAuthTime)
	},
	"userinfo": func(d *caddyfile.Dispenser, o *ExternalOIDC) error {
		return caddyargs.EnumArg(d, &o.Userinfo, opconfig.UserinfoValues...)
	},
	"authorization_params": func(d *caddyfile.Dispenser, o *ExternalOIDC) error {
		return caddyargs.MapBlock(d, &o.AuthorizationParams)
	},
	"id_token_algs": func(d *caddyfile.Dispenser, o *ExternalOIDC) error { return caddyargs.ListArg(d, &o.IDTokenAlgs) },
	"ca":            func(d *caddyfile.Dispenser, o *ExternalOIDC) error { return caddyargs.ListArg(d, &o.CA) },
	"insecure":      func(d *caddyfile.Dispenser, o *ExternalOIDC) error { return caddyargs.FlagArg(d, &o.Insecure) },
}

// parseExternalClientAuth parses the client authentication method. Syntax:
//
//	client_auth <method> [<keys...>]
func parseExternalClientAuth(d *caddyfile.Dispenser, o *ExternalOIDC) error {
	args := d.RemainingArgs()
	if len(args) == 0 || slices.Contains(args, "") {
		return d.Err("client_auth takes a method, and for private_key_jwt the keys")
	}
	o.ClientAuth, o.ClientKeys = args[0], args[1:]
	if len(o.ClientKeys) == 0 {
		o.ClientKeys = nil
	}
	return nil
}

func parseExternalOIDC(d *caddyfile.Dispenser, e *External) error {
	e.OIDC = new(ExternalOIDC)
	return parseBlock(d, oidcOptions, oidcBlock, e.OIDC, func() error { return nil })
}

// samlOptions lists the options of saml.
var samlOptions = caddyargs.Table[*ExternalSAML]{
	"metadata":    func(d *caddyfile.Dispenser, s *ExternalSAML) error { return caddyargs.StringArg(d, &s.Metadata) },
	"entity_id":   func(d *caddyfile.Dispenser, s *ExternalSAML) error { return caddyargs.StringArg(d, &s.EntityID) },
	"endpoint":    func(d *caddyfile.Dispenser, s *ExternalSAML) error { return caddyargs.StringArg(d, &s.Endpoint) },
	"certificate": func(d *caddyfile.Dispenser, s *ExternalSAML) error { return caddyargs.StringArg(d, &s.Certificate) },
	"sign": func(d *caddyfile.Dispenser, s *ExternalSAML) error {
		return caddyargs.EnumArg(d, &s.Sign, signValues...)
	},
	"idp_initiated": func(d *caddyfile.Dispenser, s *ExternalSAML) error {
		err := caddyargs.StringArg(d, &s.IDPInitiated)
		if s.IDPInitiated == "off" {
			s.IDPInitiated = ""
		}
		return err
	},
	"decryption_key": func(d *caddyfile.Dispenser, s *ExternalSAML) error { return caddyargs.StringArg(d, &s.DecryptionKey) },
	"rotate_keys":    func(d *caddyfile.Dispenser, s *ExternalSAML) error { return durationOrOff(d, &s.RotateKeys) },
	"username":       func(d *caddyfile.Dispenser, s *ExternalSAML) error { return caddyargs.StringArg(d, &s.Username) },
	"claims":         func(d *caddyfile.Dispenser, s *ExternalSAML) error { return caddyargs.MapBlock(d, &s.Claims) },
}

// parseExternalSAML parses a SAML identity provider. Syntax:
//
//	saml [metadata <url or file>] {
//		metadata <url or file>
//		entity_id <entity ID>
//		endpoint <url>
//		certificate <PEM, base64 or file>
//		sign response|assertion|both|either
//		idp_initiated <client id or host>|off
//		decryption_key <PEM or file>
//		rotate_keys <duration>|off
//		username <attribute>
//		claims { <claim> <attribute> }
//	}
func parseExternalSAML(d *caddyfile.Dispenser, e *External) error {
	e.SAML = new(ExternalSAML)
	place := caddyargs.At(d.Token())
	args := d.RemainingArgs()
	if len(args) > 0 && (len(args) != 2 || args[0] != "metadata" || args[1] == "") {
		return place.Errf("saml takes metadata and its URL or file, or a block, not '%s'", strings.Join(args, " "))
	}
	if len(args) > 0 {
		e.SAML.Metadata = args[1]
	}
	seen, err := samlOptions.ReadBlock(d, samlBlock, e.SAML)
	if err != nil {
		return err
	}
	if token, twice := seen["metadata"]; twice && len(args) > 0 {
		return caddyargs.At(token).Err("metadata appears twice")
	}
	return nil
}

// oauth2Options lists the options of oauth2.
var oauth2Options = caddyargs.Table[*ExternalOAuth2]{
	"client_id": func(d *caddyfile.Dispenser, o *ExternalOAuth2) error { return caddyargs.StringArg(d, &o.ClientID) },
	"client_secret": func(d *caddyfile.Dispenser, o *ExternalOAuth2) error {
		return caddyargs.StringArg(d, &o.ClientSecret)
	},
}

func parseExternalOAuth2(d *caddyfile.Dispenser, e *External) error {
	e.OAuth2 = new(ExternalOAuth2)
	if err := caddyargs.EnumArg(d, &e.OAuth2.Preset, broker.Presets()...); err != nil {
		return err
	}
	_, err := oauth2Options.ReadBlock(d, oauth2Block, e.OAuth2)
	return err
}
