package op

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// This file determines the subject of an access token: a user, or the client
// itself.

// clientMembers are the claims that name the client: those of RFC 9068 (section
// 2.2), OpenID Connect, Okta, and version 1 of Entra ID.
var clientMembers = []string{"client_id", "azp", "cid", "appid"}

// checkSubject determines the subject and the client. If the token is the client's
// own, sub is the client (RFC 9068, section 2.2), unless the provider is known to
// express that in another way.
func checkSubject(claims object, token *AccessToken) error {
	subject, err := claims.text("sub")
	if err == nil {
		err = checkName("sub", subject)
	}
	if err != nil {
		return refused(ReasonSubject, err)
	}
	for _, name := range clientMembers {
		client, err := claims.text(name)
		if err == nil {
			err = checkName(name, client)
		}
		if err != nil {
			return refused(ReasonSubject, err)
		}
		if token.Client == "" {
			token.Client = client
		}
	}
	token.IsClient = isClient(claims, subject, token.Client)
	return checkWhose(claims, subject, token)
}

// checkIntrospectedSubject is checkSubject for an introspection response, in which
// sub is optional: providers omit it if no user is involved (RFC 7662, section
// 2.2).
func checkIntrospectedSubject(claims object, token *AccessToken) error {
	if claims.has("sub") || claims.has("username") {
		return checkSubject(claims, token)
	}
	var err error
	if token.Client, err = claims.text("client_id"); err == nil {
		err = checkName("client_id", token.Client)
	}
	if err != nil {
		return refused(ReasonSubject, err)
	}
	token.IsClient = token.Client != ""
	return checkWhose(claims, "", token)
}

// checkWhose refuses a token if it is ambiguous whether it belongs to a user or the
// client.
func checkWhose(claims object, subject string, token *AccessToken) error {
	if subject == "" && !token.IsClient {
		return refusedf(ReasonSubject, "sub is missing")
	}
	if token.IsClient && ofSignIn(claims) {
		// A user who can choose their sub must not be taken for a client, nor a client
		// for a user (RFC 9068, section 5).
		return refusedf(ReasonSubject, "sub is the client, and the token says that a user has signed in")
	}
	return nil
}

// isClient reports whether a token is the client's own.
func isClient(claims object, subject, client string) bool {
	if client == "" {
		return false
	}
	if subject == client {
		return true
	}
	is := func(name string, values ...string) bool {
		value, err := claims.text(name)
		return err == nil && slices.Contains(values, value)
	}
	switch {
	case is("gty", "client-credentials", "client_credentials") && subject == client+"@clients": // Auth0
	case is("idtyp", "app"): // Entra ID
	case is("client_id", client) && is("azp", client) && is("preferred_username", "service-account-"+strings.ToLower(client)) && !ofSignIn(claims): // Keycloak
	default:
		return false
	}
	return true
}

// ofSignIn reports whether a token belongs to a user's session at the issuer.
func ofSignIn(claims object) bool {
	return claims.has("sid") || claims.has("auth_time")
}

// checkName checks the form of a name, as OpenID Connect Core 2 defines it for sub.
func checkName(member, name string) error {
	if len(name) > maxSubject || strings.ContainsFunc(name, func(r rune) bool { return r > 0x7e || r < 0x20 }) {
		return fmt.Errorf("%s is not at most %d ASCII characters: it has %d bytes", member, maxSubject, len(name))
	}
	return nil
}

// checkScopes reads the granted scopes: from scope, as a string (RFC 9068) or a
// list, or from scp.
func checkScopes(claims object, token *AccessToken) error {
	for _, name := range []string{"scope", "scp"} {
		if !claims.has(name) {
			continue
		}
		scopes, err := claims.texts(name, true)
		if err != nil {
			return refused(ReasonScope, err)
		}
		if claims[name][0] == '"' {
			scopes = strings.Fields(scopes[0])
		} else if slices.ContainsFunc(scopes, func(scope string) bool { return !isOneWord(scope) }) {
			return refused(ReasonScope, errors.New(name+" is a list whose members are no scopes"))
		}
		token.Scopes = scopes
		return nil
	}
	return nil
}
