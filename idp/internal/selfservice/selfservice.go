// Package selfservice is what users do for themselves: their account page, with
// password, factors and sessions, the reset of a forgotten password, a changed
// e-mail address, and invites.
//
// What changes how a user signs in needs an authentication with all factors in the
// last five minutes; see fresh.go. Nothing here tells anyone whether an account
// exists. The rules of accounts, passwords and factors are elsewhere.
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

// Kind is the kind of the requests that lead back here after a sign-in.
const Kind = "account"

// Pages shows pages, and sends browsers elsewhere.
type Pages interface {
	Render(w http.ResponseWriter, r *http.Request, status int, page pages.Page)
	Redirect(w http.ResponseWriter, r *http.Request, address string)
	Language(r *http.Request, uiLocales []string) *locale.Language
}

// Sessions are the single sign-on sessions.
type Sessions interface {
	sso.Sessions
	// EndOf ends a session if it is a user's, or else returns store.ErrNotFound.
	EndOf(ctx context.Context, userID, sid string) error
	List(ctx context.Context, userID string) ([]store.Session, error)
	FormToken(r *http.Request, purpose string) string
	// Forget removes the cookie of the browser.
	Forget(w http.ResponseWriter)
}

// SignIn begins sign-ins.
type SignIn interface {
	Begin(w http.ResponseWriter, r *http.Request, q *request.Request)
	// BeginEnrolment is Begin for a browser that has come by an operator's link.
	BeginEnrolment(w http.ResponseWriter, r *http.Request, q *request.Request, userID string)
}

// Mailer sends mails. It never waits.
type Mailer interface{ Post(mail.Letter) }

// Options are what the package needs of the rest. All are required, except Mail.
type Options struct {
	// Issuer is the origin of the site, without a slash at the end.
	Issuer   string
	Store    store.Store
	Cookies  request.Cookies
	Sessions Sessions
	Pages    Pages
	Accounts *accounts.Accounts
	Factors  *factors.Set
	SignIn   SignIn
	// Mail is nil if this site sends none.
	Mail Mailer
	// ExternalName is what users call an external provider.
	ExternalName func(id string) string
	// PasswordProblems and PasswordRules are what users read about rules.
	PasswordProblems func(*accounts.PasswordError) []pages.Problem
	PasswordRules    func(*store.User) []pages.Text
	// Invites: accounts can be made by invitation.
	Invites bool
	Address func(*http.Request) netip.Addr
	// Fail answers a request that failed for a reason of ours.
	Fail   func(w http.ResponseWriter, r *http.Request, err error)
	Logger *slog.Logger
	Now    func() time.Time
	// Sleep waits, or until the context ends.
	Sleep func(ctx context.Context, d time.Duration)
}

// SelfService serves the pages. It is safe for concurrent use.
type SelfService struct{ Options }

// New returns a SelfService.
func New(o Options) *SelfService { return &SelfService{o} }

// endpoint is an address: what a page and a form do there.
type endpoint struct {
	get, post func(*visit)
	// open: no session is needed.
	open bool
}

// Paths of the links in mails, and of what operators hand over.
const (
	pathAccount      = "/account"
	pathReset        = "/reset"
	pathInvite       = "/invite"
	pathFirstUser    = "/first-user"
	pathConfirmEmail = "/account/confirm-email"
	pathUndoEmail    = "/account/undo-email"
	pathEnrol        = "/account/enrol"
)

// Paths of the account page's parts.
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

// Paths returns the addresses that ServeHTTP serves.
func Paths() []string {
	all := make([]string, 0, len(endpoints))
	for path := range endpoints {
		all = append(all, path)
	}
	return all
}

// Methods returns the methods of an address.
func Methods(path string) (methods []string) {
	if endpoints[path].get != nil {
		methods = append(methods, http.MethodGet)
	}
	if endpoints[path].post != nil {
		methods = append(methods, http.MethodPost)
	}
	return methods
}

// ServeHTTP serves one of Paths with one of its Methods.
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
