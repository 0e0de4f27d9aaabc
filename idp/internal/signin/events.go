package signin

import (
	"encoding/hex"
	"log/slog"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Reasons of failures, for the log. Users see the same text for all.
const (
	reasonUnknown    = "unknown_name"
	reasonPassword   = "wrong_password"
	reasonNoPassword = "no_password"
	reasonCode       = "wrong_code"
	reasonRecovery   = "wrong_recovery_code"
	reasonPasskey    = "wrong_passkey"
	reasonLocked     = "locked"
	reasonStep       = "not_due"
)

var reasonOf = map[string]string{AttemptPassword: reasonPassword, AttemptCode: reasonCode, AttemptRecovery: reasonRecovery}

// Counted outcomes.
const (
	outcomeSignedIn = "signed_in"
	outcomeFailed   = "failed"
	outcomeLocked   = "locked"
	outcomeBusy     = "busy"
	outcomeRefused  = "refused"
)

// log writes an audit line. It must not contain any form field.
func (v *visit) log(event, message string, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{
		slog.String("event", event),
		slog.String("client_id", v.request.ClientID),
		slog.String("address", v.Address(v.r).String()),
	}, attrs...)
	v.Logger.LogAttrs(v.r.Context(), slog.LevelInfo, message, attrs...)
}

// who identifies a user by the subject, or an unknown name by a keyed hash, since
// people sometimes type passwords into the name field.
func (v *visit) who(user *store.User, key string) slog.Attr {
	if user != nil {
		return slog.String("user", user.ID)
	}
	hash, err := v.Keyed(v.r.Context(), "unknown names in the log", key)
	if err != nil || len(hash) < 8 {
		return slog.String("unknown_user", "")
	}
	return slog.String("unknown_user", hex.EncodeToString(hash[:8]))
}

// report logs and counts the result of a form, and sends mail.
func (v *visit) report(j *judgement) {
	ctx := v.r.Context()
	switch {
	case j.reason == reasonStep:
		return
	case j.reason != "":
		v.Count(outcomeFailed, j.kind)
		v.log("sign_in_failed", "sign-in failed", v.who(j.user, j.who.key), slog.String("factor", j.kind), slog.String("reason", j.reason))
	case j.kind == string(factors.RecoveryCode):
		v.log("recovery_code_used", "a recovery code was used", v.who(j.user, ""))
		v.Notices.RecoveryUsed(ctx, j.user)
	}
	if j.cloned {
		v.reportCloned(j.user)
	}
	if j.locked {
		v.Count(outcomeLocked, j.kind)
		v.log("locked", "an account was locked after wrong attempts", v.who(j.user, j.who.key), slog.String("factor", j.kind))
		v.Notices.Locked(ctx, j.user)
	}
}

// signedIn logs that a user has signed in, or continued with a session.
func (v *visit) signedIn(f facts, d decision, session *store.Session) {
	event, message := "session_used", "a session was used"
	if d.active {
		event, message = "signed_in", "signed in"
		v.Count(outcomeSignedIn, factorOf(d.auth.AMR))
	}
	v.log(event, message, v.who(f.user, ""), slog.String("sid", session.SID),
		slog.String("acr", session.ACR), slog.String("amr", strings.Join(session.AMR, " ")))
}

// factorOf returns the strongest factor of a sign-in.
func factorOf(amr []string) string {
	for _, one := range []struct{ amr, factor string }{
		{amrHardware, "passkey"}, {amrSoftware, "passkey"}, {amrCode, "code"}, {amrExternal, "external"},
	} {
		if strings.Contains(" "+strings.Join(amr, " ")+" ", " "+one.amr+" ") {
			return one.factor
		}
	}
	return "password"
}
