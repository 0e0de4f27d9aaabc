package flow

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
)

const (
	// identifierField is the name of the field for a user name or an e-mail address.
	identifierField = "login_hint"
	// maxIdentifier bounds what users enter there, in characters.
	maxIdentifier = 100
)

// providerOf returns the provider whose domains have the e-mail address that a user
// has entered; nil for none, and for several.
func providerOf(identifier string, all []*Provider) (found *Provider) {
	identifier = strings.TrimSpace(identifier)
	if !utf8.ValidString(identifier) || utf8.RuneCountInString(identifier) > maxIdentifier || strings.ContainsFunc(identifier, isNoPartOfAddress) {
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

func isNoPartOfAddress(r rune) bool { return !unicode.IsPrint(r) || unicode.IsSpace(r) }
