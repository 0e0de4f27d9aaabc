package selfservice

import (
	"errors"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// linkPages maps kinds of links to their paths, and to the names that pages use.
var linkPages = map[accounts.LinkKind]struct{ path, name string }{
	accounts.LinkReset:     {pathReset, "reset"},
	accounts.LinkInvite:    {pathInvite, "invite"},
	accounts.LinkFirstUser: {pathFirstUser, "first_user"},
	accounts.LinkEmail:     {pathConfirmEmail, "email"},
	accounts.LinkUndoEmail: {pathUndoEmail, "undo"},
	accounts.LinkEnrol:     {pathEnrol, "enrol"},
}

// LinkURL returns the complete URL of a link. The code is in the fragment, which browsers
// do not send to servers, so it does not appear in logs or Referer headers.
func LinkURL(issuer string, link *accounts.Link) string {
	return issuer + linkPages[link.Kind].path + "#" + link.Code()
}

// linkKind returns the kind of the links to a path.
func linkKind(path string) accounts.LinkKind {
	for kind, page := range linkPages {
		if page.path == path {
			return kind
		}
	}
	return ""
}

// showLink shows the page that a link leads to. The request does not contain the code; it
// is posted by the page's script or by the user. Programs that follow links in mails thus
// do not use them up.
func (v *visit) showLink() { v.askLink(http.StatusOK) }

func (v *visit) askLink(status int, problems ...pages.Problem) {
	v.render(status, &pages.Link{
		Common: v.common(problems...), Action: v.r.URL.Path, Kind: linkPages[linkKind(v.r.URL.Path)].name,
	})
}

// code returns the code of a link, as posted by the script or typed by the user.
func (v *visit) code() string {
	if token := v.field(pages.FieldToken); token != "" {
		return token
	}
	return v.field(pages.FieldLinkCode)
}

// respondLink responds to an error that a link led to. The response does not reveal whether
// the code is wrong, expired or used.
func (v *visit) respondLink(err error) {
	if errors.Is(err, store.ErrNotFound) {
		v.waitForSlot()
		v.askLink(http.StatusBadRequest, pages.Wrong(pages.FieldLinkCode, pages.ProblemLink))
		return
	}
	v.fail(err)
}

// confirmEmail changes the e-mail address with the link that was sent to the new address.
// A notice with a link to undo the change is sent to the old address.
func (v *visit) confirmEmail() {
	change, err := v.Accounts.ConfirmEmail(v.r.Context(), v.code())
	if errors.Is(err, store.ErrExists) { // another user has taken it meanwhile
		err = store.ErrNotFound
	}
	if err != nil {
		v.respondLink(err)
		return
	}
	v.log("email_changed", "an e-mail address was changed", change.User.ID)
	if change.Undo != nil {
		v.post(mail.Letter{
			Kind: mail.EmailChanged, To: change.Old, User: change.User, At: v.Now(),
			Link: LinkURL(v.Issuer, change.Undo), Code: change.Undo.Code(), Until: change.Undo.Expires,
		})
	}
	v.message("email_changed", map[string]string{"email": change.User.Email}, pathAccount, "button.account")
}

// undoEmail restores the account's old address and ends all its sessions.
func (v *visit) undoEmail() {
	user, err := v.Accounts.UndoEmail(v.r.Context(), v.code())
	if errors.Is(err, store.ErrExists) {
		err = store.ErrNotFound
	}
	if err != nil {
		v.respondLink(err)
		return
	}
	if err := v.Sessions.EndAll(v.r.Context(), user.ID, ""); err != nil {
		v.fail(err)
		return
	}
	v.log("email_restored", "an e-mail address was restored", user.ID)
	v.message("email_restored", map[string]string{"email": user.Email}, pathReset, "button.reset")
}

// beginEnrolment begins a sign-in in which the user may enrol the first factor, with a
// link that an operator has handed over.
func (v *visit) beginEnrolment() {
	ctx := v.r.Context()
	hash, err := v.Accounts.LinkHash(ctx, accounts.LinkEnrol, v.code())
	if err != nil {
		v.respondLink(err)
		return
	}
	var link *accounts.Link
	err = v.Store.Update(ctx, func(tx store.Tx) error {
		link, err = v.Accounts.TakeLink(tx, accounts.LinkEnrol, hash)
		return err
	})
	if err != nil {
		v.respondLink(err)
		return
	}
	v.log("enrolment_link_used", "an operator's link for an enrolment was used", link.UserID)
	v.SignIn.BeginEnrolment(v.w, v.r, &request.Request{Kind: Kind, Subject: link.UserID, ACRValues: []string{sso.ACRMFA}}, link.UserID)
}
