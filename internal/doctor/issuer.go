package doctor

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// failIssuer reports that the provider's issuer differs from the configured one, and
// marks the characters that differ.
func (e *Examination) failIssuer(name string, err *op.IssuerError) {
	remedy := "Write issuer " + err.Found + ", if that is the provider."
	if hostOf(err.Found) == hostOf(err.Configured) {
		remedy = "Write issuer " + err.Found
	}
	if err.BySlash() {
		remedy += " (the slash at the end counts)"
	}
	e.add(Failed, name, "the provider's issuer differs from the configured one", remedy, difference(err.Configured, err.Found)...)
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// difference returns lines with both texts, and a line that marks where they
// differ.
func difference(configured, found string) []string {
	a, b := []rune(configured), []rune(found)
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	end := 0
	for end < min(len(a), len(b))-same && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	const left = "configured  "
	most := max(len(a), len(b)) - same - end
	return []string{
		left + configured,
		"provider    " + found,
		strings.Repeat(" ", utf8.RuneCountInString(left)+same) + strings.Repeat("^", most),
	}
}
