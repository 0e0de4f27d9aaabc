package selfservice

import (
	"errors"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/signin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// endSession ends one session of the user.
func (v *visit) endSession() {
	ctx, id := v.r.Context(), v.field(pages.FieldID)
	sessions, err := v.Sessions.List(ctx, v.user.ID)
	if err != nil {
		v.fail(err)
		return
	}
	for _, s := range sessions {
		if sessionID(s.SID) != id {
			continue
		}
		if err := v.Sessions.EndOf(ctx, v.user.ID, s.SID); err != nil && !errors.Is(err, store.ErrNotFound) {
			v.fail(err)
			return
		}
		v.log("session_ended", "a user has ended a session", v.user.ID)
		if s.SID == v.session.SID {
			v.signedOut()
			return
		}
	}
	v.showAccountWith(pages.NoticeSessionEnded)
}

// endSessions ends all sessions of the user, and forgets remembered browsers.
func (v *visit) endSessions() {
	ctx := v.r.Context()
	err := v.Store.Update(ctx, func(tx store.Tx) error { return tx.DeleteTickets(v.user.ID, signin.TicketDevice) })
	if err == nil {
		err = v.Sessions.EndAll(ctx, v.user.ID, "")
	}
	if err != nil {
		v.fail(err)
		return
	}
	v.log("sessions_ended", "a user has ended all sessions", v.user.ID)
	v.signedOut()
}

func (v *visit) signedOut() {
	v.Sessions.Forget(v.w)
	v.render(http.StatusOK, &pages.SignedOut{SignInURL: pathAccount})
}

// identity returns the linked account that the request identifies. If there is none, it
// responds with an error and returns nil.
func (v *visit) identity() *store.Identity {
	var found *store.Identity
	id := v.r.FormValue(pages.FieldID)
	err := v.Store.View(v.r.Context(), func(tx store.Tx) error {
		all, err := tx.IdentitiesOf(v.user.ID)
		for i := range all {
			if identityID(all[i]) == id {
				found = &all[i]
			}
		}
		return err
	})
	if err != nil {
		v.fail(err)
		return nil
	}
	if found == nil {
		v.render(http.StatusNotFound, pages.NotFound())
	}
	return found
}

// showUnlink asks for confirmation before an external account is unlinked.
func (v *visit) showUnlink() {
	if i := v.identity(); i != nil && v.fresh() {
		v.askUnlink(i)
	}
}

func (v *visit) askUnlink(i *store.Identity, problems ...pages.Problem) {
	common := v.common(problems...)
	common.Hidden[pages.FieldID] = identityID(*i)
	v.render(http.StatusOK, &pages.Confirm{
		Common: common, Action: pathUnlink, Key: "unlink", Values: map[string]string{"name": v.ExternalName(i.External)}, Cancel: pathAccount,
	})
}

// takeUnlink unlinks an external account, unless it is the only way to sign in.
func (v *visit) takeUnlink() {
	i := v.identity()
	if i == nil || !v.fresh() {
		return
	}
	ctx := v.r.Context()
	err := v.Store.Update(ctx, func(tx store.Tx) error {
		if err := v.hasOtherWay(tx, v.factors, identityID(*i)); err != nil {
			return err
		}
		return tx.DeleteIdentity(i.External, i.Issuer, i.Subject)
	})
	if errors.Is(err, errLastWay) {
		v.askUnlink(i, pages.Wrong("", pages.ProblemLastWay))
		return
	}
	if err != nil {
		v.fail(err)
		return
	}
	v.log("account_unlinked", "an account of an external provider was disconnected", v.user.ID)
	v.notify(mail.Unlinked, v.user, func(l *mail.Letter) { l.Provider = v.ExternalName(i.External) })
	v.goTo(pathAccount)
}
