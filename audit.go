package oidcrp

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// What the field event of an audit line says.
const (
	eventSignedIn  = "signed_in"
	eventSignedOut = "signed_out"
	eventRefused   = "refused"
	eventRevoked   = "revoked"
)

// auditEvent is one thing that happened to a user, and who that was. What an
// event does not know is empty.
type auditEvent struct {
	event   string
	message string
	level   zapcore.Level // zero: info
	via     string        // what brought it about: logout, back_channel, front_channel, refresh or admin_api

	user     string // as {http.auth.user.id} has it
	subject  string
	provider string
	session  *session.Session
	issuer   string // with sid: whose session at the provider is meant
	sid      string
	code     errorcode.Code

	host   string
	client string // default: the request's
}

// audit writes an audit line. It is the only place that does, so that every
// line says who, where and by which provider under the same names.
func audit(ctx context.Context, logger *zap.Logger, e auditEvent, more ...zap.Field) {
	entry := logger.Check(e.level, e.message)
	if entry == nil {
		return
	}
	if e.client == "" {
		e.client, _ = caddyhttp.GetVar(ctx, caddyhttp.ClientIPVarKey).(string)
	}
	if e.session != nil {
		e.subject = orDefault(e.subject, e.session.Subject)
		e.sid = orDefault(e.sid, e.session.SID)
	}
	fields := []zap.Field{
		zap.String("event", e.event),
		zap.String("user", logtext.Clean(e.user, logtext.MaxName)),
		zap.String("subject", logtext.Clean(e.subject, logtext.MaxName)),
		zap.String("provider", e.provider),
		zap.String("client_ip", e.client),
		zap.String("session", sessionName(e.session)),
	}
	for _, optional := range []struct{ name, value string }{
		{"code", string(e.code)}, {"host", logtext.Clean(e.host, logtext.MaxName)}, {"via", e.via}, {"issuer", logtext.Clean(e.issuer, logtext.MaxName)}, {"provider_session", shortHash(e.sid)},
	} {
		if optional.value != "" {
			fields = append(fields, zap.String(optional.name, optional.value))
		}
	}
	entry.Write(append(fields, more...)...)
}

// signedOut is the event of a logout that the user asked for.
func signedOut(r *http.Request) auditEvent {
	return auditEvent{event: eventSignedOut, message: "signed out", via: "logout", host: r.Host}
}

// auditSession is an event about a session of this site.
func (h *Handler) auditSession(ctx context.Context, e auditEvent, p *provider, s *session.Session, more ...zap.Field) {
	e.session, e.provider = s, p.id
	e.user = (&requestState{h: h, provider: p, session: s}).userID()
	audit(ctx, h.logger, e, more...)
}

// auditRefused is the line about a refusal. Its id is what the page shows; it
// is empty if no line was written, since refusals of strangers are sampled.
func (h *Handler) auditRefused(r *http.Request, f *failure, level zapcore.Level, more ...zap.Field) (id string) {
	if h.logger.Check(level, "") == nil {
		return ""
	}
	e := auditEvent{event: eventRefused, message: "refused", level: level, code: f.code, host: r.Host}
	if f.provider != nil {
		e.provider = f.provider.id
	}
	h.identifyRefused(&e, r, f)
	if e.session == nil {
		written, left := h.app.refusals.take(clientOf(r), h.now())
		if !written {
			return ""
		}
		if left > 0 {
			more = append(more, zap.Int("suppressed", left))
		}
	}
	id = newErrorID()
	audit(r.Context(), h.logger, e, append(more, zap.String("error_id", id), zap.Error(f.cause))...)
	return id
}

// identifyRefused finds out who was refused: the user of the sign-in that was
// not kept, else the one who is signed in.
func (h *Handler) identifyRefused(e *auditEvent, r *http.Request, f *failure) {
	var known *refusedUser
	if errors.As(f.cause, &known) && f.provider != nil {
		if e.session = known.session; known.session.Username != "" {
			e.user = (&requestState{h: h, provider: f.provider, session: known.session}).userID()
		}
		return
	}
	vars, _ := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	if st, ok := vars[stateVar].(*requestState); ok && st.signedIn() {
		e.session, e.user = st.session, st.userID()
		e.provider = orDefault(e.provider, st.provider.id)
	}
}

// refusedUser is a reason not to keep a sign-in whose user is known.
type refusedUser struct {
	error
	session *session.Session
}

func (e *refusedUser) Unwrap() error { return e.error }

// ofSubject adds to an error whom the ID token is about. Which name the user
// has here is not known.
func ofSubject(err error, idToken op.Claims) error {
	var subject string
	if json.Unmarshal(idToken["sub"], &subject) != nil {
		return err
	}
	return &refusedUser{err, &session.Session{Subject: subject}}
}

func newErrorID() string {
	var random [4]byte
	rand.Read(random[:])
	return hex.EncodeToString(random[:])
}

// sessionName names a session in logs: a hash of its id, since the id is what a
// ticket holds.
func sessionName(s *session.Session) string {
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

// remoteIP is the address of the admin API's caller.
func remoteIP(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

// refusalWindow is the time in which refusals are counted.
const refusalWindow = time.Minute
