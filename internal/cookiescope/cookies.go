package cookiescope

import (
	"net/http"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
)

// Cookie returns one of our cookies with its attributes. A maxAge, in seconds,
// below zero deletes the cookie. Transient cookies have no Max-Age.
func (s *Scope) Cookie(name, value, path string, maxAge int) *http.Cookie {
	config := &s.of.config
	c := &http.Cookie{
		Name: name, Value: value, Path: path, MaxAge: maxAge,
		HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode,
		Partitioned: config.Partitioned,
	}
	if config.SameSiteNone {
		c.SameSite, c.Secure = http.SameSiteNoneMode, true
	}
	if config.Partitioned {
		c.Secure = true
	}
	if config.Domain != "" && !s.isHostOnly(name) {
		c.Domain = config.Domain
	}
	if config.Transient && maxAge > 0 && (name == s.IDTokenHint || name == s.Last || s.IsSession(name)) {
		c.MaxAge = 0 // omits the attribute
	}
	return c
}

// isHostOnly reports whether one of our cookies never has a Domain.
func (s *Scope) isHostOnly(name string) bool {
	return name == s.Mark || name == s.Repeats || name == s.Tried || name == s.Choice || name == s.Last || strings.HasPrefix(name, s.TransactionPrefix) ||
		s.FormerTransactionPrefix != "" && strings.HasPrefix(name, s.FormerTransactionPrefix)
}

// Set sets one of our cookies for the whole site.
func (s *Scope) Set(header http.Header, name, value string, maxAge int) {
	cookie.Set(header, s.Cookie(name, value, "/", maxAge))
}

// Expire deletes one of our cookies.
func (s *Scope) Expire(header http.Header, name string) { s.Set(header, name, "", -1) }

// FindSession returns the session's cookies among those that a browser sent,
// without those that belong to other instances.
func (s *Scope) FindSession(lines []string) cookie.Found {
	found := cookie.Find(lines, s.Session)
	if s.of.foreign != 0 {
		found.Chunks &^= s.of.foreign
		found.Present = found.Chunks != 0
	}
	return found
}

// IsSession reports whether a cookie is the session's, or a chunk of it.
func (s *Scope) IsSession(name string) bool {
	for i := range cookie.MaxChunks {
		if s.of.foreign&(1<<i) == 0 && name == cookie.ChunkName(s.Session, i) {
			return true
		}
	}
	return false
}

// AllChunks returns a bit for each chunk that the session's cookie can have.
func (s *Scope) AllChunks() uint8 { return (1<<cookie.MaxChunks - 1) &^ s.of.foreign }

// SetSession sets a session's cookies, and expires the other ones that are present,
// which a larger session left behind.
func (s *Scope) SetSession(header http.Header, chunks []string, present uint8, maxAge int) {
	for i, chunk := range chunks {
		s.Set(header, cookie.ChunkName(s.Session, i), chunk, maxAge)
	}
	for i := len(chunks); i < cookie.MaxChunks; i++ {
		if present&(1<<i) != 0 {
			s.Expire(header, cookie.ChunkName(s.Session, i))
		}
	}
}

// ClearSession expires the session cookies that are present in the browser.
func (s *Scope) ClearSession(header http.Header, present uint8) {
	s.SetSession(header, nil, present, 0)
}
