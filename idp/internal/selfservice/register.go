package selfservice

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// takeRegister takes the code of an invitation or of the link for the first account. If
// the form also has the data of the account, it creates the account; otherwise it asks
// for them.
func (v *visit) takeRegister() {
	kind := linkKind(v.r.URL.Path)
	link, err := v.Accounts.LookAtLink(v.r.Context(), kind, v.code())
	if err != nil {
		v.respondLink(err)
		return
	}
	if _, ok := v.r.PostForm[pages.FieldUserName]; !ok {
		v.askRegister(link)
		return
	}
	v.register(link)
}

func (v *visit) askRegister(link *accounts.Link, problems ...pages.Problem) {
	common := v.common(problems...)
	common.Hidden[pages.FieldToken] = v.code()
	page := &pages.Register{
		Common: common, Action: v.r.URL.Path, Kind: linkPages[link.Kind].name,
		User: v.field(pages.FieldUserName), Name: v.field(pages.FieldName), Email: v.field(pages.FieldEmail),
		Rules: v.PasswordRules(v.invited(link)),
	}
	if link.Email != "" {
		page.Email, page.EmailFixed = link.Email, true
	}
	v.render(http.StatusOK, page)
}

// invited returns a user as the invitation would create it, with only the fields that
// password rules depend on.
func (v *visit) invited(link *accounts.Link) *store.User {
	user := new(store.User)
	if link.Invite != nil {
		user.Authenticator = link.Invite.Authenticator
	}
	return user
}

func (v *visit) register(link *accounts.Link) {
	password, problems := v.newPassword()
	if problems != nil {
		v.askRegister(link, problems...)
		return
	}
	user, err := v.Accounts.CreateByLink(v.r.Context(), link.Kind, v.code(), accounts.NewUser{
		Name: strings.TrimSpace(v.field(pages.FieldUserName)), Email: strings.TrimSpace(v.field(pages.FieldEmail)),
		DisplayName: strings.TrimSpace(v.field(pages.FieldName)), Language: v.language(nil), Password: password, Caller: v.caller(),
	})
	if err == nil {
		v.log("account_created", "an account was created", user.ID)
		v.confirmTyped(user)
		v.message("registered", nil, pathAccount, "button.sign_in")
		return
	}
	v.waitForSlot()
	if problems := v.registerProblems(err); problems != nil {
		v.askRegister(link, problems...)
		return
	}
	v.respondLink(err)
}

// confirmTyped sends a link to the address of a new account if it is not verified, such
// as that of the first account. An error is only logged, because the account exists
// already.
func (v *visit) confirmTyped(user *store.User) {
	if v.Mail == nil || user.Email == "" || user.EmailVerified {
		return
	}
	ctx := v.r.Context()
	allowed, err := v.Accounts.AllowMail(ctx, user.ID, v.Address(v.r))
	var link *accounts.Link
	if err == nil {
		link, err = v.Accounts.EmailLink(ctx, user.ID, user.Email)
	}
	switch {
	case err != nil:
		v.Logger.LogAttrs(ctx, slog.LevelError, "could not send a link to the address of a new account", slog.String("event", "mail_failed"), slog.Any("error", err))
	case allowed:
		v.post(mail.Letter{Kind: mail.Email, To: link.Email, User: user, Language: v.language(user), Link: LinkURL(v.Issuer, link), Code: link.Code(), Until: link.Expires})
	}
}

// registerProblems returns what is wrong with the data of a new account, or nil if err
// has another cause. It does not reveal whether a name is taken or not allowed.
func (v *visit) registerProblems(err error) []pages.Problem {
	if problems, ok := v.passwordProblems(err); ok {
		return problems
	}
	if errors.Is(err, store.ErrExists) {
		return []pages.Problem{pages.Wrong(pages.FieldUserName, pages.ProblemNameTaken)}
	}
	var invalid *accounts.InvalidError
	if !errors.As(err, &invalid) {
		return nil
	}
	switch invalid.Field {
	case "email":
		return []pages.Problem{pages.Wrong(pages.FieldEmail, pages.ProblemEmail)}
	case "display_name":
		return []pages.Problem{pages.Wrong(pages.FieldName, pages.ProblemLabel)}
	}
	return []pages.Problem{pages.Wrong(pages.FieldUserName, pages.ProblemNameTaken)}
}
