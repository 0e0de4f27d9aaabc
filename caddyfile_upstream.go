package oidcrp

import (
	"net/http"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
)

// parseUpstream reads the upstream block.
func parseUpstream(d *caddyfile.Dispenser, h *Handler) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	h.Upstream = new(UpstreamConfig)
	seen := make(caddyargs.Seen)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		var err error
		switch word := d.Val(); word {
		case "header":
			err = parseUpstreamHeader(d, h.Upstream)
		case "access_token":
			err = optionalHeader(d, seen, &h.Upstream.AccessToken, "Authorization")
		case "id_token":
			err = optionalHeader(d, seen, &h.Upstream.IDToken, "X-Id-Token")
		default:
			err = unrecognized(d, word, " of upstream", upstreamWords)
		}
		if err != nil {
			return err
		}
		if _, err := h.Upstream.headers(); err != nil {
			return d.WrapErr(err)
		}
	}
	if len(h.Upstream.Headers) == 0 && len(seen) == 0 {
		return d.Err("upstream is empty")
	}
	return nil
}

func parseUpstreamHeader(d *caddyfile.Dispenser, u *UpstreamConfig) error {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return d.Err("header takes a name and a value, in quotes if there are spaces in it")
	}
	name := http.CanonicalHeaderKey(args[0])
	if u.Headers[name] != "" {
		return d.Errf("the header %s is there twice", name)
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

func optionalHeader(d *caddyfile.Dispenser, seen caddyargs.Seen, field *string, otherwise string) error {
	if err := seen.Once(d, d.Val()); err != nil {
		return err
	}
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
