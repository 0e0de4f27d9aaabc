package main

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
)

var errorCode = regexp.MustCompile(`class="detail">\s*([a-z_]+)`)

// code returns the error code on one of the site's pages, or "".
func (p *page) code() string {
	if m := errorCode.FindStringSubmatch(p.body); m != nil {
		return m[1]
	}
	return ""
}

// String describes where a page load has ended, without secrets in addresses.
func (p *page) String() string {
	text := fmt.Sprintf("%d at %s", p.status, strings.Join(p.visited, " → "))
	if code := p.code(); code != "" {
		text += " (" + code + ")"
	}
	if p.stopped != "" {
		to, _, _ := strings.Cut(p.stopped, "?")
		text += ", stopped before " + to
	}
	return text
}

// checkResponse checks what must hold for every response of the site.
func checkResponse(p *page) error {
	seen := map[string]bool{}
	for _, line := range p.header.Values("Set-Cookie") {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			return fmt.Errorf("a cookie of %s: %w", p.url.Path, err)
		}
		if seen[c.Name] {
			return fmt.Errorf("two cookies named %s in one response of %s", c.Name, p.url.Path)
		}
		seen[c.Name] = true
		if !strings.HasPrefix(c.Name, "__Host-") && !strings.HasPrefix(c.Name, "__Secure-") {
			return fmt.Errorf("cookie %s of %s: expected the prefix __Host- or __Secure-", c.Name, p.url.Path)
		}
		if !c.Secure || !c.HttpOnly {
			return fmt.Errorf("cookie %s of %s: expected Secure and HttpOnly", c.Name, p.url.Path)
		}
		if c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteNoneMode {
			return fmt.Errorf("cookie %s of %s: expected SameSite", c.Name, p.url.Path)
		}
	}
	if strings.HasPrefix(p.body, greeting) { // the application's own response
		return nil
	}
	for name, expected := range map[string]string{
		"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
	} {
		if got := p.header.Get(name); !strings.Contains(got, expected) {
			return fmt.Errorf("%s of %s: expected %s, seen %q", name, p.url.Path, expected, got)
		}
	}
	return nil
}
