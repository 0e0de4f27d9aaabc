package selfservice

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// showName asks for the display name.
func (v *visit) showName() { v.askName(v.user.DisplayName) }

func (v *visit) askName(name string, problems ...pages.Problem) {
	v.render(http.StatusOK, &pages.Rename{Common: v.common(problems...), Action: pathName, Value: name, Cancel: pathAccount, Person: true})
}

// takeName changes the display name. The user name cannot be changed.
func (v *visit) takeName() {
	name := strings.TrimSpace(v.field(pages.FieldName))
	_, err := v.Accounts.Set(v.r.Context(), v.user.ID, accounts.Changes{DisplayName: &name})
	var invalid *accounts.InvalidError
	switch {
	case errors.As(err, &invalid):
		v.askName(name, pages.Wrong(pages.FieldName, pages.ProblemLabel))
	case err != nil:
		v.fail(err)
	default:
		v.log("name_changed", "a user has changed the name to show", v.user.ID)
		v.goTo(pathAccount)
	}
}

// showPassword asks for a new password.
func (v *visit) showPassword() {
	if v.canHavePassword() && v.fresh() {
		v.askPassword()
	}
}

// canHavePassword reports whether the user has a password that can be changed, and
// responds with an error if not. Users who sign in otherwise cannot set one here.
func (v *visit) canHavePassword() bool {
	if v.user.Password.Hash == "" {
		v.render(http.StatusForbidden, pages.Forbidden())
		return false
	}
	return true
}

func (v *visit) askPassword(problems ...pages.Problem) {
	v.render(http.StatusOK, &pages.NewPassword{
		Common: v.common(problems...), Action: pathPassword, User: v.user.Name, Reason: "change", Rules: v.PasswordRules(v.user), Cancel: pathAccount,
	})
}

// takePassword changes the password and ends all other sessions.
func (v *visit) takePassword() {
	if !v.canHavePassword() || !v.fresh() {
		return
	}
	password, problems := v.newPassword()
	if problems != nil {
		v.askPassword(problems...)
		return
	}
	ctx := v.r.Context()
	user, err := v.Accounts.SetPassword(ctx, accounts.NewPassword{UserID: v.user.ID, Password: password, Caller: v.caller()})
	if problems, ok := v.passwordProblems(err); ok {
		v.askPassword(problems...)
		return
	}
	if err == nil {
		err = v.Sessions.EndAll(ctx, v.user.ID, v.session.SID)
	}
	if err != nil {
		v.fail(err)
		return
	}
	v.log("password_changed", "a password was changed", user.ID)
	v.notify(mail.PasswordChanged, user, nil)
	v.goTo(pathAccount)
}

// showEmail asks for a new e-mail address.
func (v *visit) showEmail() {
	if v.canMail() && v.fresh() {
		v.askEmail(v.user.Email)
	}
}

// canMail reports whether this site sends mail, without which an address cannot be
// verified. If not, it responds with an error.
func (v *visit) canMail() bool {
	if v.Mail == nil {
		v.render(http.StatusNotFound, pages.NotFound())
	}
	return v.Mail != nil
}

func (v *visit) askEmail(email string, problems ...pages.Problem) {
	v.render(http.StatusOK, &pages.EmailChange{Common: v.common(problems...), Action: pathEmail, Value: email, Cancel: pathAccount})
}

// takeEmail sends a link to the new address. If the address belongs to another user, or
// too many mails were requested, nothing is sent. The response is the same.
func (v *visit) takeEmail() {
	if !v.canMail() || !v.fresh() {
		return
	}
	ctx, email := v.r.Context(), strings.TrimSpace(v.field(pages.FieldEmail))
	allowed, err := v.Accounts.AllowMail(ctx, v.user.ID, v.Address(v.r))
	var link *accounts.Link
	if err == nil {
		link, err = v.Accounts.EmailLink(ctx, v.user.ID, email)
	}
	v.waitForSlot()
	var invalid *accounts.InvalidError
	switch {
	case errors.As(err, &invalid):
		v.askEmail(email, pages.Wrong(pages.FieldEmail, pages.ProblemEmail))
		return
	case errors.Is(err, store.ErrExists):
		link = nil
	case err != nil:
		v.fail(err)
		return
	}
	if link != nil && allowed {
		v.log("email_change_requested", "a change of the e-mail address was requested", v.user.ID)
		v.post(mail.Letter{Kind: mail.Email, To: link.Email, User: v.user, Language: v.language(v.user), Link: LinkURL(v.Issuer, link), Code: link.Code(), Until: link.Expires})
	}
	v.message("email_sent", map[string]string{"email": email}, pathAccount, "button.account")
}
