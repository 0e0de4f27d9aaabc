// Package provider is the OpenID Provider: the endpoints of the protocol, clients,
// codes, tokens and signing keys. Types of the library that it is built on are
// found nowhere else.
package provider
