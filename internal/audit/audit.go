// Package audit defines the content of audit lines: what happened to which user, by
// which provider, from where, under the same names on every line. It keeps
// secrets out of the lines, and floods of refusals out of the log.
//
// It knows names, limits and what may be logged. Writing the line, and finding
// out who the user is, is up to its callers.
package audit

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// Kind is the field event of an audit line.
type Kind string

// The kinds of events.
const (
	SignedIn  Kind = "signed_in"
	SignedOut Kind = "signed_out"
	Refused   Kind = "refused"
	Revoked   Kind = "revoked"
)

// Event is something that happened to a user. Unknown fields are empty.
type Event struct {
	Kind    Kind
	Message string
	Level   slog.Level // default: info
	// Via is what caused it: logout, back_channel, front_channel, refresh,
	// admin_api or handover.
	Via string

	User     string // {http.auth.user.id}
	Subject  string // default: the session's
	Provider string
	Session  *session.Session
	Issuer   string // with SID: whose session at the provider is meant
	SID      string // default: the session's
	Code     errorcode.Code
	Rule     string // that refused the user, as it is written

	Host   string
	Client string // the client's IP address
}

// Attrs returns the attributes of the event's line. Lengths of names are limited,
// and control characters escaped. Session ids and sids are hashed, since whoever
// knows one can end the session.
func (e Event) Attrs() []slog.Attr {
	if e.Session != nil {
		e.Subject = cmp.Or(e.Subject, e.Session.Subject)
		e.SID = cmp.Or(e.SID, e.Session.SID)
	}
	attrs := []slog.Attr{
		slog.String("event", string(e.Kind)),
		slog.String("user", logtext.Clean(e.User, logtext.MaxName)),
		slog.String("subject", logtext.Clean(e.Subject, logtext.MaxName)),
		slog.String("provider", e.Provider),
		slog.String("client_ip", e.Client),
		slog.String("session", SessionName(e.Session)),
	}
	for _, optional := range []slog.Attr{
		slog.String("code", string(e.Code)),
		slog.String("rule", logtext.Clean(e.Rule, logtext.MaxName)),
		slog.String("host", logtext.Clean(e.Host, logtext.MaxName)),
		slog.String("via", e.Via),
		slog.String("issuer", logtext.Clean(e.Issuer, logtext.MaxName)),
		slog.String("provider_session", Hash(e.SID)),
	} {
		if optional.Value.String() != "" {
			attrs = append(attrs, optional)
		}
	}
	return attrs
}

// SessionName returns the name of a session in logs: a hash of its id, which is a
// secret.
func SessionName(s *session.Session) string {
	if s == nil || s.ID == (session.ID{}) {
		return ""
	}
	return Hash(string(s.ID[:]))
}

// Hash returns a hash for use in logs instead of a secret.
func Hash(secret string) string {
	if secret == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("oidc_rp log\x00" + secret))
	return hex.EncodeToString(sum[:8])
}

// NewErrorID returns a random id that an error page and its log line share.
func NewErrorID() string {
	var random [4]byte
	rand.Read(random[:])
	return hex.EncodeToString(random[:])
}
