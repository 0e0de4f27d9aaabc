package oidcrp

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"golang.org/x/net/http/httpguts"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authz"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
)

// websocket is the one protocol that an Upgrade may always name.
const websocket = "websocket"

// upgrade is what a request asked its connection to become. An upgraded
// connection is a tunnel past the guard, so the request's header loses it on
// every path, and gets it back only where the request goes on to the next
// handler and the protocol is allowed.
type upgrade struct{ protocol string }

// takeUpgrade takes Upgrade, HTTP2-Settings and their Connection tokens out of
// the header. It returns nil where they name no single protocol (RFC 9110 7.8).
func takeUpgrade(r *http.Request) *upgrade {
	lines, sent := r.Header["Upgrade"]
	_, settings := r.Header["Http2-Settings"]
	connection := r.Header["Connection"]
	if !sent && !settings && !slices.ContainsFunc(connection, namesUpgrade) {
		return nil
	}
	delete(r.Header, "Upgrade")
	delete(r.Header, "Http2-Settings")
	named := httpguts.HeaderValuesContainsToken(connection, "Upgrade")
	dropTokens(r.Header, "Connection", isUpgradeToken)
	if len(lines) != 1 || !named || r.ProtoMajor != 1 || r.ProtoMinor < 1 {
		return nil
	}
	protocol := strings.Trim(lines[0], " \t")
	if !isProtocol(protocol) || navigation.IsPreflight(r) {
		return nil
	}
	return &upgrade{protocol}
}

// isWebsocket reports whether the request opens a WebSocket.
func (u *upgrade) isWebsocket() bool { return u != nil && strings.EqualFold(u.protocol, websocket) }

// giveBack puts the upgrade into the header again, if it is for a WebSocket or
// for one of the protocols that are allowed.
func (u *upgrade) giveBack(header http.Header, allowed []string) {
	if u == nil || !u.isWebsocket() && !namesProtocol(allowed, u.protocol) {
		return
	}
	header["Upgrade"] = []string{u.protocol}
	// What is left of it was scrubbed: it names no header of ours.
	header["Connection"] = append(slices.Clone(header["Connection"]), "Upgrade")
}

// namesProtocol reports whether a list has a protocol, in any case of letters.
func namesProtocol(list []string, protocol string) bool {
	return slices.ContainsFunc(list, func(p string) bool { return strings.EqualFold(p, protocol) })
}

func isUpgradeToken(token string) bool {
	return strings.EqualFold(token, "Upgrade") || strings.EqualFold(token, "HTTP2-Settings")
}

// namesUpgrade reports whether a line of the Connection header has a token that
// belongs to an upgrade. It allocates nothing.
func namesUpgrade(line string) bool {
	for len(line) > 0 {
		var token string
		token, line, _ = strings.Cut(line, ",")
		if isUpgradeToken(strings.Trim(token, " \t")) {
			return true
		}
	}
	return false
}

// dropTokens removes the tokens of a list header that drop names, and the
// header when nothing is left. The lines that were sent are not written to.
func dropTokens(header http.Header, name string, drop func(token string) bool) {
	var kept []string
	changed := false
	for _, line := range header[name] {
		tokens := strings.Split(line, ",")
		left := slices.DeleteFunc(tokens, func(token string) bool { return drop(strings.Trim(token, " \t")) })
		changed = changed || len(left) < len(tokens)
		if text := strings.Trim(strings.Join(left, ","), " \t"); text != "" {
			kept = append(kept, text)
		}
	}
	switch {
	case !changed:
	case len(kept) == 0:
		delete(header, name)
	default:
		header[name] = kept
	}
}

// isProtocol reports whether a text is one protocol of an Upgrade header: a
// name and perhaps a version, each a token (RFC 9110 7.8).
func isProtocol(text string) bool {
	name, version, versioned := strings.Cut(text, "/")
	return httpguts.ValidHeaderFieldName(name) && (!versioned || httpguts.ValidHeaderFieldName(version))
}

// checkUpgrades refuses protocols that carry requests, since no guard would see
// them, and texts that are no protocol.
func checkUpgrades(protocols []string) error {
	for _, protocol := range protocols {
		name, _, _ := strings.Cut(protocol, "/")
		switch {
		case !isProtocol(protocol) || name == "*":
			return fmt.Errorf("upgrades: %q is not a protocol; write it as in an Upgrade header, like SPDY/3.1", protocol)
		case carriesRequests(name):
			return fmt.Errorf("upgrades: %s carries requests past the guard and is never passed on", protocol)
		}
	}
	return nil
}

// carriesRequests reports whether a protocol of a name is HTTP or can hold it,
// drafts of it included (h2c-14).
func carriesRequests(name string) bool {
	name, _, _ = strings.Cut(strings.ToLower(name), "-")
	return slices.Contains([]string{"http", "https", "h2", "h2c", "h3", "tls", "ssl"}, name)
}

// isWebsocketConnect reports whether a CONNECT request opens a WebSocket
// (RFC 8441, RFC 9220). Go puts the pseudo-header :protocol into the header for
// HTTP/2; quic-go puts it into Proto for HTTP/3.
func isWebsocketConnect(r *http.Request) bool {
	switch r.ProtoMajor {
	case 2:
		protocol := r.Header[":protocol"]
		return len(protocol) == 1 && protocol[0] == websocket
	case 3:
		return r.Proto == websocket
	}
	return false
}

// serveConnect refuses CONNECT, which asks for a tunnel, unless it opens a
// WebSocket: that is judged as a GET of its path, and no endpoint. Its refusals
// are written here: what is left to handle_errors may be proxied as it came.
func (h *Handler) serveConnect(w http.ResponseWriter, r *http.Request, original *url.URL, next caddyhttp.Handler) error {
	if !isWebsocketConnect(r) || original.Path == "" || h.hasEndpoint(original.Path) {
		strictSecurityHeaders(w.Header())
		w.Header().Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
		w.WriteHeader(http.StatusMethodNotAllowed)
		return nil
	}
	protocol, sent := r.Header[":protocol"]
	delete(r.Header, ":protocol")
	r.Method = http.MethodGet
	passed := false
	err := h.serve(w, r, original, caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
		passed = true
		r.Method = http.MethodConnect
		if sent {
			r.Header[":protocol"] = protocol
		}
		return next.ServeHTTP(w, r)
	}), true)
	if err == nil || passed {
		return err
	}
	status := http.StatusInternalServerError
	var refusal caddyhttp.HandlerError
	if errors.As(err, &refusal) && refusal.StatusCode != 0 {
		status = refusal.StatusCode
	}
	h.logger.Debug("a WebSocket was refused", zap.Int("status", status), zap.Error(err))
	strictSecurityHeaders(w.Header())
	w.WriteHeader(status)
	return nil
}

// hasEndpoint reports whether a path is an endpoint of an instance on this site.
func (h *Handler) hasEndpoint(path string) bool {
	_, found := h.endpoint(path)
	return found || h.siblingFor(path) != nil
}

// serveForeign passes a WebSocket of another site's page on as nobody's, or
// refuses it.
func (h *Handler) serveForeign(w http.ResponseWriter, r *http.Request, st *requestState, policy authz.Policy, next caddyhttp.Handler) error {
	st.dropIdentity(r.Header)
	if !policy.Public {
		return h.errorPage(w, r, st, http.StatusForbidden, &failure{code: errorcode.Forbidden, cause: errorcode.ErrForeignWebSocket}, "")
	}
	st.upgrade.giveBack(r.Header, h.Upgrades)
	return next.ServeHTTP(w, r)
}

// isFromForeignPage reports whether a page of another origin opened a
// WebSocket: browsers send cookies with those, and ask nobody first. A program
// sends no Origin.
func (h *Handler) isFromForeignPage(r *http.Request) bool {
	from, sent := r.Header["Origin"]
	if !sent {
		return false
	}
	s := h.cookieScope(r)
	if len(from) != 1 || s == nil {
		return true
	}
	return !s.Origin.SameOrigin(from[0]) && !slices.ContainsFunc(h.returnTo, func(o address.Origin) bool { return o.SameOrigin(from[0]) })
}
