package selfservice

import (
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// visit is the state of one HTTP request.
type visit struct {
	*SelfService
	w    http.ResponseWriter
	r    *http.Request
	came time.Time

	// The signed-in user. These are set only for endpoints that need a session.
	session *store.Session
	user    *store.User
	factors []store.Factor // only confirmed ones
}

// enter loads the session and its user. If there is no session, it sends the browser to
// sign in and returns false.
func (v *visit) enter() bool {
	var err error
	if v.session, v.user, err = v.Sessions.Current(v.r); err != nil {
		v.fail(err)
		return false
	}
	if v.session == nil {
		v.signIn("")
		return false
	}
	err = v.Store.View(v.r.Context(), func(tx store.Tx) error {
		v.factors, err = confirmed(tx, v.user.ID)
		return err
	})
	if err != nil {
		v.fail(err)
		return false
	}
	return true
}

// confirmed returns the confirmed factors of a user.
func confirmed(tx store.Tx, userID string) (found []store.Factor, err error) {
	all, err := tx.FactorsOf(userID)
	if err != nil {
		return nil, err
	}
	for _, factor := range all {
		if factor.Confirmed {
			found = append(found, factor)
		}
	}
	return found, nil
}

func (v *visit) render(status int, page pages.Page) { v.Pages.Render(v.w, v.r, status, page) }

// goTo redirects the browser to one of our pages.
func (v *visit) goTo(path string) { v.Pages.Redirect(v.w, v.r, path) }

// message shows a page that reports what has been done.
func (v *visit) message(key string, values map[string]string, link, linkKey string) {
	v.render(http.StatusOK, &pages.Message{Key: key, Values: values, Link: link, LinkKey: linkKey})
}

// common returns the data that all pages with forms share.
func (v *visit) common(problems ...pages.Problem) pages.Common {
	return pages.Common{Hidden: map[string]string{fieldForm: v.formToken()}, Problems: problems}
}

// busyFor is when to try again if too many callers wait for a hash.
const busyFor = 5 * time.Second

// fail responds to an error that the user did not cause.
func (v *visit) fail(err error) {
	if errors.Is(err, passwords.ErrBusy) {
		v.render(http.StatusTooManyRequests, pages.Busy(busyFor))
		return
	}
	v.Fail(v.w, v.r, err)
}

// caller returns the caller for whom passwords are hashed.
func (v *visit) caller() passwords.Caller { return passwords.Caller{Address: v.Address(v.r)} }

// passwordProblems returns what is wrong with a new password. ok is false if err has
// another cause.
func (v *visit) passwordProblems(err error) (problems []pages.Problem, ok bool) {
	var broken *accounts.PasswordError
	if !errors.As(err, &broken) {
		return nil, false
	}
	return v.PasswordProblems(broken), true
}

// newPassword returns the new password in a form. It returns problems if the password is
// empty, or differs from its repetition.
func (v *visit) newPassword() (string, []pages.Problem) {
	password := v.field(pages.FieldNewPassword)
	switch {
	case password == "":
		return "", []pages.Problem{pages.Wrong(pages.FieldNewPassword, pages.ProblemPasswordEmpty)}
	case password != v.field(pages.FieldRepeat):
		return "", []pages.Problem{pages.Wrong(pages.FieldRepeat, pages.ProblemRepeat)}
	}
	return password, nil
}

// language returns the language of the user, or else that of the browser.
func (v *visit) language(user *store.User) string {
	if user != nil && user.Language != "" {
		return user.Language
	}
	return v.Pages.Language(v.r, nil).Tag()
}

// post sends a mail if this site sends mail and the letter has an address.
func (v *visit) post(l mail.Letter) {
	if v.Mail != nil && l.To != "" {
		v.Mail.Post(l)
	}
}

// notify tells a user about a change to the account.
func (v *visit) notify(kind mail.Kind, user *store.User, more func(*mail.Letter)) {
	l := mail.Letter{Kind: kind, To: user.Email, User: user, At: v.Now()}
	if more != nil {
		more(&l)
	}
	v.post(l)
}

// log writes an audit line. It must never include fields of a form.
func (v *visit) log(event, message, userID string, attrs ...slog.Attr) {
	attrs = append([]slog.Attr{slog.String("event", event), slog.String("user", userID), slog.String("address", v.Address(v.r).String())}, attrs...)
	v.Logger.LogAttrs(v.r.Context(), slog.LevelInfo, message, attrs...)
}
