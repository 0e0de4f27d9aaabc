package flow

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

const (
	// identifierField is the form field for a user name or an e-mail address.
	identifierField = "login_hint"
	// maxIdentifier is the maximum length of that field, in characters.
	maxIdentifier = 100
)

// providerOf returns the provider whose domains contain that of the e-mail address;
// nil if there is none or more than one.
func providerOf(identifier string, all []*Provider) (found *Provider) {
	identifier = strings.TrimSpace(identifier)
	if !utf8.ValidString(identifier) || utf8.RuneCountInString(identifier) > maxIdentifier || strings.ContainsFunc(identifier, isForbiddenInAddress) {
		return nil
	}
	domain := identity.DomainOf(identifier)
	if domain == "" {
		return nil
	}
	for _, p := range all {
		if !slices.Contains(p.Mapping.Domains, domain) {
			continue
		}
		if found != nil {
			return nil
		}
		found = p
	}
	return found
}

func isForbiddenInAddress(r rune) bool { return !unicode.IsPrint(r) || unicode.IsSpace(r) }
