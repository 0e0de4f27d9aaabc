// Package selfservice implements what users can do themselves: the account page with
// password, factors and sessions, resetting a forgotten password, changing the e-mail
// address, and accepting invitations.
//
// Changes to how a user signs in require an authentication with all factors within the
// last five minutes; see fresh.go. No response reveals whether an account exists. The rules
// for accounts, passwords and factors are in other packages.
package selfservice

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/locale"
)

// Kind is the kind of this package's requests: sign-ins that lead back here.
const Kind = "account"

// Pages renders pages and redirects browsers.
type Pages interface {
	Render(w http.ResponseWriter, r *http.Request, status int, page pages.Page)
	Redirect(w http.ResponseWriter, r *http.Request, address string)
	Language(r *http.Request, uiLocales []string) *locale.Language
}

// Sessions manages single sign-on sessions.
type Sessions interface {
	sso.Sessions
	// EndOf ends a session of a user. The error is store.ErrNotFound if the session does
	// not belong to the user.
	EndOf(ctx context.Context, userID, sid string) error
	List(ctx context.Context, userID string) ([]store.Session, error)
	FormToken(r *http.Request, purpose string) string
	// Forget deletes the browser's session cookie.
	Forget(w http.ResponseWriter)
}

// SignIn begins sign-ins.
type SignIn interface {
	Begin(w http.ResponseWriter, r *http.Request, q *request.Request)
	// BeginEnrolment is Begin for a browser that has used an operator's link to enrol a
	// factor.
	BeginEnrolment(w http.ResponseWriter, r *http.Request, q *request.Request, userID string)
}

// Mailer queues mails. It never waits.
type Mailer interface{ Post(mail.Letter) }

// Options are the arguments of New. All are required, except Mail.
type Options struct {
	// Issuer is the origin of the site, without a trailing slash.
	Issuer   string
	Store    store.Store
	Cookies  request.Cookies
	Sessions Sessions
	Pages    Pages
	Accounts *accounts.Accounts
	Factors  *factors.Set
	SignIn   SignIn
	// Mail is nil if this site does not send mail.
	Mail Mailer
	// ExternalName returns the display name of an external provider.
	ExternalName func(id string) string
	// PasswordProblems and PasswordRules return texts for users.
	PasswordProblems func(*accounts.PasswordError) []pages.Problem
	PasswordRules    func(*store.User) []pages.Text
	// Invites enables accounts to be created by invitation.
	Invites bool
	Address func(*http.Request) netip.Addr
	// Fail responds to a request that failed because of an internal error.
	Fail   func(w http.ResponseWriter, r *http.Request, err error)
	Logger *slog.Logger
	Now    func() time.Time
	// Sleep waits for a duration, or until the context ends.
	Sleep func(ctx context.Context, d time.Duration)
}

// SelfService serves the pages. It is safe for concurrent use.
type SelfService struct{ Options }

// New returns a SelfService.
func New(o Options) *SelfService { return &SelfService{o} }

// endpoint contains the handlers of a path.
type endpoint struct {
	get, post func(*visit)
	// open reports whether the endpoint needs no session.
	open bool
}

// Paths that links in mails and operators' links lead to, and the account page.
const (
	pathAccount      = "/account"
	pathReset        = "/reset"
	pathInvite       = "/invite"
	pathFirstUser    = "/first-user"
	pathConfirmEmail = "/account/confirm-email"
	pathUndoEmail    = "/account/undo-email"
	pathEnrol        = "/account/enrol"
)

// Paths of the parts of the account page.
const (
	pathName        = "/account/name"
	pathPassword    = "/account/password"
	pathEmail       = "/account/email"
	pathAdd         = "/account/add-factor"
	pathRename      = "/account/rename-factor"
	pathRemove      = "/account/remove-factor"
	pathRecovery    = "/account/recovery-codes"
	pathUnlink      = "/account/unlink"
	pathSession     = "/account/end-session"
	pathAllSessions = "/account/end-sessions"
)

var endpoints map[string]endpoint

func init() {
	endpoints = map[string]endpoint{
		pathAccount:      {get: (*visit).showAccount},
		pathName:         {get: (*visit).showName, post: (*visit).takeName},
		pathPassword:     {get: (*visit).showPassword, post: (*visit).takePassword},
		pathEmail:        {get: (*visit).showEmail, post: (*visit).takeEmail},
		pathAdd:          {get: (*visit).showAdd, post: (*visit).takeAdd},
		pathRename:       {get: (*visit).showRename, post: (*visit).takeRename},
		pathRemove:       {get: (*visit).showRemove, post: (*visit).takeRemove},
		pathRecovery:     {get: (*visit).showRecovery, post: (*visit).takeRecovery},
		pathUnlink:       {get: (*visit).showUnlink, post: (*visit).takeUnlink},
		pathSession:      {post: (*visit).endSession},
		pathAllSessions:  {post: (*visit).endSessions},
		pathReset:        {get: (*visit).showReset, post: (*visit).takeReset, open: true},
		pathInvite:       {get: (*visit).showLink, post: (*visit).takeRegister, open: true},
		pathFirstUser:    {get: (*visit).showLink, post: (*visit).takeRegister, open: true},
		pathConfirmEmail: {get: (*visit).showLink, post: (*visit).confirmEmail, open: true},
		pathUndoEmail:    {get: (*visit).showLink, post: (*visit).undoEmail, open: true},
		pathEnrol:        {get: (*visit).showLink, post: (*visit).beginEnrolment, open: true},
	}
}

// Paths returns the paths that ServeHTTP serves, in no particular order.
func Paths() []string {
	all := make([]string, 0, len(endpoints))
	for path := range endpoints {
		all = append(all, path)
	}
	return all
}

// Methods returns the methods that a path allows.
func Methods(path string) (methods []string) {
	if endpoints[path].get != nil {
		methods = append(methods, http.MethodGet)
	}
	if endpoints[path].post != nil {
		methods = append(methods, http.MethodPost)
	}
	return methods
}

// ServeHTTP serves a request to one of Paths with one of its Methods.
func (s *SelfService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found := endpoints[r.URL.Path]
	v := &visit{SelfService: s, w: w, r: r, came: s.Now()}
	if r.URL.Path == pathInvite && !s.Invites {
		v.render(http.StatusNotFound, pages.NotFound())
		return
	}
	if r.Method == http.MethodPost {
		if v.readForm(found.open) && (found.open || v.enter()) {
			found.post(v)
		}
		return
	}
	if found.open || v.enter() {
		found.get(v)
	}
}
