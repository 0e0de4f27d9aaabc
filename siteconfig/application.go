package siteconfig

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
)

// BuiltinKeys is the value of access_keys for the identity provider of this Caddy.
// A file of this name can be written as ./builtin.
const BuiltinKeys = "builtin"

// Application configures how programs are let in: under the same rules as people,
// without cookies or redirects. The credentials accepted here never reach the
// application.
type Application struct {
	// The file of access keys. Each line is `name:hash[:groups[:expires]]`: the
	// hexadecimal SHA-256 of the key, groups separated by commas, and an RFC 3339
	// time. Changes take effect within seconds. Lines that cannot be parsed are
	// ignored. If the file can no longer be read, its last content is used for an
	// hour. Programs send a key as a bearer token. With `builtin`, the keys are those
	// of the application users of this Caddy's identity provider, the app `oidc_idp`.
	// Default: none.
	AccessKeys string `json:"access_keys,omitempty"`

	// Headers that may carry an access key, besides `Authorization`. Default:
	// none.
	Headers []string `json:"headers,omitempty"`

	// Whether a program may send its name and access key as the user name and password
	// of HTTP Basic. It is offered only to programs, and refused if a browser sends it.
	// Default: false.
	Basic bool `json:"basic,omitempty"`

	// Which access tokens are accepted as bearer tokens. Default: none.
	Bearer *Bearer `json:"bearer,omitempty"`

	// Serves the document at `/.well-known/oauth-protected-resource` that tells programs
	// where to get a token (RFC 9728). The site needs `base_url` or a host name.
	// Default: not served.
	ResourceMetadata *ResourceMetadata `json:"resource_metadata,omitempty"`
}

// Check returns an error for incompatible options.
func (a *Application) Check() error {
	switch {
	case a.AccessKeys == "" && len(a.Headers) > 0:
		return errors.New("application: header is where an access key may be, and needs access_keys")
	case a.AccessKeys == "" && a.Basic:
		return errors.New("application: basic takes access keys as passwords, and needs access_keys")
	case a.AccessKeys == "" && a.Bearer == nil:
		return errors.New("application: nothing is accepted; give access_keys or bearer")
	}
	if err := a.checkBearer(); err != nil {
		return err
	}
	for i, name := range a.Headers {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return fmt.Errorf("application: header: %q is not a header name", name)
		case canonical != name:
			return fmt.Errorf("application: header: %s is written %s", name, canonical)
		case name == "Authorization" || !headers.MayIdentify(name):
			return fmt.Errorf("application: header: an access key cannot be in %s", name)
		case slices.ContainsFunc(a.Headers[:i], func(other string) bool { return headers.SameName(name, other) }):
			return fmt.Errorf("application: header: %s appears twice", name)
		}
	}
	return nil
}

// ApplicationBlock is the kind of the block of application.
var ApplicationBlock = &caddyargs.Kind{Name: "of application", Place: "of application", Options: applicationOptions.Names(), Repeats: []string{"bearer"}}

// applicationOptions lists the options of application.
var applicationOptions = caddyargs.Table[*Application]{
	"access_keys":       func(d *caddyfile.Dispenser, a *Application) error { return caddyargs.StringArg(d, &a.AccessKeys) },
	"header":            parseKeyHeaders,
	"bearer":            parseBearer,
	"resource_metadata": parseResourceMetadata,
	"basic": func(d *caddyfile.Dispenser, a *Application) error {
		var on *bool
		err := caddyargs.BoolArg(d, &on)
		a.Basic = on != nil && *on
		return err
	},
}

// ParseApplication parses the block of application.
func ParseApplication(d *caddyfile.Dispenser, field **Application) error {
	place := caddyargs.At(d.Token())
	if d.NextArg() {
		return d.ArgErr()
	}
	a := new(Application)
	*field = a
	seen, err := applicationOptions.ReadBlock(d, ApplicationBlock, a)
	if err != nil {
		return err
	}
	if err := a.Check(); err != nil {
		return seen.PlaceOf(err, place).WrapErr(err)
	}
	return nil
}

// parseKeyHeaders parses the names of headers that may contain an access key.
func parseKeyHeaders(d *caddyfile.Dispenser, a *Application) error {
	if err := caddyargs.ListArg(d, &a.Headers); err != nil {
		return err
	}
	for i, name := range a.Headers {
		a.Headers[i] = http.CanonicalHeaderKey(name)
	}
	return nil
}
