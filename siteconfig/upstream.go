// Package siteconfig defines the options of sites that are blocks of their own: as JSON
// and as a Caddyfile have them, with what each option refuses by itself. It knows
// nothing of instances, providers and sessions; the root package makes from the
// options what serves requests.
package siteconfig

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/headers"
)

// Upstream configures what the application receives about the user.
type Upstream struct {
	// The request headers to set: header name to claim path, or to text with
	// placeholders. Anything a client sends under these names, in any spelling,
	// is removed first, by all instances on the site. Headers that frame or
	// route a request cannot be set: hop-by-hop headers, `Cookie`, `Host`,
	// `Content-*`, `Sec-*`, `Forwarded`, `X-Forwarded-For` and the like.
	Headers map[string]string `json:"headers,omitempty"`

	// The header for the access token: as a `Bearer` token if it is
	// `Authorization`, otherwise the bare token. The token is then kept in the
	// session. Default: the token is not passed on.
	AccessToken string `json:"access_token,omitempty"`

	// The header for the ID token. The token is then kept in the session.
	// Default: the token is not passed on.
	IDToken string `json:"id_token,omitempty"`

	// A signed statement about the user or program. Default: none.
	Assertion *Assertion `json:"assertion,omitempty"`
}

// Names returns the names of the identity headers, or an error if one of them must
// not be set.
func (u *Upstream) Names() ([]string, error) {
	names := slices.Sorted(maps.Keys(u.Headers))
	for _, name := range names {
		if u.Headers[name] == "" {
			return nil, fmt.Errorf("upstream: the header %s has no value", name)
		}
	}
	assertion := ""
	if u.Assertion != nil {
		if err := u.Assertion.check(); err != nil {
			return nil, err
		}
		assertion = u.Assertion.HeaderName()
	}
	for _, name := range []string{u.AccessToken, u.IDToken, assertion} {
		if name != "" {
			names = append(names, name)
		}
	}
	for i, name := range names {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpguts.ValidHeaderFieldName(name):
			return nil, fmt.Errorf("upstream: %q is not a header name", name)
		case canonical != name:
			return nil, fmt.Errorf("upstream: header %s is written %s", name, canonical)
		case !headers.MayIdentify(name):
			return nil, fmt.Errorf("upstream: the header %s is not ours to set", name)
		case slices.ContainsFunc(names[:i], func(other string) bool { return headers.SameName(name, other) }):
			return nil, fmt.Errorf("upstream: the header %s is set twice", name)
		}
	}
	return names, nil
}

// UpstreamBlock is the kind of the block of upstream.
var UpstreamBlock = &caddyargs.Kind{Name: "of upstream", Place: "of upstream", Options: upstreamOptions.Names()}

// upstreamOptions lists the options of upstream.
var upstreamOptions = caddyargs.Table[*Upstream]{
	"header": parseUpstreamHeader,
	"access_token": func(d *caddyfile.Dispenser, u *Upstream) error {
		return optionalHeader(d, &u.AccessToken, "Authorization")
	},
	"id_token": func(d *caddyfile.Dispenser, u *Upstream) error {
		return optionalHeader(d, &u.IDToken, "X-Id-Token")
	},
	"assertion": parseAssertion,
}

// ParseUpstream parses the block of upstream.
func ParseUpstream(d *caddyfile.Dispenser, field **Upstream) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	u := new(Upstream)
	*field = u
	seen := make(caddyargs.Seen)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := upstreamOptions.Read(d, UpstreamBlock, u, seen); err != nil {
			return err
		}
		delete(seen, "header") // may be repeated
		if _, err := u.Names(); err != nil {
			return d.WrapErr(err)
		}
	}
	if len(u.Headers) == 0 && len(seen) == 0 {
		return d.Err("upstream is empty")
	}
	return nil
}

func parseUpstreamHeader(d *caddyfile.Dispenser, u *Upstream) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Err("header takes a name and a value, in quotes if there are spaces in it")
	}
	name := http.CanonicalHeaderKey(args[0])
	if u.Headers[name] != "" {
		return d.Errf("the header %s appears twice", name)
	}
	if args[1] == "" {
		return d.Errf("the header %s has no value", name)
	}
	if u.Headers == nil {
		u.Headers = make(map[string]string)
	}
	u.Headers[name] = args[1]
	return nil
}

// optionalHeader parses the optional name of a header.
func optionalHeader(d *caddyfile.Dispenser, field *string, otherwise string) error {
	args := d.RemainingArgs()
	if len(args) > 1 {
		return d.ArgErr()
	}
	*field = otherwise
	if len(args) == 1 {
		if args[0] == "" {
			return d.Err("the header's name is empty")
		}
		*field = http.CanonicalHeaderKey(args[0])
	}
	return nil
}
