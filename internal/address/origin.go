// Package address validates addresses from untrusted sources: the origin a
// request claims to be for, the place a browser wants to return to after a
// login, and everything that the path of a request may mean to the
// application behind us.
//
// All of it is hostile input, and for all of it the question is what another
// program will make of the bytes: a browser of a Location header, an
// application server of a path. The package has no state and does no I/O.
package address

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// maxHost is the maximum length of a host with its port. A DNS name has at most 253
// bytes (RFC 1035, section 2.3.4).
const maxHost = 255

// Origin is a web origin (RFC 6454 §4): who is meant by a URL, without what is
// asked of them. Values come from ParseOrigin and FromRequest, which bring them
// into the one spelling that browsers use, so == compares them as RFC 6454 §5
// says. The zero Origin belongs to no site and equals none that was parsed.
type Origin struct {
	// Scheme is "http" or "https".
	Scheme string
	// Host is in lower case, an IPv6 address in brackets and in its canonical
	// form, followed by ":" and the port where that is not the scheme's default.
	Host string
}

// ParseOrigin reads an origin that an operator configured, like
// "https://app.example.com". One slash at its end is forgiven; what else is
// too much or missing is an error that says so. A user name or password in the
// text is never repeated in the error.
func ParseOrigin(rawURL string) (Origin, error) {
	if rawURL == "" {
		return Origin{}, errors.New("the origin is empty; write it like https://app.example.com")
	}
	if strings.Contains(rawURL, "@") {
		return Origin{}, errors.New("an origin has no user name or password, and no “@”")
	}
	scheme, authority, rest, ok := split(rawURL)
	if !ok {
		return Origin{}, fmt.Errorf("%q: an origin begins with https:// or http://", rawURL)
	}
	switch {
	case strings.Contains(rest, "#"):
		return Origin{}, fmt.Errorf("%q: an origin has no fragment", rawURL)
	case strings.Contains(rest, "?"):
		return Origin{}, fmt.Errorf("%q: an origin has no query", rawURL)
	case rest != "" && rest != "/":
		return Origin{}, fmt.Errorf("%q: an origin has no path, this one has %q", rawURL, rest)
	}
	host, err := parseHost(scheme, authority)
	if err != nil {
		return Origin{}, fmt.Errorf("%q: %w", rawURL, err)
	}
	return Origin{Scheme: scheme, Host: host}, nil
}

// FromRequest makes an origin of a scheme and the value of a Host or
// X-Forwarded-Host header, if that is one host with an optional port from 1 to
// 65535, in at most 255 bytes. Names are made of letters, digits, "-", "_" and
// dots; the dot that may end a fully qualified name is left out, because the
// same server is meant. Whether the header may be believed is the caller's to
// know.
//
// Hosts that end in a number must be IPv4 addresses in the usual spelling:
// "127.1" and "0x7f.1" are the same to a browser as 127.0.0.1 (WHATWG URL, the
// «ends in a number checker»), and here they are no origin.
func FromRequest(scheme, hostport string) (Origin, bool) {
	scheme, ok := parseScheme(scheme)
	if !ok || len(hostport) > maxHost {
		return Origin{}, false
	}
	if name, port, found := strings.Cut(hostport, ":"); strings.HasSuffix(name, ".") {
		hostport = name[:len(name)-1]
		if found {
			hostport += ":" + port
		}
	}
	host, err := parseHost(scheme, hostport)
	if err != nil {
		return Origin{}, false
	}
	return Origin{Scheme: scheme, Host: host}, true
}

// String is the serialisation of RFC 6454 §6.2, as in an Origin header.
func (o Origin) String() string { return o.Scheme + "://" + o.Host }

// Hostname is the host without port and brackets: what cookies are kept by
// (RFC 6265 §8.5: not by port).
func (o Origin) Hostname() string {
	if inner, ok := strings.CutPrefix(o.Host, "["); ok {
		inner, _, _ = strings.Cut(inner, "]")
		return inner
	}
	name, _, _ := strings.Cut(o.Host, ":")
	return name
}

// Loopback reports whether the origin can only be this machine: localhost and
// names below it (RFC 6761 §6.3), 127.0.0.0/8 and ::1. Browsers treat such
// origins as trustworthy without TLS.
func (o Origin) Loopback() bool {
	name := o.Hostname()
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(name)
	return err == nil && (addr.Is4() && addr.IsLoopback() || addr == netip.IPv6Loopback())
}

// SameOrigin reports whether the value of an Origin or Referer header names this
// origin. An absent header, "null" and everything unreadable do not.
func (o Origin) SameOrigin(header string) bool {
	scheme, authority, _, ok := split(header)
	if !ok {
		return false
	}
	host, err := parseHost(scheme, authority)
	return err == nil && o == Origin{Scheme: scheme, Host: host}
}

// split takes an http or https URL apart at the ends of its authority
// (RFC 3986 §3.2): rest is empty or begins with "/", "?" or "#". A backslash
// ends no authority here but is no part of a host either, so that it is
// refused wherever a browser would take it for a slash.
func split(raw string) (scheme, authority, rest string, ok bool) {
	before, after, found := strings.Cut(raw, "://")
	if !found {
		return "", "", "", false
	}
	if scheme, ok = parseScheme(before); !ok {
		return "", "", "", false
	}
	if end := strings.IndexAny(after, "/?#"); end >= 0 {
		return scheme, after[:end], after[end:], true
	}
	return scheme, after, "", true
}

// parseScheme knows the two schemes of the web, in any case.
func parseScheme(s string) (string, bool) {
	switch {
	case strings.EqualFold(s, "https"):
		return "https", true
	case strings.EqualFold(s, "http"):
		return "http", true
	}
	return "", false
}

// Errors about hosts. They are allocated once, because FromRequest discards them on
// every request.
var (
	errNoHost   = errors.New("the host is missing")
	errHostSize = errors.New("the host is too long")
	errHostChar = errors.New("a host is made of letters, digits, “-”, “_” and dots; write other letters in their xn-- form")
	errHostDots = errors.New("the host has an empty part: a dot at its start or end, or two in a row")
	errHostIPv4 = errors.New("the host ends in a number but is no IPv4 address like 192.0.2.1")
	errHostIPv6 = errors.New("an IPv6 address stands in brackets, without a zone, like [2001:db8::1]")
	errPort     = errors.New("the port is no number from 1 to 65535")
)

// parseHost reads the authority of a URL without user information, and brings
// it into the form that browsers compare: RFC 3986 §3.2.2 and §3.2.3, as
// narrowed by WHATWG URL. It is stricter than either where being so costs
// no origin: no percent-encoding, no empty port, no leading zeros.
func parseHost(scheme, authority string) (string, error) {
	if len(authority) > maxHost {
		return "", errHostSize
	}
	host, port, hasPort := authority, "", false
	if strings.HasPrefix(authority, "[") {
		end := strings.IndexByte(authority, ']')
		if end < 0 {
			return "", errHostIPv6
		}
		host, port = authority[:end+1], authority[end+1:]
		if port != "" {
			if port[0] != ':' {
				return "", errHostIPv6
			}
			port, hasPort = port[1:], true
		}
	} else if host, port, hasPort = strings.Cut(authority, ":"); strings.Contains(port, ":") {
		return "", errHostIPv6
	}
	if hasPort && !validPort(port) {
		return "", errPort
	}
	canonical, err := canonicalHost(host)
	if err != nil {
		return "", err
	}
	if !hasPort || scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		return canonical, nil
	}
	if len(canonical) == len(host) && canonical == authority[:len(host)] {
		return authority, nil // unchanged, without allocation
	}
	return canonical + ":" + port, nil
}

// canonicalHost checks a host without its port and lower-cases it.
func canonicalHost(host string) (string, error) {
	if host == "" {
		return "", errNoHost
	}
	if host[0] == '[' {
		addr, err := netip.ParseAddr(host[1 : len(host)-1])
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", errHostIPv6
		}
		if addr.Is4In6() { // browsers also write the last 32 bits in hexadecimal
			b := addr.As16()
			return fmt.Sprintf("[::ffff:%x:%x]", uint16(b[12])<<8|uint16(b[13]), uint16(b[14])<<8|uint16(b[15])), nil
		}
		return "[" + addr.String() + "]", nil
	}
	for i := 0; i < len(host); i++ {
		switch c := host[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		case c == '.':
			if i == 0 || i == len(host)-1 || host[i-1] == '.' {
				return "", errHostDots
			}
		default:
			return "", errHostChar
		}
	}
	host = strings.ToLower(host)
	if last := host[strings.LastIndexByte(host, '.')+1:]; isNumber(last) {
		if addr, err := netip.ParseAddr(host); err != nil || !addr.Is4() {
			return "", errHostIPv4
		}
	}
	return host, nil
}

// isNumber reports whether a browser would parse the last label of a host as part
// of an IPv4 address: decimal, or hexadecimal after "0x".
func isNumber(label string) bool {
	digits, hex := strings.CutPrefix(label, "0x")
	for i := 0; i < len(digits); i++ {
		c := digits[i]
		if !(c >= '0' && c <= '9' || hex && c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}

// validPort accepts 1 to 65535 without leading zeros.
func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && port[0] != '0'
}
