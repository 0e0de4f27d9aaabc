// Package oidctest is an OpenID Provider for tests. By default it behaves
// correctly, but it can be made to lie and fail in every way that the tests of
// this project need. It shares no code with the code under test, because a
// test that checks our code with our own code proves nothing. Only tests and
// benchmarks import it.
//
//	p := oidctest.New(t)                      // http://127.0.0.1:port, client "rp"
//	p.Register("https://rp.test/callback")  // compared byte for byte
//	p.SignIn("bob")                         // alice by default; no login page
//	p.Lie(func(l *oidctest.Faults) {
//		l.IDToken.Claims = func(c map[string]any) { delete(c, "sub") }
//		l.At(oidctest.UserInfo).Status = 503
//	})
//	…
//	if p.Hits(oidctest.UserInfo) > 0 { … }
//
// There are three ways to use it:
//
//   - The provider checks every request of the relying party. A mistake is
//     recorded as a violation. Violations fail the test at its end, unless the
//     test has taken them (TakeViolations) or the provider is Lenient.
//   - Rows returns ready-made lies, each with the expected verdict and the
//     endpoints that must not be requested. RefreshRows, LogoutRows and
//     ResponseRows return those for refreshes, logouts and signed responses. A
//     test loops over them.
//   - Faults and Fault describe any other lie or failure.
//
// # Checked on every request
//
// A violation begins with one of these labels:
//
//	C00   a parameter sent twice
//	C00a  scope without openid               C00b  response_type, response_mode
//	C00c  client_id                          C00d  redirect_uri, byte for byte
//	C00e  an unexpected request object       C00f  max_age=0 with prompt=none
//	C00g  PKCE: S256, the verifier, reuse    C00h  characters and length of nonce
//	C00i  grant_type, code, redirect_uri     C00j  client authentication
//	C00k  how the access token is sent       C00l  the claims parameter
//	C00m  paths and methods not served       C21   userinfo before the key set
//	C40   refresh: scope, reuse              C50   logout: hint, return address
//	S01   state and nonce: present, at least 128 bits, never reused
//	S02   PKCE is always used                S03   one redemption for each state
//	S24   an endpoint's query is kept        X06   a code is never tried twice
//	I5    secrets in the wrong place         F01   pushed requests, if required
//	DP    DPoP proofs: members, nonce, key   JAR   members of request objects
//
// # Lies
//
//	Discovery                      edits the metadata
//	Pushed                         edits the response to a pushed request
//	Authorization.Params, .Query   edit the authorization response
//	Authorization.Error            refuses the login
//	Authorization.JWT, .Beside     edit signed responses (JARM)
//	Token                          edits token responses
//	IDToken                        changes header, claims, algorithm or signature
//	Refreshed                      does so for the ID token of a refresh
//	Keys                           changes or rotates the key set; see also SetKeys
//	DPoP                           refuses proofs, or does not bind tokens
//	UserInfo                       edits or signs userinfo responses
//	EndSession                     edits the return from a logout
//	LogoutToken                    makes logout tokens with given lies
//	Skew                           makes the provider's clock wrong
//	At                             the Fault of an endpoint: delays, broken
//	                               connections, oversized bodies, other statuses
//	Stop, Start                    make the provider unreachable
//	SetCertificate                 replaces the TLS certificate
//	SetClient                      changes the registration of the client
//
// It does not offer encrypted ID tokens (use IDToken.Compact), introspection
// and revocation.
package oidctest
