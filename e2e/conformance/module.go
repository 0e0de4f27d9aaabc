package main

import "strings"

// A module is one row of the tables of modules: what a module of the suite does, what the
// driver does for it, and the expected result.
type module struct {
	name    string // the suite's name without its prefix
	about   string // what the provider does
	do      step   // what the user and the driver do
	own     step   // what must hold on our side afterwards, whatever the suite's result is
	accept  string // a result that counts like PASSED
	options string // Caddyfile lines that replace the plan's for this module
	tries   int    // how often to start it until it waits for the site
	absent  string // why it is not expected to pass, if so
}

// These are the suite's results, one for a module that never ended, and parts of the
// names of modules.
const (
	passed   = "PASSED"
	warning  = "WARNING"
	review   = "REVIEW"
	skipped  = "SKIPPED"
	failed   = "FAILED"
	waits    = "WAITING"
	happy    = "happy-path"
	oidcName = "oidcc-client-test"
	fapiName = "fapi2-security-profile-final-client-test"
)

// nameOf returns a module's name here.
func nameOf(atSuite string) string {
	if atSuite == oidcName {
		return happy
	}
	for _, prefix := range []string{oidcName, fapiName} {
		if name, found := strings.CutPrefix(atSuite, prefix+"-"); found {
			return name
		}
	}
	return atSuite
}

// as reports whether the result is the expected one.
func (m module) as(result, broken string) bool {
	return m.absent != "" || broken == "" && result != "" && (result == passed || result == m.accept)
}

// oidcModules are the modules of OpenID Connect, in the order of the page.
var oidcModules = []module{
	{name: happy, about: "a login without faults", do: signIn, own: signedIn},
	{name: "invalid-iss", about: "`iss` of the ID token is wrong", do: signIn, own: refused("token_invalid")},
	{name: "missing-sub", about: "the ID token has no `sub`", do: signIn, own: refused("token_invalid")},
	{name: "invalid-aud", about: "`aud` is wrong", do: signIn, own: refused("token_invalid")},
	{name: "missing-aud", about: "no `aud`", do: signIn, own: refused("token_invalid")},
	{name: "missing-iat", about: "no `iat`", do: signIn, own: refused("token_invalid")},
	{name: "nonce-invalid", about: "the `nonce` is wrong", do: signIn, own: refused("token_invalid")},
	{name: "kid-absent-single-jwks", about: "no `kid`, one key that fits", do: signIn, own: signedIn},
	{name: "kid-absent-multiple-jwks", about: "no `kid`, three keys that fit", do: signIn, own: signedIn},
	{name: "idtoken-sig-rs256", about: "signed with RS256", do: signIn, own: signedIn},
	{name: "idtoken-sig-none", about: "not signed (`alg: none`)", do: signIn, own: refused("token_invalid"), accept: skipped},
	{name: "invalid-sig-rs256", about: "a bad RS256 signature", do: signIn, own: refused("token_invalid")},
	{name: "invalid-sig-es256", about: "a bad ES256 signature", do: signIn, own: refused("token_invalid")},
	{name: "invalid-sig-hs256", about: "a bad HS256 signature", do: signIn, own: refused("token_invalid")},
	{name: "userinfo-invalid-sub", about: "userinfo is another user's; the suite cannot tell what comes of it", do: signIn, own: refused("userinfo_failed")},
	{name: "userinfo-signed", about: "userinfo is signed", do: signIn, own: signedIn},
	{name: "userinfo-bearer-header", about: "userinfo takes a header", do: signIn, own: signedIn},
	{name: "userinfo-bearer-body", about: "userinfo takes a form", do: signIn, own: signedIn, options: `userinfo always
userinfo_method post`},
	{name: "scope-userinfo-claims", about: "userinfo answers by scope", do: signIn, own: signedIn},
	{name: "aggregated-claims", about: "userinfo holds a foreign JWT", do: signIn, own: signedIn},
	{name: "distributed-claims", about: "userinfo names another server", do: signIn, own: signedIn,
		absent: "a provider must not make Caddy call any server"},
	{name: "client-secret-basic", about: "the token endpoint takes HTTP Basic", do: signIn, own: signedIn},
	{name: "mtls-endpoint-aliases", about: "endpoints for certificates", do: signIn, own: signedIn},
	{name: "discovery-openid-config", about: "metadata are read; ends there", do: begin, own: ledToProvider, options: "userinfo never"},
	{name: "discovery-jwks-uri-keys", about: "keys are read; ends there", do: signIn, own: signedIn, options: "userinfo never"},
	{name: "discovery-issuer-mismatch", about: "the metadata are another issuer's", do: signIn, own: unavailable},
	{name: "discovery-webfinger-acct", about: "offers discovery by an account (WebFinger)", do: signIn, own: signedIn},
	{name: "discovery-webfinger-url", about: "offers discovery by an address (WebFinger)", do: signIn, own: signedIn},
	{name: "signing-key-rotation-just-before-signing", about: "a new key signs at once", do: signIn, own: signedIn},
	{name: "signing-key-rotation", about: "new keys before the second login", do: signInTwice, own: signedIn},
	{name: "form-post-error", about: "an error comes by POST", do: signInAgainWithoutQuestions, own: refused("provider_error"),
		options: "forward_params max_age prompt"},

	{name: "refresh-token", about: "an access token runs out", do: keepUsing, own: used},
	{name: "refresh-token-invalid-issuer", about: "`iss` of the refreshed ID token is wrong", do: keepUsing, own: noSession},
	{name: "refresh-token-invalid-sub", about: "the refreshed ID token is another user's", do: keepUsing, own: noSession},

	{name: "rp-init-logout", about: "a logout at the site", do: signOut, own: signedOut, accept: review},
	{name: "rp-init-logout-other-state", about: "comes back with another `state`", do: signOut, own: signedOut, accept: review},
	{name: "rp-init-logout-no-state", about: "comes back without `state`", do: signOut, own: signedOut, accept: review},
	{name: "rp-backchannel-rpinitlogout", about: "a logout token", do: signOut, own: signedOut},
	{name: "rp-backchannel-rpinitlogout-alg-none", about: "one that is not signed", do: signOut, own: signedOut},
	{name: "rp-backchannel-rpinitlogout-no-event", about: "one without `events`", do: signOut, own: signedOut},
	{name: "rp-backchannel-rpinitlogout-with-nonce", about: "one with a `nonce`", do: signOut, own: signedOut},
	{name: "rp-backchannel-rpinitlogout-wrong-alg", about: "one with another algorithm than the ID token", do: signOut, own: signedOut},
	{name: "rp-backchannel-rpinitlogout-wrong-aud", about: "one for another client", do: signOut, own: signedOut},
	{name: "rp-backchannel-rpinitlogout-wrong-event", about: "one about something else", do: signOut, own: signedOut},
	{name: "rp-backchannel-rpinitlogout-wrong-iss", about: "one of another issuer", do: signOut, own: signedOut},
	{name: "rp-frontchannel-rpinitlogout", about: "a frame, after a logout at the site", do: signOut, own: then(framed, signedOut), accept: review},
	{name: "rp-frontchannel-opinitlogout", about: "a frame, and nothing else", do: openListed, own: framed, accept: review},
	{name: "session-management", about: "frames that watch cookies", do: signOut, own: signedOut,
		absent: "browsers do not let frames of other sites see cookies"},
	{name: "3rd-party-init-login", about: "another site begins the login", do: openTheListed, own: signedIn, tries: 30},
}

// fapiModules are the modules of FAPI 2.0.
var fapiModules = []module{
	{name: happy, about: "a login without faults", do: signIn, own: signedIn},
	{name: "happy-path-no-dpop-nonce", about: "without a nonce for DPoP", do: signIn, own: signedIn},
	{name: "discovery-issuer-mismatch", about: "the metadata are another issuer's", do: signIn, own: unavailable},
	{name: "invalid-iss", about: "`iss` of the ID token is wrong", do: signIn, own: refused("token_invalid")},
	{name: "invalid-missing-iss", about: "no `iss`", do: signIn, own: refused("token_invalid")},
	{name: "invalid-aud", about: "`aud` is wrong", do: signIn, own: refused("token_invalid")},
	{name: "invalid-missing-aud", about: "no `aud`", do: signIn, own: refused("token_invalid")},
	{name: "invalid-secondary-aud", about: "another audience beside the client", do: signIn, own: refused("token_invalid")},
	{name: "valid-aud-as-array", about: "`aud` is a list of one", do: signIn, own: signedIn},
	{name: "invalid-null-alg", about: "not signed (`alg: none`)", do: signIn, own: refused("token_invalid")},
	{name: "invalid-alternate-alg", about: "another algorithm than registered", do: signIn, own: refused("token_invalid")},
	{name: "invalid-expired-exp", about: "the ID token has expired", do: signIn, own: refused("token_invalid")},
	{name: "invalid-missing-exp", about: "no `exp`", do: signIn, own: refused("token_invalid")},
	{name: "invalid-nonce", about: "the `nonce` is wrong", do: signIn, own: refused("token_invalid")},
	{name: "invalid-missing-nonce", about: "no `nonce`", do: signIn, own: refused("token_invalid")},
	{name: "invalid-authorization-response-iss", about: "`iss` of the response is wrong", do: signIn, own: refused("state_mismatch")},
	{name: "remove-authorization-response-iss", about: "no `iss` in the response", do: signIn, own: refused("state_mismatch")},
	{name: "ensure-authorization-response-with-invalid-state-fails", about: "`state` is wrong", do: signIn, own: refused("state_mismatch")},
	{name: "ensure-authorization-response-with-invalid-missing-state-fails", about: "no `state`", do: signIn, own: refused("bad_request")},
	{name: "token-endpoint-response-without-expires_in", about: "no `expires_in`", do: signIn, own: signedIn},
	{name: "token-type-case-insensitivity", about: "`token_type` in odd case", do: signIn, own: signedIn},
	{name: "rs-dpop-auth-scheme-case-insensitivity", about: "the scheme of DPoP in odd case", do: signIn, own: signedIn},
	{name: "ensure-jarm-without-iss-fails", about: "a signed response without `iss`", do: signIn, own: neverSignedIn},
	{name: "ensure-jarm-with-invalid-iss-fails", about: "with a wrong `iss`", do: signIn, own: neverSignedIn},
	{name: "ensure-jarm-without-aud-fails", about: "without `aud`", do: signIn, own: neverSignedIn},
	{name: "ensure-jarm-with-invalid-aud-fails", about: "with a wrong `aud`", do: signIn, own: neverSignedIn},
	{name: "ensure-jarm-without-exp-fails", about: "without `exp`", do: signIn, own: neverSignedIn},
	{name: "ensure-jarm-with-expired-exp-fails", about: "expired", do: signIn, own: neverSignedIn},
	{name: "ensure-jarm-with-invalid-sig-fails", about: "with a bad signature", do: signIn, own: neverSignedIn},
	{name: "ensure-jarm-signature-is-not-none", about: "not signed", do: signIn, own: neverSignedIn},
}
