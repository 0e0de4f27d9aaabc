package headers

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
)

// webSocket is the protocol that is always allowed in Upgrade.
const webSocket = "websocket"

// Upgrade is the protocol of a request's Upgrade header. An upgraded connection
// bypasses the guard. The header is therefore removed from every request, and only
// restored if the request is forwarded and the protocol is allowed. A nil Upgrade
// means that there is none.
type Upgrade struct{ protocol string }

// takeUpgrade removes Upgrade, HTTP2-Settings and their Connection options from the
// header. It returns nil if they do not name exactly one protocol (RFC 9110,
// section 7.8).
func takeUpgrade(r *http.Request) *Upgrade {
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
	return &Upgrade{protocol}
}

// IsWebSocket reports whether the request opens a WebSocket.
func (u *Upgrade) IsWebSocket() bool { return u != nil && strings.EqualFold(u.protocol, webSocket) }

// Restore sets the header again, if the protocol is websocket or in the list of
// allowed ones.
func (u *Upgrade) Restore(header http.Header, allowed []string) {
	if u == nil || !u.IsWebSocket() && !NamesProtocol(allowed, u.protocol) {
		return
	}
	header["Upgrade"] = []string{u.protocol}
	// The rest of Connection was cleaned before.
	header["Connection"] = append(slices.Clone(header["Connection"]), "Upgrade")
}

// NamesProtocol reports whether a list contains a protocol, ignoring case.
func NamesProtocol(list []string, protocol string) bool {
	return slices.ContainsFunc(list, func(p string) bool { return strings.EqualFold(p, protocol) })
}

func isUpgradeToken(token string) bool {
	return strings.EqualFold(token, "Upgrade") || strings.EqualFold(token, "HTTP2-Settings")
}

// namesUpgrade reports whether a line of the Connection header has a token that
// belongs to an upgrade.
func namesUpgrade(line string) bool { return anyToken(line, isUpgradeToken) }

// isProtocol reports whether text is a protocol: a name and optionally a version,
// each a token (RFC 9110, section 7.8).
func isProtocol(text string) bool {
	name, version, versioned := strings.Cut(text, "/")
	return httpguts.ValidHeaderFieldName(name) && (!versioned || httpguts.ValidHeaderFieldName(version))
}

// CheckUpgrades returns an error for texts that are not protocols, and for
// protocols that carry HTTP requests, since those would bypass the guard.
func CheckUpgrades(protocols []string) error {
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

// carriesRequests reports whether a protocol is or can carry HTTP, including drafts
// such as h2c-14.
func carriesRequests(name string) bool {
	name, _, _ = strings.Cut(strings.ToLower(name), "-")
	return slices.Contains([]string{"http", "https", "h2", "h2c", "h3", "tls", "ssl"}, name)
}

// IsWebSocketConnect reports whether a CONNECT request opens a WebSocket
// (RFC 8441, RFC 9220). Go puts the pseudo-header :protocol into the header for
// HTTP/2; quic-go puts it into Proto for HTTP/3.
func IsWebSocketConnect(r *http.Request) bool {
	switch r.ProtoMajor {
	case 2:
		protocol := r.Header[":protocol"]
		return len(protocol) == 1 && protocol[0] == webSocket
	case 3:
		return r.Proto == webSocket
	}
	return false
}
