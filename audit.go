package oidcrp

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file writes audit lines and the warnings that a configuration logs once.

// writeAudit writes an audit line. It is the only place that does, so that every
// line says who, where and by which provider under the same names.
func writeAudit(ctx context.Context, logger *zap.Logger, e audit.Event, more ...zap.Field) {
	entry := logger.Check(zapLevel(e.Level), e.Message)
	if entry == nil {
		return
	}
	if e.Client == "" {
		e.Client, _ = caddyhttp.GetVar(ctx, caddyhttp.ClientIPVarKey).(string)
	}
	attrs := e.Attrs()
	fields := make([]zap.Field, 0, len(attrs)+len(more))
	for _, attr := range attrs {
		fields = append(fields, zap.String(attr.Key, attr.Value.String()))
	}
	entry.Write(append(fields, more...)...)
}

// signedOut is the event of a logout that the user asked for.
func signedOut(r *http.Request) audit.Event {
	return audit.Event{Kind: audit.SignedOut, Message: "signed out", Via: "logout", Host: r.Host}
}

// auditSession writes the line about an event of a session of this site.
func (h *Handler) auditSession(ctx context.Context, e audit.Event, p *provider, s *session.Session, more ...zap.Field) {
	e.Session, e.Provider = s, p.id
	e.User = (&requestState{h: h, provider: p, session: s}).userID()
	writeAudit(ctx, h.logger, e, more...)
}

// auditRefused writes the line about a refusal. Its id is what the page shows;
// it is empty if no line was written, since refusals of unknown users are
// sampled.
func (h *Handler) auditRefused(r *http.Request, f *failure, level slog.Level, more ...zap.Field) (id string) {
	if h.logger.Check(zapLevel(level), "") == nil {
		return ""
	}
	e := audit.Event{Kind: audit.Refused, Message: "refused", Level: level, Code: f.code, Host: r.Host}
	if f.provider != nil {
		e.Provider = f.provider.id
	}
	h.identifyRefused(&e, r, f)
	if e.Session == nil {
		logged, suppressed := h.app.refusals.Take(clientOf(r), h.now())
		if !logged {
			return ""
		}
		if suppressed > 0 {
			more = append(more, zap.Int("suppressed", suppressed))
		}
	}
	id = audit.NewErrorID()
	writeAudit(r.Context(), h.logger, e, append(more, zap.String("error_id", id), zap.Error(f.cause))...)
	return id
}

// identifyRefused finds out who was refused: the user of the sign-in that was
// not kept, else the one who is signed in.
func (h *Handler) identifyRefused(e *audit.Event, r *http.Request, f *failure) {
	var known *refusedUser
	if errors.As(f.cause, &known) && f.provider != nil {
		if e.Session = known.session; known.session.Username != "" {
			e.User = (&requestState{h: h, provider: f.provider, session: known.session}).userID()
		}
		return
	}
	vars, _ := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	if st, ok := vars[stateVar].(*requestState); ok && st.signedIn() {
		e.Session, e.User = st.session, st.userID()
		e.Provider = orDefault(e.Provider, st.provider.id)
	}
}

// refusedUser is an error of a sign-in whose user is known.
type refusedUser struct {
	error
	session *session.Session
}

func (e *refusedUser) Unwrap() error { return e.error }

// ofSubject adds the subject of the ID token to an error. Which name the user has
// here is not known.
func ofSubject(err error, idToken op.Claims) error {
	var subject string
	if json.Unmarshal(idToken["sub"], &subject) != nil {
		return err
	}
	return &refusedUser{err, &session.Session{Subject: subject}}
}

// remoteIP is the address of the admin API's caller.
func remoteIP(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

// onceKey is one thing to log: its kind, and the claim, scope or other name that
// it is about. Equal providers of several sites share it.
type onceKey struct {
	provider     string
	registration session.Binding
	kind, name   string
}

// isFirst reports whether this is the first time in this configuration that
// something of this kind is to be logged about a provider and a name.
func (h *Handler) isFirst(p *provider, kind, name string) bool {
	return h.app.once.First(onceKey{p.id, p.registration, kind, name})
}

// warnOnce logs a warning once per configuration, provider, kind and name.
func (h *Handler) warnOnce(p *provider, kind, name, message string, fields ...zap.Field) {
	if h.isFirst(p, kind, name) {
		h.logger.Warn(message, append([]zap.Field{zap.String("provider", p.id)}, fields...)...)
	}
}
