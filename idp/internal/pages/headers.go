package pages

import (
	"net/http"
	"strings"
)

// securityHeaders are on every answer of this package.
func securityHeaders(header http.Header, policy string) {
	if policy == "" {
		policy = "default-src 'none'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
	}
	header.Set("Content-Security-Policy", policy)
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	header.Set("Permissions-Policy", "publickey-credentials-create=(self), publickey-credentials-get=(self), camera=(), geolocation=(), microphone=(), payment=(), usb=()")
}

// policy is a page's Content-Security-Policy. Styles and scripts are named one by
// one, with their whole addresses.
func (p *Pages) policy(page Page) string {
	origin := p.options.Issuer
	parts := []string{"default-src 'none'", "style-src " + origin + p.assets.url("style.css"), "img-src 'self'"}
	if scripted, ok := page.(scripted); ok {
		if name := scripted.script(); name != "" {
			parts = append(parts, "script-src "+origin+p.assets.url(name))
		}
	}
	forms := "form-action 'self'"
	if leaving, ok := page.(leaving); ok {
		forms += " " + leaving.origin()
	}
	return strings.Join(append(parts, forms, "frame-ancestors 'none'", "base-uri 'none'"), "; ")
}

// scripted is a page that has a script: the name of its file.
type scripted interface{ script() string }

// leaving is a page whose form leads to another origin.
type leaving interface{ origin() string }

// Redirect sends a browser to an address of another site, or of this one. The
// address is written byte for byte.
//
// Browsers apply the form-action of a page to the redirects after its form, too,
// and none of ours names another site. So what follows a form leaves by a page
// that goes on at once; programs, which know no policies, get a redirect.
func (p *Pages) Redirect(w http.ResponseWriter, r *http.Request, address string) {
	ours := strings.HasPrefix(address, "/") && !strings.HasPrefix(address, "//") || strings.HasPrefix(address, p.options.Issuer+"/")
	if r.Method == http.MethodPost && !ours && isBrowser(r) {
		p.Render(w, r, http.StatusOK, &Continue{URL: address})
		return
	}
	securityHeaders(w.Header(), "")
	w.Header()["Location"] = []string{address}
	w.WriteHeader(http.StatusSeeOther)
}

// isBrowser reports whether a request is by something that shows pages.
func isBrowser(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Mode") != "" || strings.HasPrefix(r.UserAgent(), "Mozilla/")
}
