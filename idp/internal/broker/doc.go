// Package broker lets external providers authenticate users, by OpenID Connect,
// SAML 2.0, or OAuth 2.0 with an API, and links their accounts to ours.
package broker
