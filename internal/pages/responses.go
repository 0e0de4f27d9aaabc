package pages

import (
	"encoding/json"
	"net/http"
)

// BaseSecurityHeaders sets the headers of every response of the plugin, including
// those that handle_errors writes, whose pages may use styles, images and scripts
// of the site: the response is not stored, sends no Referer, cannot be
// framed, and runs no inline script.
func BaseSecurityHeaders(header http.Header) {
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Content-Security-Policy", "script-src 'self'; frame-ancestors 'none'; base-uri 'none'")
}

// StrictSecurityHeaders sets the headers of every response that the plugin writes
// itself, which has no active content.
func StrictSecurityHeaders(header http.Header) {
	BaseSecurityHeaders(header)
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'")
}

// pageSecurityHeaders sets the headers of every page. Its policy allows its own
// styles and, of all active content, only its one script, if it has one. There is
// no form-action: browsers apply it to the redirects of a form, and the logout
// redirects to the provider.
func pageSecurityHeaders(header http.Header, nonce, scripts, ancestors string) {
	BaseSecurityHeaders(header)
	header.Set("Content-Security-Policy",
		"default-src 'none'; "+scripts+"style-src 'self' 'nonce-"+nonce+"'; img-src 'self' data:; frame-ancestors "+ancestors+"; base-uri 'none'")
}

// Redirect redirects a browser. Unlike http.Redirect it writes the address
// unchanged: cleaning its path can turn a checked address into one of another host.
func Redirect(w http.ResponseWriter, status int, address string) error {
	StrictSecurityHeaders(w.Header())
	w.Header()["Location"] = []string{address}
	w.WriteHeader(status)
	return nil
}

// Problem is the response that programs get instead of a page (RFC 9457). Its title
// is that of the status.
type Problem struct {
	// Detail is the sentence about the error that users would read.
	Detail string
	// Reason is the error code, or the reason of a 401.
	Reason string
	// User is the user who is signed in, and Provider the id of the provider; empty
	// for unauthenticated requests.
	User, Provider string
	// Rule is the rule that denies the request; may be empty.
	Rule string
	// LoginURL starts a new sign-in; may be empty.
	LoginURL string
	// ACRValues and MaxAge are what that has to prove: values of acr, separated by
	// spaces, and seconds (RFC 9470 3); may be empty and nil.
	ACRValues string
	MaxAge    *int64
	// LogoutURL signs the user out; may be empty.
	LogoutURL string
	// ErrorID identifies the line in the log; may be empty.
	ErrorID string
}

// Write writes the problem with a status.
func (p Problem) Write(w http.ResponseWriter, status int) error {
	text, err := json.Marshal(struct {
		ACRValues string `json:"acr_values,omitempty"`
		Detail    string `json:"detail"`
		ErrorID   string `json:"error_id,omitempty"`
		LoginURL  string `json:"login_url,omitempty"`
		LogoutURL string `json:"logout_url,omitempty"`
		MaxAge    *int64 `json:"max_age,omitempty"`
		Provider  string `json:"provider,omitempty"`
		Reason    string `json:"reason"`
		Rule      string `json:"rule,omitempty"`
		Status    int    `json:"status"`
		Title     string `json:"title"`
		Type      string `json:"type"`
		User      string `json:"user,omitempty"`
	}{p.ACRValues, p.Detail, p.ErrorID, p.LoginURL, p.LogoutURL, p.MaxAge, p.Provider, p.Reason, p.Rule, status, http.StatusText(status), "about:blank", p.User})
	if err != nil {
		return err
	}
	StrictSecurityHeaders(w.Header())
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Content-Language", "en")
	w.WriteHeader(status)
	_, err = w.Write(append(text, '\n'))
	return err
}
