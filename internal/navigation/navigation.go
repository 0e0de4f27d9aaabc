// Package navigation determines what a request is for: a page load, a form, a
// frame, a subresource, or a program's call. It reads the method, fetch
// metadata (W3C Fetch Metadata Request Headers) and, if there is none, Accept
// and X-Requested-With.
//
// It knows nothing about sites or sessions. Any client can send any of these
// headers, so they may decide what a response looks like, but never who may see
// it.
package navigation

import (
	"net/http"
	"strings"
)

// IsPageLoad reports whether a request appears to be a user opening a page: a
// top-level navigation with GET or HEAD. Only such requests may begin a login,
// since a redirect to the provider is of no use to others and each login takes
// up a cookie.
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
		return false // neither a link nor a form
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

// IsSubresource reports whether, according to fetch metadata, a request is for
// something other than a page in its own tab: an image, a script, a frame, a
// prefetched page. A login would be of no use there, and could displace another
// login in progress.
func IsSubresource(r *http.Request) bool { return hasFetchMetadata(r) && !isTopLevel(r) }

// WantsPage reports whether an error response should be an HTML page for a
// user, rather than a problem document for a program (RFC 9457).
func WantsPage(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate"
	}
	accept := r.Header.Get("Accept")
	return strings.Contains(accept, "text/html") || !strings.Contains(accept, "json")
}

// IsRead reports whether the method is GET or HEAD.
func IsRead(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// IsPreflight reports whether a request is a CORS preflight without a body.
func IsPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" &&
		r.Header.Get("Access-Control-Request-Method") != "" &&
		r.ContentLength == 0 && len(r.TransferEncoding) == 0
}

// HasFetchMetadata reports whether a request has any header whose name begins
// with Sec-Fetch-, even an empty one.
func HasFetchMetadata(r *http.Request) bool {
	for name := range r.Header {
		if strings.HasPrefix(name, "Sec-Fetch-") {
			return true
		}
	}
	return false
}

// AcceptsHTML reports whether the Accept header of a request names text/html.
func AcceptsHTML(r *http.Request) bool {
	for _, line := range r.Header["Accept"] {
		if strings.Contains(strings.ToLower(line), "text/html") {
			return true
		}
	}
	return false
}

// hasFetchMetadata reports whether a request has fetch metadata about its mode,
// destination or site.
func hasFetchMetadata(r *http.Request) bool {
	header := r.Header
	return header.Get("Sec-Fetch-Mode") != "" || header.Get("Sec-Fetch-Dest") != "" || header.Get("Sec-Fetch-Site") != ""
}

// isTopLevel reports whether a request with fetch metadata is for a page in its
// own tab, and is not a prefetch.
func isTopLevel(r *http.Request) bool {
	dest := r.Header.Get("Sec-Fetch-Dest")
	return r.Header.Get("Sec-Fetch-Mode") == "navigate" && (dest == "document" || dest == "") && r.Header.Get("Sec-Purpose") == ""
}
