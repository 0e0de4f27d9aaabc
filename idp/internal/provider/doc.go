// Package provider implements the OpenID Provider: the protocol endpoints, clients,
// codes, tokens and signing keys. Types of the library that it is built on are
// found nowhere else.
//
// An authorization request is checked here (authorization.go), handed over to a
// sign-in, and comes back as a call of Finish or Refuse (authorize.go). What the
// library then does, it does with a unit (unit.go): it reads what the unit has
// loaded, and what it writes is committed in one transaction, together with the
// check that no other request has used the code or the refresh token.
//
// The library reads the system's clock. It is given times as they would be if that
// were ours, and all that depends on time is checked here as well.
package provider
