package provider

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
)

const (
	modeQuery    = "query"
	modeFormPost = "form_post"
)

// respond sends an authorization response, always with the issuer (RFC 9207) and
// the state of the request.
func (p *Provider) respond(w http.ResponseWriter, r *http.Request, a *authorization, fields map[string]string) {
	fields = maps.Clone(fields)
	fields["iss"] = p.issuer
	if a.State != "" {
		fields["state"] = a.State
	}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "no-referrer")
	if a.ResponseMode == modeFormPost {
		p.Pages.FormPost(w, r, a.RedirectURI, fields)
		return
	}
	p.Pages.Redirect(w, r, withQuery(a.RedirectURI, fields))
}

func (p *Provider) respondError(w http.ResponseWriter, r *http.Request, a *authorization, err *protocolError) {
	p.count("authorize", err.code)
	fields := map[string]string{"error": err.code}
	if err.description != "" {
		fields["error_description"] = err.description
	}
	p.respond(w, r, a, fields)
}

// withQuery adds fields to the query of an address.
func withQuery(address string, fields map[string]string) string {
	query := make(url.Values, len(fields))
	for name, value := range fields {
		query.Set(name, value)
	}
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	if strings.HasSuffix(address, "?") || strings.HasSuffix(address, "&") {
		separator = ""
	}
	return address + separator + query.Encode()
}
