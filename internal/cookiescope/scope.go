// Package cookiescope determines the origin of a request, and with it the names and
// attributes of our cookies there, and the additional data that their values are sealed
// with. No other package evaluates the Host header, X-Forwarded headers or TLS.
//
// It does not know the contents of the cookies, nor when they are set.
package cookiescope

import (
	"net/http"
	"sync/atomic"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

// Config configures the cookies of an instance.
type Config struct {
	Name         string // name of the session's cookie, without its prefix
	Domain       string // empty for host-only cookies
	SameSiteNone bool   // SameSite=None instead of Lax
	Partitioned  bool   // CHIPS
	Insecure     bool   // allow cookies over plain HTTP
	Transient    bool   // the browser drops the session's cookies when it closes
	// Base is the configured origin; nil for that of the request.
	Base *address.Origin
	// Trusted reports whether a request comes from a trusted proxy, whose
	// X-Forwarded headers are used.
	Trusted func(*http.Request) bool
}

// Scopes returns the scopes of requests. It is safe for concurrent use.
type Scopes struct {
	config Config
	// foreign has a bit for each chunk of the session's cookie whose name another
	// instance's cookie has.
	foreign uint8
	// last caches the last scope. Most instances have only one, and clients may
	// send any host, so no more are cached.
	last atomic.Pointer[Scope]
}

// New returns the scopes of an instance.
func New(config Config) *Scopes { return &Scopes{config: config} }

// Exclude excludes a chunk of the session's cookie because another instance has a
// cookie of its name. It must not be called while requests are served.
func (s *Scopes) Exclude(chunk int) { s.foreign |= 1 << chunk }

// Scope is what depends on the origin of a request.
type Scope struct {
	Origin address.Origin
	// Ready reports whether our cookies are protected here, so that a login may
	// begin.
	Ready bool

	// Names of our cookies, and the name prefix of transactions.
	Session, TransactionPrefix, Mark, Repeats, Tried, IDTokenHint, Choice, Last string

	// Additional data of the values of our cookies.
	SessionAAD, TransactionAAD, MarkAAD, RepeatsAAD, TriedAAD, IDTokenHintAAD, ChoiceAAD, LastAAD string

	// If the session's cookie has a domain: the name prefix of transactions of
	// earlier releases, and their additional data.
	FormerTransactionPrefix, FormerTransactionAAD string

	of     *Scopes
	secure bool // whether cookies have the attribute Secure
	key    originKey
}

// Of returns the scope of a request: that of the configured origin, or of the
// origin that the client, or a trusted proxy, sent. It is nil if the request has no
// host.
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
	// All cookies except for the session and its ID token are host-only, so that sibling
	// sites can neither plant nor open them.
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
		scope.IDTokenHint = "__Secure-" + scope.IDTokenHint // __Host- would require the path /
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
