package selfservice

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// resetLasts is how long a reset link is valid; see package accounts.
const resetLasts = 30 * time.Minute

// showReset asks for the user name or e-mail address of the account. The link in the mail
// leads to the same page: if the fragment contains a code, the script shows another form.
func (v *visit) showReset() { v.askReset(http.StatusOK, "") }

func (v *visit) askReset(status int, name string, problems ...pages.Problem) {
	v.render(status, &pages.ResetRequest{
		Common: v.common(problems...), Action: pathReset, Value: name, NoMail: v.Mail == nil, SignInURL: pathAccount,
	})
}

// takeReset takes one of the page's forms. It contains a name, a code from a mail, or a
// code and the new password.
func (v *visit) takeReset() {
	_, hasPassword := v.r.PostForm[pages.FieldNewPassword]
	_, hasName := v.r.PostForm[pages.FieldUserName]
	switch {
	case hasPassword:
		v.resetPassword()
	case hasName && v.code() == "":
		v.sendReset()
	default:
		v.takeResetCode()
	}
}

// sendReset sends a link if the account exists and its password can be reset. Neither the
// response nor its timing reveals whether that is so.
func (v *visit) sendReset() {
	name := strings.TrimSpace(v.field(pages.FieldUserName))
	if name == "" {
		v.askReset(http.StatusOK, "", pages.Wrong(pages.FieldUserName, pages.ProblemUserNameEmpty))
		return
	}
	if v.Mail == nil {
		v.askReset(http.StatusOK, name)
		return
	}
	link, user, err := v.resetLink(v.r.Context(), name)
	v.waitForSlot()
	if err != nil {
		v.fail(err)
		return
	}
	if link != nil {
		v.log("reset_requested", "a reset of the password was requested", user.ID)
		v.post(mail.Letter{Kind: mail.Reset, To: link.Email, User: user, Language: v.language(user), Link: LinkURL(v.Issuer, link), Code: link.Code(), Until: link.Expires})
	}
	v.render(http.StatusOK, &pages.ResetRequest{Common: v.common(), Action: pathReset, Sent: true, Valid: resetLasts, SignInURL: pathAccount})
}

// resetLink makes a reset link for the user with a name. It returns nil if no mail is to
// be sent.
func (v *visit) resetLink(ctx context.Context, name string) (link *accounts.Link, user *store.User, err error) {
	user, err = v.Accounts.Find(ctx, name)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, nil, err
	}
	can := false
	if err == nil {
		if can, err = v.canReset(ctx, user); err != nil {
			return nil, nil, err
		}
	}
	id := ""
	if can {
		id = user.ID
	}
	allowed, err := v.Accounts.AllowMail(ctx, id, v.Address(v.r))
	if err != nil || !allowed || !can {
		return nil, nil, err
	}
	link, err = v.Accounts.NewLink(ctx, accounts.LinkReset, user.ID, user.Email)
	return link, user, err
}

// canReset reports whether a user can set a password by mail. Users without a password
// who have linked external accounts cannot: otherwise the external provider could no
// longer lock them out.
func (v *visit) canReset(ctx context.Context, user *store.User) (bool, error) {
	if user.Kind != store.Person || user.Locked || user.Email == "" {
		return false, nil
	}
	if user.Password.Hash != "" {
		return true, nil
	}
	var identities []store.Identity
	err := v.Store.View(ctx, func(tx store.Tx) (err error) {
		identities, err = tx.IdentitiesOf(user.ID)
		return err
	})
	return len(identities) == 0, err
}

// takeResetCode asks for the new password if the code is valid. This does not use up the
// link.
func (v *visit) takeResetCode() {
	user, err := v.resetUser()
	if err != nil {
		v.respondLink(err)
		return
	}
	v.askResetPassword(user)
}

func (v *visit) resetUser() (*store.User, error) {
	link, err := v.Accounts.LookAtLink(v.r.Context(), accounts.LinkReset, v.code())
	if err != nil {
		return nil, err
	}
	return v.Accounts.Get(v.r.Context(), link.UserID)
}

func (v *visit) askResetPassword(user *store.User, problems ...pages.Problem) {
	common := v.common(problems...)
	common.Hidden[pages.FieldToken] = v.code()
	v.render(http.StatusOK, &pages.NewPassword{
		Common: common, Action: pathReset, User: user.Name, Reason: "reset", Rules: v.PasswordRules(user),
	})
}

// resetPassword sets the password and uses up the link. It also ends all sessions with
// their tokens, forgets remembered browsers, and invalidates other links. The user is not
// signed in: the link proves only access to the mailbox, and the sign-in also asks for
// the second factor.
func (v *visit) resetPassword() {
	user, err := v.resetUser()
	if err != nil {
		v.respondLink(err)
		return
	}
	password, problems := v.newPassword()
	if problems != nil {
		v.askResetPassword(user, problems...)
		return
	}
	ctx := v.r.Context()
	changed, err := v.Accounts.ResetPassword(ctx, v.code(), password, v.caller())
	if problems, ok := v.passwordProblems(err); ok {
		v.askResetPassword(user, problems...)
		return
	}
	if err == nil {
		err = v.Sessions.EndAll(ctx, changed.ID, "")
	}
	if err != nil {
		v.respondLink(err)
		return
	}
	v.log("password_reset", "a password was reset", changed.ID)
	v.notify(mail.PasswordChanged, changed, nil)
	v.message("password_set", nil, pathAccount, "button.sign_in")
}
