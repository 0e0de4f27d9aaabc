package signin

import (
	"errors"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// showNewPassword asks for a new password if one is due.
func (v *visit) showNewPassword(f facts, _ decision) { v.askNewPassword(f, nil) }

func (v *visit) askNewPassword(f facts, problems []pages.Problem) {
	page := &pages.NewPassword{
		Common: v.common(), Action: v.path("newpassword"), User: f.user.Name,
		Reason: "due", Rules: v.Passwords.Rules(f.user),
	}
	if f.user.Password.MustChange {
		page.Reason = "operator"
	}
	page.Problems = append(page.Problems, problems...)
	v.render(page)
}

// takeNewPassword changes the password. All other sessions of the user end.
func (v *visit) takeNewPassword() {
	f, d, ok := v.load()
	if !ok {
		return
	}
	if d.step != stepNewPassword {
		v.proceed()
		return
	}
	password := v.field(pages.FieldNewPassword)
	if password != v.field(pages.FieldRepeat) {
		v.askNewPassword(f, []pages.Problem{pages.Wrong(pages.FieldRepeat, pages.ProblemRepeat)})
		return
	}
	problems, err := v.Passwords.Set(v.r.Context(), Caller{v.Address(v.r), f.device.id}, f.user.ID, password)
	var busy *BusyError
	switch {
	case errors.As(err, &busy):
		v.Pages.Render(v.w, v.r, http.StatusTooManyRequests, pages.Busy(busy.RetryAfter))
	case err != nil:
		v.Fail(v.w, v.r, err)
	case len(problems) > 0:
		v.askNewPassword(f, problems)
	default:
		v.passwordChanged(f)
	}
}

func (v *visit) passwordChanged(f facts) {
	but := ""
	if v.session != nil {
		but = v.session.SID // of the user, or of another one, whose sessions stay
	}
	ctx := v.r.Context()
	err := errors.Join(
		v.Store.Update(ctx, func(tx store.Tx) error { return tx.DeleteTickets(f.user.ID, TicketDevice) }),
		v.Sessions.EndAll(ctx, f.user.ID, but))
	if err != nil {
		v.Fail(v.w, v.r, err)
		return
	}
	v.log("password_changed", "a password was changed", v.who(f.user, ""))
	v.Notices.PasswordChanged(ctx, f.user)
	v.proceed()
}
