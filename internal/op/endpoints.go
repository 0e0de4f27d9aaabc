package op

import "iter"

// Endpoints are the URLs of a provider's endpoints, from metadata or the
// configuration; empty for those that do not exist.
type Endpoints struct {
	Authorization, Token, Userinfo, JWKS, EndSession string
	Revocation                                       string // RFC 7009
	Introspection                                    string // RFC 7662
	Pushed                                           string // pushed authorization requests, RFC 9126
}

// endpoint describes an endpoint of providers.
type endpoint struct {
	name  string // in metadata, JSON and the Caddyfile
	field func(*Endpoints) *string
	// backChannel reports whether we send requests there, and not browsers.
	backChannel bool
	// alias reports whether it may be in mtls_endpoint_aliases (RFC 8705, section 5).
	alias bool
	// needed reports whether a provider must have it; nil if it is optional. noKeys reports
	// whether its keys are not configured.
	needed func(m *Metadata, noKeys bool) bool
}

// endpoints lists the endpoints of providers.
var endpoints = []endpoint{
	{name: "authorization_endpoint", field: func(e *Endpoints) *string { return &e.Authorization }, needed: isAlwaysNeeded},
	{name: "token_endpoint", field: func(e *Endpoints) *string { return &e.Token }, backChannel: true, alias: true, needed: isAlwaysNeeded},
	{name: "userinfo_endpoint", field: func(e *Endpoints) *string { return &e.Userinfo }, backChannel: true, alias: true},
	{name: "jwks_uri", field: func(e *Endpoints) *string { return &e.JWKS }, backChannel: true,
		needed: func(_ *Metadata, noKeys bool) bool { return noKeys }},
	{name: "end_session_endpoint", field: func(e *Endpoints) *string { return &e.EndSession }},
	{name: "revocation_endpoint", field: func(e *Endpoints) *string { return &e.Revocation }, backChannel: true, alias: true},
	{name: "introspection_endpoint", field: func(e *Endpoints) *string { return &e.Introspection }, backChannel: true, alias: true},
	{name: "pushed_authorization_request_endpoint", field: func(e *Endpoints) *string { return &e.Pushed }, backChannel: true, alias: true,
		needed: func(m *Metadata, _ bool) bool { return m.Pushed }},
}

func isAlwaysNeeded(*Metadata, bool) bool { return true }

// All yields the name and a pointer to the URL of each endpoint, including empty
// ones.
func (e *Endpoints) All() iter.Seq2[string, *string] {
	return func(yield func(string, *string) bool) {
		for _, row := range endpoints {
			if !yield(row.name, row.field(e)) {
				return
			}
		}
	}
}

// over returns e, with empty fields replaced by those of base.
func (e Endpoints) over(base Endpoints) Endpoints {
	for _, row := range endpoints {
		if address := row.field(&e); *address == "" {
			*address = *row.field(&base)
		}
	}
	return e
}
