package oidcrp

import (
	"fmt"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
)

// check refuses settings of sessions that cannot work. Defaults are filled in.
func (s SessionConfig) check() error {
	err := firstBroken(
		rule{"lifetime", s.Lifetime < caddy.Duration(time.Minute) || s.Lifetime > caddy.Duration(maxLifetime), "lifetime is from one minute to 400 days"},
		rule{"idle_timeout", s.IdleTimeout != nil && *s.IdleTimeout != 0 && *s.IdleTimeout < caddy.Duration(time.Minute),
			"idle_timeout is off or at least one minute"},
		rule{"rotate", s.Rotate < caddy.Duration(time.Hour), "rotate is at least one hour"},
		rule{"max_chunks", s.MaxChunks < 1 || s.MaxChunks > cookie.MaxChunks, fmt.Sprintf("max_chunks is from 1 to %d", cookie.MaxChunks)},
	)
	if err != nil {
		return err
	}
	return s.Cookie.check()
}

// check refuses settings of the session cookie that cannot work.
func (c *CookieConfig) check() error {
	return firstBroken(
		rule{"", !isCookieName(c.Name), fmt.Sprintf("cookie: the name %q is not made of letters, digits, - and _", c.Name)},
		rule{"", strings.HasPrefix(c.Name, "__Host-") || strings.HasPrefix(c.Name, "__Secure-"), "cookie: the prefix of the name is added by itself"},
		rule{"domain", !isDomain(c.Domain), fmt.Sprintf("cookie: domain %q is not a domain's name", c.Domain)},
		rule{"same_site", c.SameSite == "strict", "cookie: same_site strict would loop: a login comes back from another site, without the cookie"},
		rule{"same_site", c.SameSite != "lax" && c.SameSite != "none", fmt.Sprintf("cookie: same_site: %q is none of lax, none", c.SameSite)},
		rule{"", c.Insecure && (c.SameSite == "none" || c.Partitioned),
			"cookie: browsers keep a cookie with same_site none or partitioned only over HTTPS; insecure excludes them"},
	)
}

func isCookieName(name string) bool {
	return name != "" && len(name) <= 64 && !strings.ContainsFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' || r == '-')
	})
}

// isDomain reports whether a text is the name of a domain, or empty.
func isDomain(text string) bool {
	if text == "" {
		return true
	}
	_, err := address.ParseOrigin("https://" + text)
	return err == nil && !strings.ContainsAny(text, ":/?#")
}
