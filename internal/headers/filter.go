package headers

import (
	"net/http"
	"slices"
)

// Rewriting are the headers that name another address or method than the
// request has. Applications that obey them would serve what no route was asked
// about.
var Rewriting = []string{"X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override"}

// Filter takes out of requests what no client may send to a site. It is safe
// for concurrent use.
type Filter struct {
	names    []string
	lengths  uint64   // of the names, a bit each: most others differ in it
	upgrades []string // protocols that an Upgrade may name, beside websocket

	credentials []string                 // names of headers where credentials are; names has them, too
	withheld    []func(line string) bool // lines of Authorization that no application sees
}

// NewFilter returns a filter that removes the headers of these names and lets
// these protocols through, beside websocket.
func NewFilter(names, upgrades []string) *Filter {
	f := &Filter{names: slices.Clone(names), upgrades: slices.Clone(upgrades)}
	f.measure()
	return f
}

// WithCredentials returns a filter that also removes headers of these names, since they
// hold credentials, and Authorization if a line of it is withheld.
func (f *Filter) WithCredentials(names []string, withheld func(line string) bool) *Filter {
	with := NewFilter(appendMissing(f.names, names), f.upgrades)
	with.credentials, with.withheld = slices.Clone(names), []func(string) bool{withheld}
	return with
}

// TakesCredentials reports whether requests may have credentials for us.
func (f *Filter) TakesCredentials() bool { return len(f.withheld) > 0 }

// Credentials are the names of the headers where credentials are, besides
// Authorization.
func (f *Filter) Credentials() []string { return f.credentials }

// Join returns a filter for a site with several instances: it removes what any
// of their filters removes, and lets through what any of them lets through.
func Join(filters ...*Filter) *Filter {
	joined := new(Filter)
	for _, f := range filters {
		joined.names = appendMissing(joined.names, f.names)
		joined.upgrades = appendMissing(joined.upgrades, f.upgrades)
		joined.credentials = appendMissing(joined.credentials, f.credentials)
		joined.withheld = append(joined.withheld, f.withheld...)
	}
	joined.measure()
	return joined
}

func appendMissing(list, more []string) []string {
	list = list[:len(list):len(list)]
	for _, item := range more {
		if !slices.Contains(list, item) {
			list = append(list, item)
		}
	}
	return list
}

func (f *Filter) measure() {
	for _, name := range f.names {
		f.lengths |= 1 << min(len(name), 63)
	}
}

// Upgrades are the protocols that an Upgrade may name, beside websocket.
func (f *Filter) Upgrades() []string { return f.upgrades }

// removes reports whether no client may send a header of a name.
func (f *Filter) removes(name string) bool {
	return f.lengths&(1<<min(len(name), 63)) != 0 &&
		slices.ContainsFunc(f.names, func(own string) bool { return SameName(name, own) })
}

// Clean removes from a request what only the plugin may say: headers in any
// spelling, except those of the names in keep, which the plugin has set itself;
// trailers of such names, now and when they come; the tokens of Connection that
// would make a proxy drop such headers (RFC 9110 7.6.1); and Upgrade, which it
// returns.
func (f *Filter) Clean(r *http.Request, keep []string) *Upgrade {
	upgrade := takeUpgrade(r)
	f.guardTrailers(r)
	f.withhold(r.Header)
	if len(f.names) == 0 {
		return upgrade
	}
	for name := range r.Header {
		if f.removes(name) && !slices.Contains(keep, name) {
			delete(r.Header, name)
		}
	}
	for _, list := range [...]string{"Connection", "Trailer"} {
		if slices.ContainsFunc(r.Header[list], f.namesRemoved) {
			dropTokens(r.Header, list, f.removes)
		}
	}
	return upgrade
}

// withhold removes Authorization if a line of it is withheld.
func (f *Filter) withhold(header http.Header) {
	if len(f.withheld) == 0 {
		return
	}
	for _, line := range header["Authorization"] {
		if slices.ContainsFunc(f.withheld, func(is func(string) bool) bool { return is(line) }) {
			delete(header, "Authorization")
			return
		}
	}
}

// namesRemoved reports whether a line of a list header names a header that no
// client may send.
func (f *Filter) namesRemoved(line string) bool { return anyToken(line, f.removes) }
