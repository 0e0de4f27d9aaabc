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

// Assertion is what an external provider says of a user, after every check of it
// has passed.
type Assertion struct {
	External string `json:"external"` // the id
	Issuer   string `json:"issuer"`
	Subject  string `json:"subject"` // with Format and qualifiers for SAML; see subjectOf
	// Name is what the external provider calls the user. It names no account here.
	Name   string `json:"name,omitempty"`
	Claims Claims `json:"claims"`
	// AuthTime is when the user proved to the external provider who they are;
	// zero if it does not say, which is not now.
	AuthTime time.Time `json:"auth_time"`
	// ACR and AMR are ours: urn:oidc-idp:external and fed, unless the external
	// provider's value is mapped to mfa.
	ACR string   `json:"acr"`
	AMR []string `json:"amr"`
	// SessionEnds is when our session has to end at the latest; zero for no limit.
	SessionEnds time.Time `json:"session_ends"`
}

// MFA reports whether the external provider's word for two factors counts here.
func (a *Assertion) MFA() bool { return a.ACR == sso.ACRMFA }

// Claims are what an external provider says about a person. Email is there only
// if the external provider can vouch for it: it is verified and in its domains.
type Claims struct {
	Email      string   `json:"email,omitempty"`
	Name       string   `json:"name,omitempty"`
	GivenName  string   `json:"given_name,omitempty"`
	FamilyName string   `json:"family_name,omitempty"`
	Language   string   `json:"language,omitempty"`
	Groups     []string `json:"groups,omitempty"` // names here, of those that are mapped
}

// Outcome is whose account an external account is.
type Outcome string

const (
	// Linked: it is joined with Answer.User.
	Linked Outcome = "linked"
	// Created: Answer.User was made of it just now.
	Created Outcome = "created"
	// LinkNeeded: it may be joined with Answer.Pending's account after the user
	// has signed in to that once, with all that its authenticator requires, on
	// the same journey. Then call Link.
	LinkNeeded Outcome = "link_needed"
	// Unknown: the user has no account here. Nothing says why.
	Unknown Outcome = "unknown"
)

// Answer is what came of a login at an external provider.
type Answer struct {
	Assertion *Assertion
	Outcome   Outcome
	User      *store.User // Linked and Created
	Pending   *Pending    // LinkNeeded
	// Attempt names a sign-in that is Unknown for a day, so that an operator can link
	// its account. It is no secret.
	Attempt string
	// Title is what pages call the external provider.
	Title string
}

// fill sets what depends on the configuration alone. acrs are the external
// provider's own words.
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

// vouchesFor reports whether the external provider can vouch for an address.
func (c *Config) vouchesFor(email string) bool {
	domain := identity.DomainOf(email)
	return domain != "" && slices.Contains(c.Domains, domain)
}

// maxText bounds a name that is kept, in bytes.
const maxText = 200

// short returns a text without what no name has, cut between characters.
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

// subjectOf makes one text of the parts of a subject, so that no two subjects are
// the same text.
func subjectOf(parts ...string) string {
	text, _ := json.Marshal(parts) // strings always can be
	return string(text)
}
