// Package cookiescope knows which origin a request is for, and what follows
// from it: the names and attributes of our cookies there, and the additional
// data that what they carry is sealed with. It alone decides by X-Forwarded
// headers, the Host header and TLS.
//
// It does not know what the cookies hold, nor when they are set.
package cookiescope

import (
	"net/http"
	"sync/atomic"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// Config is what an instance of the directive says of its cookies.
type Config struct {
	Name         string // of the session's cookie, without its prefix
	Domain       string // empty for cookies of the host alone
	SameSiteNone bool   // SameSite=None in the place of Lax
	Partitioned  bool   // CHIPS
	Insecure     bool   // cookies are also for plain HTTP
	Transient    bool   // the session's cookies are gone when the browser closes
	// Base is the site's own origin. Nil: the request's.
	Base *address.Origin
	// Trusted reports whether a request comes from a proxy whose X-Forwarded
	// headers count.
	Trusted func(*http.Request) bool
}

// Scopes finds the scope of a request. It is safe for concurrent use.
type Scopes struct {
	config Config
	// foreign are the chunks of the session's cookie whose names are another
	// instance's cookies, a bit each.
	foreign uint8
	// last is the scope that was used last: most instances have one. Host names
	// are the client's to choose, so no more are kept.
	last atomic.Pointer[Scope]
}

// New returns the scopes of an instance.
func New(config Config) *Scopes { return &Scopes{config: config} }

// Exclude marks a chunk of the session's cookie whose name is that of another
// instance's cookie. It must not be called while requests are served.
func (s *Scopes) Exclude(chunk int) { s.foreign |= 1 << chunk }

// Scope is what follows from the origin that a request is for.
type Scope struct {
	Origin address.Origin
	// Ready reports that our cookies are safe here, so that a login may begin.
	Ready bool

	// The names of our cookies, of transactions what their names begin with.
	Session, TransactionPrefix, Mark, Repeats, Tried, IDTokenHint, Choice, Last string

	// The additional data for what each is sealed with.
	SessionAAD, TransactionAAD, MarkAAD, RepeatsAAD, TriedAAD, IDTokenHintAAD, ChoiceAAD, LastAAD string

	// Where the session's cookie has a domain: what the names of transactions of
	// earlier releases begin with, and their additional data.
	FormerTransactionPrefix, FormerTransactionAAD string

	of     *Scopes
	secure bool // the cookies get the attribute Secure
	key    originKey
}

// Of returns the scope of a request: what the configured origin says, else what
// the client says, and a proxy's word where the proxy is trusted. It is nil for
// a request that names no host.
func (s *Scopes) Of(r *http.Request) *Scope {
	key := s.keyOf(r)
	if last := s.last.Load(); last != nil && last.key == key {
		return last
	}
	var origin address.Origin
	if s.config.Base != nil {
		origin = *s.config.Base
	} else {
		var ok bool
		if origin, ok = address.FromRequest(key.scheme, key.host); !ok {
			return nil
		}
	}
	scope := s.At(origin)
	scope.key = key
	s.last.Store(scope)
	return scope
}

// At returns the scope of an origin.
func (s *Scopes) At(origin address.Origin) *Scope {
	c := s.config
	insecure := c.Insecure || origin.Scheme == "http" && origin.Loopback()
	scope := &Scope{
		of:     s,
		Origin: origin,
		Ready:  origin.Scheme == "https" || insecure,
		secure: !insecure,
	}
	// All but the session and its ID token are this host's alone: a sibling site
	// can neither plant nor open them. What is shared below a domain is the session.
	hostPrefix, host := "__Host-", "host "+origin.Hostname()
	if insecure {
		hostPrefix = ""
	}
	if c.Base != nil {
		host = "url " + c.Base.String()
	}
	prefix, place := hostPrefix, host
	if c.Domain != "" {
		place = "domain " + c.Domain
		if !insecure {
			prefix = "__Secure-"
		}
		scope.FormerTransactionPrefix = prefix + c.Name + "_tx_"
		scope.FormerTransactionAAD = scope.FormerTransactionPrefix + "\x00" + place
	}
	scope.Session = prefix + c.Name
	scope.TransactionPrefix = hostPrefix + c.Name + "_tx_"
	scope.Mark = hostPrefix + c.Name + "_mark"
	scope.Repeats = hostPrefix + c.Name + "_again"
	scope.Tried = hostPrefix + c.Name + "_tried"
	scope.Choice = hostPrefix + c.Name + "_choice"
	scope.Last = hostPrefix + c.Name + "_last"
	scope.IDTokenHint = c.Name + "_hint"
	if !insecure {
		scope.IDTokenHint = "__Secure-" + scope.IDTokenHint // its Path is not /, which __Host- wants
	}
	scope.SessionAAD = scope.Session + "\x00" + place
	scope.TransactionAAD = scope.TransactionPrefix + "\x00" + host
	scope.MarkAAD = scope.Mark + "\x00" + host
	scope.ChoiceAAD = scope.Choice + "\x00" + host
	scope.LastAAD = scope.Last + "\x00" + host
	scope.RepeatsAAD = scope.Repeats + "\x00" + scope.TransactionAAD
	scope.TriedAAD = scope.Tried + "\x00" + host
	scope.IDTokenHintAAD = scope.IDTokenHint + "\x00" + place
	return scope
}
