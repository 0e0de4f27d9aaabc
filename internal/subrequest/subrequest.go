// Package subrequest reads how another proxy describes a request that it asks
// about, as nginx with auth_request, Traefik with forwardAuth and Caddy with
// forward_auth do: a subrequest has the header of the request, and beside it the
// method, the origin and the URI in headers of one of two families.
//
// Clients can send the same headers. Which family counts is therefore the
// operator's word: the proxy sets all headers of it, and those of the other one
// mean nothing. What is missing, doubled or not in its usual form describes no
// request.
//
// The package does not know who may send subrequests, nor what is made of them.
package subrequest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// Family is a family of headers that describe a request.
type Family string

const (
	// Forwarded is X-Forwarded-Method, -Proto, -Host and -Uri.
	Forwarded Family = "forwarded"
	// Original is X-Original-Method with X-Original-URL, or with X-Original-URI,
	// -Host and -Proto.
	Original Family = "original"
)

// Families are the names of all families.
var Families = []string{string(Forwarded), string(Original)}

// Request is a request that a subrequest describes.
type Request struct {
	Method string
	// Origin is the origin of the request, and Host its host as it was written.
	Origin address.Origin
	Host   string
	// URI is the request target as the client sent it, and URL its parsed form.
	URI string
	URL *url.URL
	// WebSocket reports whether the request opens a WebSocket.
	WebSocket bool
}

// Read parses the request that a header describes.
func (f Family) Read(header http.Header) (*Request, error) {
	r := new(Request)
	scheme, err := "", error(nil)
	if f == Forwarded {
		scheme, err = r.readForwarded(header)
	} else {
		scheme, err = r.readOriginal(header)
	}
	if err != nil {
		return nil, err
	}
	if !httpguts.ValidHeaderFieldName(r.Method) || r.Method == http.MethodConnect {
		return nil, fmt.Errorf("the method %q cannot be checked", r.Method)
	}
	canonical, isWebSocket, ok := schemeOf(scheme)
	if !ok {
		return nil, fmt.Errorf("the scheme %q is not http or https", scheme)
	}
	if r.Origin, ok = address.FromRequest(canonical, r.Host); !ok {
		return nil, fmt.Errorf("%q is not one host", r.Host)
	}
	if r.URL, err = parseTarget(r.URI); err != nil {
		return nil, err
	}
	r.WebSocket = isWebSocket || opensWebSocket(header)
	return r, nil
}

// readForwarded parses X-Forwarded headers, and returns the scheme.
func (r *Request) readForwarded(header http.Header) (scheme string, err error) {
	var errs [4]error
	r.Method, errs[0] = one(header, "X-Forwarded-Method")
	scheme, errs[1] = one(header, "X-Forwarded-Proto")
	r.Host, errs[2] = one(header, "X-Forwarded-Host")
	r.URI, errs[3] = one(header, "X-Forwarded-Uri")
	return scheme, errors.Join(errs[:]...)
}

// readOriginal parses X-Original headers, and returns the scheme. Proxies send the
// URL as a whole or in parts. If both are present, the client may have sent one of
// them, so they must be consistent.
func (r *Request) readOriginal(header http.Header) (scheme string, err error) {
	if r.Method, err = one(header, "X-Original-Method"); err != nil {
		return "", err
	}
	inParts := len(header["X-Original-Uri"])+len(header["X-Original-Host"])+len(header["X-Original-Proto"]) > 0
	if len(header["X-Original-Url"]) == 0 {
		return r.readParts(header)
	}
	whole, err := one(header, "X-Original-Url")
	if err != nil {
		return "", err
	}
	scheme, rest, absolute := strings.Cut(whole, "://")
	end := strings.IndexByte(rest, '/')
	if !absolute || end < 0 {
		return "", fmt.Errorf("X-Original-URL %q is not an absolute URL", whole)
	}
	r.Host, r.URI = rest[:end], rest[end:]
	if !inParts {
		return scheme, nil
	}
	parts := Request{Method: r.Method}
	if proto, err := parts.readParts(header); err != nil || proto != scheme || parts != *r {
		return "", errors.New("X-Original-URL and X-Original-URI, -Host and -Proto do not say the same")
	}
	return scheme, nil
}

// readParts reads the parts of a URL, and returns the scheme.
func (r *Request) readParts(header http.Header) (scheme string, err error) {
	var errs [3]error
	scheme, errs[0] = one(header, "X-Original-Proto")
	r.Host, errs[1] = one(header, "X-Original-Host")
	r.URI, errs[2] = one(header, "X-Original-Uri")
	return scheme, errors.Join(errs[:]...)
}

// one returns the value of a header that must occur once. The name is canonical.
func one(header http.Header, name string) (string, error) {
	switch values := header[name]; {
	case len(values) == 0 || len(values) == 1 && values[0] == "":
		return "", fmt.Errorf("%s is missing", name)
	case len(values) > 1:
		return "", fmt.Errorf("%s is there %d times", name, len(values))
	default:
		return values[0], nil
	}
}

// schemeOf parses a scheme, ignoring case. Some proxies send that of WebSockets.
func schemeOf(text string) (scheme string, isWebSocket, ok bool) {
	switch scheme = strings.ToLower(text); scheme {
	case "http", "https":
		return scheme, false, true
	case "ws":
		return "http", true, true
	case "wss":
		return "https", true, true
	}
	return "", false, false
}

// parseTarget parses a request target like Go's server. It accepts only paths with
// an optional query.
func parseTarget(target string) (*url.URL, error) {
	if target[0] != '/' || strings.IndexByte(target, ' ') >= 0 {
		return nil, fmt.Errorf("%q is not the path of a request", target)
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, fmt.Errorf("read the path of a request: %w", err)
	}
	return u, nil
}

// opensWebSocket reports whether a header is that of a WebSocket handshake. Proxies
// do not forward Upgrade.
func opensWebSocket(header http.Header) bool {
	return len(header["Sec-Websocket-Key"]) > 0 || slices.Contains(header["Sec-Fetch-Mode"], "websocket") ||
		slices.ContainsFunc(header["Upgrade"], func(line string) bool { return strings.EqualFold(strings.TrimSpace(line), "websocket") })
}

// describing are the headers of both families, and others with which proxies
// describe a request, except for the addresses in X-Forwarded-For.
var describing = []string{
	"X-Forwarded-Method", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Uri",
	"X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Server", "X-Forwarded-Ssl",
	"X-Original-Method", "X-Original-Url", "X-Original-Uri", "X-Original-Host", "X-Original-Proto",
}

// Strip removes the describing headers of a subrequest, so that the header of the
// described request remains.
func Strip(header http.Header) {
	for _, name := range describing {
		delete(header, name)
	}
}
