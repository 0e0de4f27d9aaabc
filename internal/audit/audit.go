// Package audit writes the lines by which an operator learns who signed in and
// out, who was refused, and whose sessions were revoked: one place for all of
// them, so that every line says who, where and by which provider under the same
// names.
//
// It knows fields and bounds of what is written, and keeps a flood of refusals
// out of the log. It does not know requests, cookies or providers.
package audit

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// What the field event of an audit line says.
const (
	SignedIn  = "signed_in"
	SignedOut = "signed_out"
	Refused   = "refused"
	Revoked   = "revoked"
)

// Event is one thing that happened to a user, and who that was. What an event
// does not know is empty.
type Event struct {
	Event   string
	Message string
	Level   slog.Level // zero: info
	Via     string     // what brought it about: logout, back_channel, front_channel, refresh or admin_api

	User     string // as {http.auth.user.id} has it
	Subject  string
	Provider string
	Session  *session.Session
	Issuer   string // with SID: which session at the provider is meant
	SID      string
	Code     string // the error code of a refusal

	Host   string
	Client string // the client's address
}

// Log writes an audit line.
func Log(ctx context.Context, logger *slog.Logger, e Event, more ...slog.Attr) {
	if !logger.Enabled(ctx, e.Level) {
		return
	}
	if e.Session != nil {
		e.Subject = orDefault(e.Subject, e.Session.Subject)
		e.SID = orDefault(e.SID, e.Session.SID)
	}
	fields := []slog.Attr{
		slog.String("event", e.Event),
		slog.String("user", logtext.Clean(e.User, logtext.MaxName)),
		slog.String("subject", logtext.Clean(e.Subject, logtext.MaxName)),
		slog.String("provider", e.Provider),
		slog.String("client_ip", e.Client),
		slog.String("session", SessionName(e.Session)),
	}
	for _, optional := range []struct{ name, value string }{
		{"code", e.Code}, {"host", logtext.Clean(e.Host, logtext.MaxName)}, {"via", e.Via}, {"issuer", logtext.Clean(e.Issuer, logtext.MaxName)}, {"provider_session", shortHash(e.SID)},
	} {
		if optional.value != "" {
			fields = append(fields, slog.String(optional.name, optional.value))
		}
	}
	logger.LogAttrs(ctx, e.Level, e.Message, append(fields, more...)...)
}

// NewErrorID returns an id by which the line about an error is found.
func NewErrorID() string {
	var random [4]byte
	rand.Read(random[:])
	return hex.EncodeToString(random[:])
}

// SessionName names a session in logs: a hash of its id, since the id is what a
// ticket holds. It is empty where there is no session.
func SessionName(s *session.Session) string {
	if s == nil || s.ID == (session.ID{}) {
		return ""
	}
	return shortHash(string(s.ID[:]))
}

// shortHash stands in logs for what others must not learn from them.
func shortHash(secret string) string {
	if secret == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("oidc_rp log\x00" + secret))
	return hex.EncodeToString(sum[:8])
}

func orDefault(value, otherwise string) string {
	if value != "" {
		return value
	}
	return otherwise
}
