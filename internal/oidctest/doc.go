// Package oidctest is an OpenID Provider for tests. It is honest by default, and
// can lie and fail in every way that the conformance tables of this project
// name. It shares no code with what it tests: a test that checks our code with
// our code proves nothing. Only tests import it.
//
//	p := oidctest.New(t)                      // http://127.0.0.1:port, client "rp"
//	p.Register("https://rp.test/callback")  // compared byte for byte
//	p.SignIn("bob")                         // alice by default; no screen
//	p.Lie(func(l *oidctest.Faults) {
//		l.IDToken.Claims = func(c map[string]any) { delete(c, "sub") }
//		l.At(oidctest.UserInfo).Status = 503
//	})
//	…
//	if p.Hits(oidctest.UserInfo) > 0 { … }
//
// Three ways to use it:
//
//   - Every request of the relying party is checked. What is wrong is a
//     violation, and each fails the test at its end unless the test has taken
//     it (TakeViolations) or is Lenient.
//   - Rows are the lies of the tables, ready made, with the verdict that each
//     demands and the endpoints that must not be asked; RefreshRows and
//     LogoutRows are those of later steps. One loop tests them all.
//   - Lies and Fault make any other.
//
// # Checked on every request
//
//	C00   a parameter sent twice
//	C00a  scope without openid               C00b  response_type, response_mode
//	C00c  client_id                          C00d  redirect_uri, by the byte
//	C00e  a request object                   C00f  max_age=0 with prompt=none
//	C00g  PKCE: S256, the verifier, reuse    C00h  characters and length of nonce
//	C00i  grant_type, code, redirect_uri     C00j  client authentication, S19
//	C00k  the access token's place           C00l  the claims parameter
//	C00m  paths and methods not served       C21   userinfo before the key set
//	C40   refresh: scope, reuse              C50   logout: hint, return address
//	S01   state and nonce: there, 128 bits, new each time
//	S02   PKCE is always used                S03   one redemption for each state
//	S20   assertions of clients (as C00j)    S24   an endpoint's query is kept
//	X06   a code is never tried twice        I5    secrets where none belong
//	F01   pushed requests, where required    DP    proofs of DPoP: each member, nonce, key
//	JAR   request objects: each member
//
// # Lies and their rows
//
//	Discovery                      C22 S02 S04 S18; C09 for alg none
//	Authorization.Params, .Query   F15–F18 S04 S06 C00
//	Authorization.Error            S07 C30
//	Authorization.JWT, .Beside     F23–F30 JARM, see ResponseRows
//	Token                          S08 F19 F20 S12
//	IDToken.Claims                 C02–C05 C12 C18 F05–F08 F11–F14 S09–S12 S15 X27
//	IDToken.Payload                S11 (doubled members, other cases)
//	IDToken.Header                 C06 C07 S14 S15 C09
//	IDToken.Alg, .Signature        C09 C10 C19a C19b F09 F10 S09
//	IDToken.Compact                C10
//	Refreshed                      C40–C42 S17
//	Keys.Publish                   C06 C07 S13 C00 (garbage, the mixed set)
//	Keys.Rotate…, SetKeys          C23 C24 X10–X12
//	DPoP                           F01 F20 F21
//	UserInfo                       C11 C15 C19c C19d S16
//	EndSession                     C51 C52
//	LogoutToken                    C53–C60 S21
//	Skew                           X25 X26
//	At(…): Delay, Drip             X13 X14
//	At(…): Drop, Reset, Cut        X06 X07 X15 X22
//	At(…): Length, Chunked         X16
//	At(…): Body, GzipBomb, Endless X17 X18 X21; Truncate, Inflate, Nest, Widen
//	At(…): Status, Redirects       X19 X20
//	Stop, Start                    X01–X04 X06–X09
//	SetCertificate                 X23
//	SetClient                      X39 (OldSecrets)
//	IDTokenLife                    X53
//	options                        C01 C08 C13 C14 C16 C20 C21 S04 S19 S24
//
// The rest of S01–S32 (S05, S22, S23, S25–S32) is about what the relying party
// says to browsers; no provider sees it. Not offered: encrypted tokens (use
// IDToken.Compact), introspection and revocation.
package oidctest
