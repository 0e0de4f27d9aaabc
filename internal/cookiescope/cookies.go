package cookiescope

import (
	"net/http"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
)

// Cookie returns a cookie of ours with its attributes. A negative maxAge, in
// seconds, deletes it. Transient cookies are set without any.
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
		c.MaxAge = 0 // which writes no attribute
	}
	return c
}

// isHostOnly reports whether a cookie of ours is never for a whole domain.
func (s *Scope) isHostOnly(name string) bool {
	return name == s.Mark || name == s.Repeats || name == s.Tried || name == s.Choice || name == s.Last || strings.HasPrefix(name, s.TransactionPrefix) ||
		s.FormerTransactionPrefix != "" && strings.HasPrefix(name, s.FormerTransactionPrefix)
}

// Set sets a cookie of ours for the whole site.
func (s *Scope) Set(header http.Header, name, value string, maxAge int) {
	cookie.Set(header, s.Cookie(name, value, "/", maxAge))
}

// Expire deletes a cookie of ours.
func (s *Scope) Expire(header http.Header, name string) { s.Set(header, name, "", -1) }

// FindSession finds the session's cookies among those that a browser sent, and
// leaves out those of other instances.
func (s *Scope) FindSession(lines []string) cookie.Found {
	found := cookie.Find(lines, s.Session)
	if s.of.foreign != 0 {
		found.Chunks &^= s.of.foreign
		found.Present = found.Chunks != 0
	}
	return found
}

// IsSession reports whether a cookie is this session's, or a chunk of it.
func (s *Scope) IsSession(name string) bool {
	for i := range cookie.MaxChunks {
		if s.of.foreign&(1<<i) == 0 && name == cookie.ChunkName(s.Session, i) {
			return true
		}
	}
	return false
}

// AllChunks are the chunks that a session's cookie can have, a bit each.
func (s *Scope) AllChunks() uint8 { return (1<<cookie.MaxChunks - 1) &^ s.of.foreign }

// SetSession sets a session's cookies, and expires those present ones that a
// larger session has left behind.
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

// ClearSession expires those of a session's cookies that the browser has sent.
func (s *Scope) ClearSession(header http.Header, present uint8) {
	s.SetSession(header, nil, present, 0)
}
