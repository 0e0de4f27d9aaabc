package siteconfig

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/optioncheck"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/subrequest"
)

// Check configures the endpoint `check`, where other proxies ask whether requests may
// pass.
type Check struct {
	// Which headers describe the request in question: `forwarded` for
	// `X-Forwarded-Method`, `-Proto`, `-Host` and `-Uri`, as Caddy's `forward_auth`
	// and Traefik send them; `original` for `X-Original-Method` with
	// `X-Original-URL`, or with `X-Original-URI`, `-Host` and `-Proto`, as nginx is
	// configured to send them. The headers of the other family are ignored. There
	// is no default.
	Headers string `json:"headers,omitempty"`

	// The hosts that proxies may ask about. A name without a port covers every
	// port, and `*` as the first label covers any one label. Every other host is
	// refused. At least one is required.
	Hosts []string `json:"hosts,omitempty"`
}

// Family returns the family of headers, or an error for incomplete options.
func (c *Check) Family() (subrequest.Family, error) {
	if err := optioncheck.First(optioncheck.OneOf("check", c.Headers, subrequest.Families...)); err != nil {
		return "", err
	}
	if len(c.Hosts) == 0 {
		return "", errors.New("check: hosts is missing: name the hosts that may be asked about")
	}
	return subrequest.Family(c.Headers), nil
}

// CheckBlock is the kind of the block of check.
var CheckBlock = &caddyargs.Kind{Name: "of check", Place: "of check", Options: checkOptions.Names()}

// checkOptions lists the options of check.
var checkOptions = caddyargs.Table[*Check]{
	"hosts": func(d *caddyfile.Dispenser, c *Check) error {
		return caddyargs.CheckedListArg(d, &c.Hosts, checkHost)
	},
}

// checkHost returns an error for a text that is not a valid host. It accepts any
// with placeholders.
func checkHost(text string) error {
	if strings.Contains(text, "{") {
		return nil
	}
	return subrequest.CheckHost(text)
}

// ParseCheck parses the option check with its block. Syntax:
//
//	check forwarded|original {
//		hosts <name>...
//	}
func ParseCheck(d *caddyfile.Dispenser, field **Check) error {
	c := new(Check)
	*field = c
	if err := caddyargs.EnumArg(d, &c.Headers, subrequest.Families...); err != nil {
		return err
	}
	place := caddyargs.At(d.Token())
	if _, err := checkOptions.ReadBlock(d, CheckBlock, c); err != nil {
		return err
	}
	if _, err := c.Family(); err != nil {
		return place.WrapErr(err)
	}
	return nil
}

// ResolveHosts returns the hosts with placeholders expanded by expand.
func (c *Check) ResolveHosts(expand func(string) (string, error)) (subrequest.Hosts, error) {
	hosts := slices.Clone(c.Hosts)
	for i := range hosts {
		var err error
		if hosts[i], err = expand(hosts[i]); err != nil {
			return nil, fmt.Errorf("check: hosts: %w", err)
		}
	}
	resolved, err := subrequest.ParseHosts(hosts)
	if err != nil {
		return nil, fmt.Errorf("check: hosts: %w", err)
	}
	return resolved, nil
}
