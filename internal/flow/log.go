package flow

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file writes log lines: one for each failure, and the audit lines.

// outageEvery is how often an outage is logged above debug level. During an outage
// every page load fails.
const outageEvery = 10 * time.Second

// log writes the log line of a failure and returns its error id, or "" if no line
// was written.
func (x *request) log(f *Failure) (id string) {
	logging := errorcode.Log(f.Code, f.Cause)
	level := logging.Level
	if logging.Throttled && !x.outageDue() {
		level = slog.LevelDebug
	}
	if logging.Refusal {
		return x.auditRefused(f, level, providerWords(f.Cause)...)
	}
	ctx := x.R.Context()
	if !x.Logger.Enabled(ctx, level) {
		return ""
	}
	id = audit.NewErrorID()
	name := ""
	if f.Provider != nil {
		name = f.Provider.ID
	}
	fields := []slog.Attr{
		slog.String("code", string(f.Code)), slog.String("provider", name), errAttr(f.Cause),
		slog.String("error_id", id), slog.String("client_ip", x.Server.ClientIP(ctx)), slog.String("host", x.R.Host),
	}
	x.Logger.LogAttrs(ctx, level, "authentication error", append([]slog.Attr{slog.String("event", "authentication_error")}, append(fields, providerWords(f.Cause)...)...)...)
	return id
}

// outageDue reports whether an outage is to be logged now, and records that it is.
func (in *Instance) outageDue() bool {
	now := in.Now().UnixNano()
	last := in.outageLogged.Load()
	return (now-last >= int64(outageEvery) || now < last) && in.outageLogged.CompareAndSwap(last, now)
}

// audit counts and emits an audit event, and writes its log line.
func (in *Instance) audit(ctx context.Context, e audit.Event, more ...slog.Attr) {
	countAudited(&e)
	e.Client = in.Server.ClientIP(ctx)
	if in.Shared.wants(e.Kind) {
		in.Shared.Events.Emit(&e)
	}
	if !in.Logger.Enabled(ctx, e.Level) {
		return
	}
	in.Logger.LogAttrs(ctx, e.Level, e.Message, append(e.Attrs(), more...)...)
}

// auditSession audits an event about a session of this instance.
func (in *Instance) auditSession(ctx context.Context, e audit.Event, p *Provider, s *session.Session, more ...slog.Attr) {
	e.Session, e.Provider, e.User = s, p.ID, in.UserOf(p, s).ID()
	in.audit(ctx, e, more...)
}

// auditRefused audits a refusal and returns its error id. Refusals of
// unauthenticated requests are sampled, events included; the id is "" if no line
// was written.
func (x *request) auditRefused(f *Failure, level slog.Level, more ...slog.Attr) (id string) {
	ctx := x.R.Context()
	logged := x.Logger.Enabled(ctx, level)
	if !logged && !x.Shared.wants(audit.Refused) {
		return ""
	}
	e := audit.Event{Kind: audit.Refused, Message: "refused", Level: level, Code: f.Code, Rule: ruleOf(f), Host: x.R.Host}
	if f.Provider != nil {
		e.Provider = f.Provider.ID
	}
	x.identifyRefused(&e, f)
	if e.Session == nil {
		written, left := x.Shared.refusals.Take(x.clientNetwork(), x.Now())
		if !written {
			return ""
		}
		if left > 0 {
			more = append(more, slog.Int("suppressed", left))
		}
	}
	if logged {
		id = audit.NewErrorID()
	}
	x.audit(ctx, e, append(more, slog.String("error_id", id), errAttr(f.Cause))...)
	return id
}

// identifyRefused sets the user of a refusal: the one of the failed login, or else
// the one who is signed in.
func (x *request) identifyRefused(e *audit.Event, f *Failure) {
	var known *refusedUser
	if errors.As(f.Cause, &known) && f.Provider != nil {
		if e.Session = known.session; known.session.Username != "" {
			e.User = x.UserOf(f.Provider, known.session).ID()
		}
		return
	}
	if st := x.State; st.SignedIn() {
		e.Session, e.User = st.session, st.User().ID()
		e.Provider = cmp.Or(e.Provider, st.provider.ID)
	}
}

// providerWords returns what a provider says about a failure, as attributes.
// Foreign text is never part of a message.
func providerWords(err error) (fields []slog.Attr) {
	var refused *op.Refusal
	if !errors.As(err, &refused) {
		return nil
	}
	for _, word := range []struct{ name, text string }{
		{"provider_error", refused.Code}, {"provider_error_description", refused.Description},
		{"provider_error_uri", refused.URI}, {"provider_message", refused.Message},
	} {
		if word.text != "" {
			fields = append(fields, slog.String(word.name, word.text))
		}
	}
	return fields
}

// errAttr returns the attribute of an error.
func errAttr(err error) slog.Attr { return slog.Any("error", err) }

// warn, info and debug log with slog attributes, which keep their names and types.
func (in *Instance) warn(event, message string, fields ...slog.Attr) {
	in.line(slog.LevelWarn, event, message, fields)
}

func (in *Instance) debug(event, message string, fields ...slog.Attr) {
	in.line(slog.LevelDebug, event, message, fields)
}

func (in *Instance) info(event, message string, fields ...slog.Attr) {
	in.line(slog.LevelInfo, event, message, fields)
}

func (in *Instance) line(level slog.Level, event, message string, fields []slog.Attr) {
	if in.Logger.Enabled(context.Background(), level) {
		in.Logger.LogAttrs(context.Background(), level, message, append([]slog.Attr{slog.String("event", event)}, fields...)...)
	}
}

// isFirst reports whether this is the first message of a kind about a provider and
// a name in this configuration.
func (in *Instance) isFirst(p *Provider, kind, name string) bool {
	return in.Shared.once.First(onceKey{p.ID, p.Registration, kind, name})
}

// warnOnce logs a warning once per configuration, provider, kind and name.
func (in *Instance) warnOnce(p *Provider, kind, name, event, message string, fields ...slog.Attr) {
	if in.isFirst(p, kind, name) {
		in.warn(event, message, append([]slog.Attr{slog.String("provider", p.ID)}, fields...)...)
	}
}
