package op

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// This file determines which addresses are on this machine or its link. It resolves
// no names.

// locality is a set of places near this machine. The zero value is anywhere else.
type locality uint8

const (
	thisMachine locality = 1 << iota // loopback and unspecified addresses
	thisLink                         // link-local addresses
)

func (l locality) String() string {
	if l&thisMachine != 0 {
		return "loopback or unspecified"
	}
	return "link-local"
}

// localNames are common names for loopback in hosts files, besides localhost and
// its subdomains (RFC 6761, section 6.3).
var localNames = []string{"localhost.localdomain", "localhost4", "localhost4.localdomain4", "localhost6", "localhost6.localdomain6", "ip6-localhost", "ip6-loopback"}

var (
	// embedding are the IPv6 prefixes that are followed by an IPv4 address:
	// compatible (RFC 4291, section 2.5.5.1), translated (RFC 2765), NAT64 (RFC
	// 6052, RFC 8215).
	embedding = []netip.Prefix{
		netip.MustParsePrefix("::/96"), netip.MustParsePrefix("::ffff:0:0:0/96"),
		netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"),
	}
	sixToFour = netip.MustParsePrefix("2002::/16") // RFC 3056: the IPv4 address follows
	thisNet   = netip.MustParsePrefix("0.0.0.0/8") // RFC 1122 3.2.1.3
)

// localityOf returns the locality of an IP address. It ignores zones, and looks at
// IPv4 addresses inside IPv6 ones.
func localityOf(addr netip.Addr) locality {
	addr = addr.WithZone("").Unmap()
	switch {
	case addr.IsLoopback(), addr.IsUnspecified(), thisNet.Contains(addr):
		return thisMachine
	case addr.IsLinkLocalUnicast(), addr.IsLinkLocalMulticast(), addr.IsInterfaceLocalMulticast():
		return thisLink
	case !addr.Is6():
		return 0
	}
	bytes := addr.As16()
	if slices.ContainsFunc(embedding, func(p netip.Prefix) bool { return p.Contains(addr) }) {
		return localityOf(netip.AddrFrom4([4]byte(bytes[12:])))
	}
	if sixToFour.Contains(addr) {
		return localityOf(netip.AddrFrom4([4]byte(bytes[2:6])))
	}
	return 0
}

// localityOfHost returns the locality of a URL's host by its text: an IP address,
// in any notation that resolvers accept, or a name for loopback.
func localityOfHost(host string) locality {
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii // normalizes full-width digits and dots
	}
	host = strings.TrimRight(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(localNames, host) {
		return thisMachine
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return localityOf(addr)
	}
	if addr, ok := parseLooseIPv4(host); ok {
		return localityOf(addr)
	}
	return 0
}

// parseLooseIPv4 parses IPv4 addresses like inet_aton: one to four numbers,
// decimal, octal or hexadecimal, of which the last one fills the remaining bytes.
func parseLooseIPv4(text string) (addr netip.Addr, ok bool) {
	parts := strings.Split(text, ".")
	if len(parts) > 4 {
		return addr, false
	}
	var all uint32
	for i, part := range parts {
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (5 - len(parts))
		}
		base := 10
		if digits, isHex := strings.CutPrefix(part, "0x"); isHex {
			part, base = digits, 16
		} else if len(part) > 1 && part[0] == '0' {
			part, base = part[1:], 8
		}
		n, err := strconv.ParseUint(part, base, 64)
		if err != nil || n >= 1<<bits {
			return addr, false
		}
		all = all<<bits | uint32(n)
	}
	return netip.AddrFrom4([4]byte{byte(all >> 24), byte(all >> 16), byte(all >> 8), byte(all)}), true
}
