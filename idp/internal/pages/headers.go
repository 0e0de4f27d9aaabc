package pages

import (
	"net/http"
	"strings"
)

// securityHeaders sets the security headers of every response of this package.
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

// policy returns the Content-Security-Policy of a page. Styles and scripts are listed
// individually, with their complete URLs.
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

// scripted is implemented by pages that may have a script. It returns the name of the
// file.
type scripted interface{ script() string }

// leaving is implemented by pages with a form that is posted to another origin.
type leaving interface{ origin() string }

// Redirect redirects a browser to a URL of this or another site. The URL is written byte
// for byte.
//
// Browsers also apply the form-action policy of a page to redirects that follow its form,
// and our policies do not name other sites. Therefore the response to a form leads to
// another site by way of a page that continues immediately. Programs other than browsers
// get a redirect.
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

// isBrowser reports whether a request comes from a browser, which can show pages.
func isBrowser(r *http.Request) bool {
	return r.Header.Get("Sec-Fetch-Mode") != "" || strings.HasPrefix(r.UserAgent(), "Mozilla/")
}
