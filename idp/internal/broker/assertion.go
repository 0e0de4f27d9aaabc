package broker

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Assertion is what an external provider says about a user, after it has been
// verified.
type Assertion struct {
	External string `json:"external"` // the id
	Issuer   string `json:"issuer"`
	Subject  string `json:"subject"` // for SAML with Format and qualifiers; see subjectOf
	// Name is the user's name at the external provider. It does not identify an
	// account here.
	Name   string `json:"name,omitempty"`
	Claims Claims `json:"claims"`
	// AuthTime is when the user authenticated at the external provider, or zero if
	// it does not say. Zero does not mean now.
	AuthTime time.Time `json:"auth_time"`
	// ACR and AMR are our own values: urn:oidc-idp:external and fed, unless the
	// external provider's value is mapped to mfa.
	ACR string   `json:"acr"`
	AMR []string `json:"amr"`
	// SessionEnds is when our session has to end at the latest; zero for no limit.
	SessionEnds time.Time `json:"session_ends"`
}

// MFA reports whether the external provider's two-factor authentication is accepted
// here.
func (a *Assertion) MFA() bool { return a.ACR == sso.ACRMFA }

// Claims are what an external provider says about a person. Email is set only if it
// is verified and in the external provider's domains.
type Claims struct {
	Email      string   `json:"email,omitempty"`
	Name       string   `json:"name,omitempty"`
	GivenName  string   `json:"given_name,omitempty"`
	FamilyName string   `json:"family_name,omitempty"`
	Language   string   `json:"language,omitempty"`
	Groups     []string `json:"groups,omitempty"` // local names of the mapped groups
}

// Outcome is the result of looking up the account of an external account.
type Outcome string

const (
	// Linked means that it is linked to Answer.User.
	Linked Outcome = "linked"
	// Created means that Answer.User has just been created for it.
	Created Outcome = "created"
	// LinkNeeded means that it may be linked to Answer.Pending's account once the
	// user has signed in to that, with all that its login authenticator requires,
	// in the same request. Then call Link.
	LinkNeeded Outcome = "link_needed"
	// Unknown means that the user has no account here. The reason is not disclosed.
	Unknown Outcome = "unknown"
)

// Answer is the result of a login at an external provider.
type Answer struct {
	Assertion *Assertion
	Outcome   Outcome
	User      *store.User // Linked and Created
	Pending   *Pending    // LinkNeeded
	// Attempt identifies a sign-in that is Unknown, for a day, so that an operator
	// can link its account. It is not secret.
	Attempt string
	// Title is the display name of the external provider.
	Title string
}

// fill sets what depends on the configuration only. acrs are the external
// provider's own values.
func (a *Assertion) fill(c *Config, acrs []string, now time.Time) {
	a.External, a.ACR, a.AMR = c.ID, sso.ACRExternal, []string{"fed"}
	if slices.ContainsFunc(acrs, func(theirs string) bool { return c.ACR[theirs] == MFA }) {
		a.ACR, a.AMR = sso.ACRMFA, []string{"fed", "mfa"}
	}
	if a.AuthTime.After(now) {
		a.AuthTime = now
	}
	for _, text := range []*string{&a.Name, &a.Claims.Name, &a.Claims.GivenName, &a.Claims.FamilyName, &a.Claims.Language} {
		*text = short(*text)
	}
	if !c.vouchesFor(a.Claims.Email) {
		a.Claims.Email = ""
	}
	a.Claims.Groups = c.groupsHere(a.Claims.Groups)
}

// vouchesFor reports whether the external provider can vouch for an e-mail address.
func (c *Config) vouchesFor(email string) bool {
	domain := identity.DomainOf(email)
	return domain != "" && slices.Contains(c.Domains, domain)
}

// maxText is the maximum length in bytes of a name that is kept.
const maxText = 200

// short returns a text without characters that names must not have, truncated
// between characters.
func short(text string) string {
	text = strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\ufffd' {
			return -1
		}
		return r
	}, text))
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "")
}

// subjectOf encodes the parts of a subject unambiguously.
func subjectOf(parts ...string) string {
	text, _ := json.Marshal(parts) // strings always marshal
	return string(text)
}
