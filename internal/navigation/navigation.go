// Package navigation tells what a request is for: a page load, a form, a frame,
// a subresource, a call of a program. It reads the method, fetch metadata
// (W3C Fetch Metadata Request Headers) and, of browsers and programs that send
// none, Accept and X-Requested-With.
//
// It knows nothing of sites, sessions or what follows from its answers. A
// program can send any of these headers, so they decide how an answer looks and
// never who may see it.
package navigation

import (
	"net/http"
	"strings"
)

// IsPageLoad reports whether a user opens a page, as far as a request tells:
// a top-level navigation by GET or HEAD. Only that may begin a login, as a
// redirect serves nothing else and each one costs a cookie.
func IsPageLoad(r *http.Request) bool {
	if !IsRead(r) {
		return false
	}
	if !hasFetchMetadata(r) {
		return strings.Contains(r.Header.Get("Accept"), "text/html") && r.Header.Get("X-Requested-With") == ""
	}
	return isTopLevel(r)
}

// IsNavigation reports whether a user sees the response in a tab or a frame: a
// page load, a submitted form, or a page in a frame.
func IsNavigation(r *http.Request) bool {
	if !IsRead(r) && r.Method != http.MethodPost {
		return false // what no link and no form sends
	}
	header := r.Header
	if !strings.Contains(header.Get("Accept"), "text/html") || header.Get("X-Requested-With") != "" {
		return false
	}
	if !hasFetchMetadata(r) {
		return true
	}
	return header.Get("Sec-Fetch-Mode") == "navigate" && header.Get("Sec-Purpose") == ""
}

// IsSubresource reports whether a browser says that a request is for something
// other than a page in a tab of its own: an image, a script, a frame, a page in
// advance. A login would serve nothing there, and cost another one in flight.
func IsSubresource(r *http.Request) bool { return hasFetchMetadata(r) && !isTopLevel(r) }

// WantsPage reports whether an error is to be a page for a user, not a problem
// document for a program (RFC 9457).
func WantsPage(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "text/html") || !strings.Contains(accept, "json")
}

// IsRead reports whether a request only reads.
func IsRead(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// IsPreflight reports whether a request is a CORS preflight without a body.
func IsPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" &&
		r.Header.Get("Access-Control-Request-Method") != "" &&
		r.ContentLength == 0 && len(r.TransferEncoding) == 0
}

// HasFetchMetadata reports whether a request has any header of a browser's fetch
// metadata, whatever it says.
func HasFetchMetadata(r *http.Request) bool {
	for name := range r.Header {
		if strings.HasPrefix(name, "Sec-Fetch-") {
			return true
		}
	}
	return false
}

// AcceptsHTML reports whether a request names HTML among what it accepts.
func AcceptsHTML(r *http.Request) bool {
	for _, line := range r.Header["Accept"] {
		if strings.Contains(strings.ToLower(line), "text/html") {
			return true
		}
	}
	return false
}

// hasFetchMetadata reports whether a browser says what the request is for.
func hasFetchMetadata(r *http.Request) bool {
	header := r.Header
	return header.Get("Sec-Fetch-Mode") != "" || header.Get("Sec-Fetch-Dest") != "" || header.Get("Sec-Fetch-Site") != ""
}

// isTopLevel reports whether a request with fetch metadata is for a page in a
// tab of its own, now and not in advance.
func isTopLevel(r *http.Request) bool {
	dest := r.Header.Get("Sec-Fetch-Dest")
	return r.Header.Get("Sec-Fetch-Mode") == "navigate" && (dest == "document" || dest == "") && r.Header.Get("Sec-Purpose") == ""
}
