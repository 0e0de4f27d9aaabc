package address

import (
	"net/netip"
	"strconv"
	"strings"
)

// This file is a second implementation of the «basic URL parser» of WHATWG URL, as far
// as it determines the origin of the result. It follows the standard's state machine
// and shares only the type Origin with the tested code. It has no IDNA: in a host it
// maps non-ASCII characters that are compatible with ASCII punctuation or letters, and
// returns no origin if there are others.

// browserOrigin resolves input against base, an http or https origin, and returns the
// origin of the result. ok is false for URLs that do not parse or have an opaque
// origin.
func browserOrigin(input string, base Origin) (o Origin, ok bool) {
	input = strings.TrimFunc(input, func(r rune) bool { return r <= ' ' })
	input = strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(input)

	if s, after, found := schemeState(input); found {
		switch s {
		case base.Scheme: // «special relative or authority»
			if !strings.HasPrefix(after, "//") {
				return relativeState(after, base)
			}
			return authorityState(s, after)
		case "http", "https": // «special authority slashes»
			return authorityState(s, after)
		default: // ftp, ws and wss cannot be a redirect's target, the rest is opaque
			return Origin{}, false
		}
	}
	return relativeState(input, base)
}

func schemeState(s string) (scheme, after string, found bool) {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		switch {
		case c >= 'a' && c <= 'z' && s[i] >= 'A':
		case i > 0 && (s[i] >= '0' && s[i] <= '9' || s[i] == '+' || s[i] == '-' || s[i] == '.'):
		case i > 0 && s[i] == ':':
			return strings.ToLower(s[:i]), s[i+1:], true
		default:
			return "", "", false
		}
	}
	return "", "", false
}

func anySlash(s string) bool { return s != "" && (s[0] == '/' || s[0] == '\\') }

// relativeState is the state for a special base: two slashes of either kind start an
// authority, everything else keeps that of the base.
func relativeState(s string, base Origin) (Origin, bool) {
	if anySlash(s) && anySlash(s[1:]) {
		return authorityState(base.Scheme, s)
	}
	return base, true
}

// authorityState starts as «special authority ignore slashes».
func authorityState(scheme, s string) (Origin, bool) {
	s = strings.TrimLeft(s, `/\`)
	if end := strings.IndexAny(s, `/\?#`); end >= 0 {
		s = s[:end]
	}
	if at := strings.LastIndexByte(s, '@'); at >= 0 {
		if s = s[at+1:]; s == "" {
			return Origin{}, false
		}
	}
	host, port := s, ""
	if bracket := strings.LastIndexByte(s, ']'); strings.IndexByte(s[bracket+1:], ':') >= 0 {
		colon := bracket + 1 + strings.IndexByte(s[bracket+1:], ':')
		host, port = s[:colon], s[colon+1:]
	}
	if host = hostParser(host); host == "" {
		return Origin{}, false
	}
	if port != "" {
		for _, c := range port {
			if c < '0' || c > '9' {
				return Origin{}, false
			}
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return Origin{}, false
		}
		if scheme == "http" && n != 80 || scheme == "https" && n != 443 {
			host += ":" + strconv.FormatUint(n, 10)
		}
	}
	return Origin{Scheme: scheme, Host: host}, true
}

// hostParser returns the serialized host, or "" for an invalid one.
func hostParser(host string) string {
	if strings.HasPrefix(host, "[") {
		addr, err := netip.ParseAddr(strings.TrimSuffix(host[1:], "]"))
		if !strings.HasSuffix(host, "]") || err != nil || !addr.Is6() || addr.Zone() != "" {
			return ""
		}
		if addr.Is4In6() {
			b := addr.As16()
			return "[::ffff:" + strconv.FormatUint(uint64(b[12])<<8|uint64(b[13]), 16) + ":" +
				strconv.FormatUint(uint64(b[14])<<8|uint64(b[15]), 16) + "]"
		}
		return "[" + addr.String() + "]"
	}
	var b strings.Builder
	for _, r := range percentDecode(host) {
		switch {
		case r == 0xad || r == 0x200b || r == 0x2060 || r == 0xfeff: // mapped to nothing
		case r == 0x3002 || r == 0xff0e || r == 0xff61: // other characters for a dot
			b.WriteByte('.')
		case r >= 0xff01 && r <= 0xff5e: // full-width forms
			b.WriteRune(r - 0xff01 + '!')
		case r > 0x7f:
			return ""
		default:
			b.WriteRune(r)
		}
	}
	host = strings.ToLower(b.String())
	for i := 0; i < len(host); i++ {
		if host[i] <= ' ' || host[i] == 0x7f || strings.IndexByte(`#/:<>?@[\]^|%`, host[i]) >= 0 {
			return ""
		}
	}
	return ipv4Parser(host)
}

// ipv4Parser returns names unchanged, and numbers in dotted form.
func ipv4Parser(host string) string {
	parts := strings.Split(host, ".")
	if len(parts) > 1 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	last := parts[len(parts)-1]
	if _, ok := ipv4Number(last); !ok && (last == "" || strings.Trim(last, "0123456789") != "") {
		return host
	}
	if len(parts) > 4 {
		return ""
	}
	var address uint64
	for i, part := range parts {
		n, ok := ipv4Number(part)
		if !ok {
			return ""
		}
		if i < len(parts)-1 {
			if n > 255 {
				return ""
			}
			address |= n << (8 * (3 - i))
			continue
		}
		if n >= 1<<(8*(5-len(parts))) {
			return ""
		}
		address |= n
	}
	return netip.AddrFrom4([4]byte{byte(address >> 24), byte(address >> 16), byte(address >> 8), byte(address)}).String()
}

func ipv4Number(s string) (uint64, bool) {
	base, digits := 10, s
	switch {
	case s == "":
		return 0, false
	case strings.HasPrefix(s, "0x"):
		base, digits = 16, s[2:]
	case len(s) > 1 && s[0] == '0':
		base, digits = 8, s[1:]
	}
	if digits == "" {
		return 0, true
	}
	n, err := strconv.ParseUint(digits, base, 63)
	return n, err == nil
}

// percentDecode decodes as the standard does: what is not an escape stays.
func percentDecode(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
