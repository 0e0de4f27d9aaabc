package headers

import (
	"net/http"
	"slices"
)

// Rewriting lists headers that name another URL or method than the request has. An
// application that obeys them would serve something for which no route was matched.
var Rewriting = []string{"X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override"}

// Filter removes from requests what clients must not send to a site. It is safe for
// concurrent use.
type Filter struct {
	names    []string
	lengths  uint64   // a bit for each length of the names, to rule out most others quickly
	upgrades []string // protocols besides websocket that are allowed in Upgrade

	credentials []string                 // headers with credentials, which are also in names
	withheld    []func(line string) bool // select the values of Authorization to remove
}

// NewFilter returns a filter that removes the named headers and allows upgrades to
// the given protocols besides websocket.
func NewFilter(names, upgrades []string) *Filter {
	f := &Filter{names: slices.Clone(names), upgrades: slices.Clone(upgrades)}
	f.measure()
	return f
}

// WithCredentials returns a filter that also removes headers with credentials, and
// Authorization if withheld reports true for one of its values.
func (f *Filter) WithCredentials(names []string, withheld func(line string) bool) *Filter {
	with := NewFilter(appendMissing(f.names, names), f.upgrades)
	with.credentials, with.withheld = slices.Clone(names), []func(string) bool{withheld}
	return with
}

// TakesCredentials reports whether requests may have credentials for this plugin.
func (f *Filter) TakesCredentials() bool { return len(f.withheld) > 0 }

// Credentials returns the names of headers with credentials, besides Authorization.
func (f *Filter) Credentials() []string { return f.credentials }

// Join returns the filter of a site with several instances: it removes and allows
// what any of the filters does.
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

// Upgrades returns the protocols besides websocket that are allowed in Upgrade.
func (f *Filter) Upgrades() []string { return f.upgrades }

// removes reports whether a header is to be removed.
func (f *Filter) removes(name string) bool {
	return f.lengths&(1<<min(len(name), 63)) != 0 &&
		slices.ContainsFunc(f.names, func(own string) bool { return SameName(name, own) })
}

// Clean removes from a request what only the plugin may set: headers in any
// spelling, except for those in keep, which the plugin has set; trailers of such
// names, announced or not; Connection options that would make a proxy drop such
// headers (RFC 9110, section 7.6.1); and Upgrade, which it returns.
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

// withhold removes Authorization if one of its values is withheld.
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

// namesRemoved reports whether a line of a list header names a header to be
// removed.
func (f *Filter) namesRemoved(line string) bool { return anyToken(line, f.removes) }
