package op

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// This file has the peculiarities of individual providers. No other code depends on
// who the provider is. Providers are recognized by known data, not by probing.
// Those behind custom domains cannot be recognized, and get standard behavior.

// selectAccountIssuers are the issuers of providers that support
// prompt=select_account without listing it in their metadata.
var selectAccountIssuers = []string{"https://accounts.google.com", "https://login.microsoftonline.com/", "https://login.microsoftonline.us/"}

// SelectsAccount reports whether the provider is known to support
// prompt=select_account (prompt_values_supported, Initiating User Registration via
// OpenID Connect 1.0).
func (m *Metadata) SelectsAccount() bool {
	return slices.Contains(m.PromptValues, "select_account") ||
		slices.ContainsFunc(selectAccountIssuers, func(issuer string) bool {
			return m.Issuer == issuer || strings.HasSuffix(issuer, "/") && strings.HasPrefix(m.Issuer, issuer)
		})
}

// quirk is a peculiarity of a provider.
type quirk struct {
	name string

	// is recognizes a provider that has a logout of its own.
	is func(*Metadata) bool
	// logout returns the endpoint of that logout. It is called by GET with
	// client_id and, in the parameter returnTo, the return address, without an ID
	// token or state.
	logout   func(*Metadata) string
	returnTo string

	// withholds reports whether claims omit the named one although the user may
	// have it.
	withholds func(claims object, name string) bool
}

// quirks lists all quirks. Two peculiarities need no code:
//
// Google issues a refresh token if authorization_params { access_type offline } is
// configured, and again only with prompt consent; it does not know the scope
// offline_access («Using OAuth 2.0 for Web Server Applications»). It is not added
// automatically, because that would request a grant that no one configured.
//
// An issuer that stands for many tenants, such as Entra ID's, is recognized by its
// {tenantid}; any provider may have one. See tenant.go.
var quirks = []quirk{
	{
		// The developer guide's «logout endpoint»: GET /logout at the domain of
		// the login page, with client_id and logout_uri; without logout_uri or
		// redirect_uri it is an error. Pools' metadata has not always had an
		// end_session_endpoint; where it has, that is this one, and wants the same.
		name: "Amazon Cognito",
		is:   func(m *Metadata) bool { return isCognitoPool(m.Issuer) },
		logout: func(m *Metadata) string {
			if m.Endpoints.EndSession != "" {
				return m.Endpoints.EndSession
			}
			return besides(m.Endpoints.Authorization, "/logout")
		},
		returnTo: "logout_uri",
	},
	{
		// The authentication API's «Auth0 Logout»: GET /v2/logout with client_id
		// and returnTo, which must be among the application's Allowed Logout URLs.
		// Tenants made before November 2023 advertise no end_session_endpoint until
		// configured to; where there is one, it is the standard's.
		name:     "Auth0",
		is:       func(m *Metadata) bool { return auth0Tenant.MatchString(m.Issuer) && m.Endpoints.EndSession == "" },
		logout:   func(m *Metadata) string { return besides(m.Issuer, "/v2/logout") },
		returnTo: "returnTo",
	},
	{
		// «Groups overage claim» in Microsoft's reference of ID token claims: for
		// a user of more than 200 groups there is no groups but _claim_names, which
		// names it with a link to Microsoft Graph (Core 5.6.2), or hasgroups where
		// that was too long. The link needs rights of its own and is not followed.
		name: "Entra ID's group overage",
		withholds: func(claims object, name string) bool {
			if names, err := parseObject(claims["_claim_names"]); err == nil && names.has(name) {
				return true
			}
			has := string(claims["hasgroups"])
			return name == "groups" && (has == "true" || has == `"true"`)
		},
	},
}

var (
	cognitoPool = regexp.MustCompile(`^https://cognito-idp\.([a-z]+(?:-[a-z]+)+-[0-9]+)\.amazonaws\.com/([a-z0-9-]+)_[0-9A-Za-z]+$`)
	auth0Tenant = regexp.MustCompile(`^https://(?:[a-z0-9-]+\.)+auth0\.com/$`)
)

// isCognitoPool reports whether an issuer is a Cognito user pool, whose id begins
// with its region.
func isCognitoPool(issuer string) bool {
	parts := cognitoPool.FindStringSubmatch(issuer)
	return parts != nil && parts[1] == parts[2]
}

// besides returns the URL of a path on the host of address; "" if address is not a
// URL.
func besides(address, path string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: path}).String()
}

// ownLogout returns the logout request for a provider with a logout of its own.
func (m *Metadata) ownLogout(clientID, returnTo string) (request EndSession, ok bool) {
	for _, q := range quirks {
		if q.is == nil || !q.is(m) {
			continue
		}
		if endpoint := q.logout(m); endpoint != "" {
			return EndSession{endpoint, url.Values{"client_id": {clientID}, q.returnTo: {returnTo}}}, true
		}
	}
	return request, false
}

// Withholds reports whether the named claim is absent although the user may have
// it, because the provider indicates that it must be fetched from elsewhere.
func (c Claims) Withholds(name string) bool {
	if object(c).has(name) {
		return false
	}
	for _, q := range quirks {
		if q.withholds != nil && q.withholds(object(c), name) {
			return true
		}
	}
	return false
}
