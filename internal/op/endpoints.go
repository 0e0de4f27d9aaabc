package op

import "iter"

// Endpoints are the addresses of a provider's endpoints, of its metadata or of the
// configuration. One that is empty is not there.
type Endpoints struct {
	Authorization, Token, Userinfo, JWKS, EndSession string
	Revocation                                       string // RFC 7009
	Introspection                                    string // RFC 7662
	Pushed                                           string // pushed authorization requests, RFC 9126
}

// endpoint is what is known about one endpoint of a provider.
type endpoint struct {
	name  string // in metadata, in JSON and in a Caddyfile
	field func(*Endpoints) *string
	// backChannel: we send requests there. Browsers go to the others themselves.
	backChannel bool
	// alias: mtls_endpoint_aliases may name another address of it (RFC 8705 5).
	alias bool
	// needed reports whether a provider cannot do without; nil if it always can.
	// noKeys: its keys are not configured.
	needed func(m *Metadata, noKeys bool) bool
}

// endpoints is the one list of a provider's endpoints.
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

// All yields the name and the address of each endpoint, also of those that are
// empty. The address may be changed.
func (e *Endpoints) All() iter.Seq2[string, *string] {
	return func(yield func(string, *string) bool) {
		for _, row := range endpoints {
			if !yield(row.name, row.field(e)) {
				return
			}
		}
	}
}

// over returns the addresses of e, and those of base in the place of empty ones.
func (e Endpoints) over(base Endpoints) Endpoints {
	for _, row := range endpoints {
		if address := row.field(&e); *address == "" {
			*address = *row.field(&base)
		}
	}
	return e
}
