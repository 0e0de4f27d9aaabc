// Package signin leads a browser through the steps of a sign-in: user name,
// password and code, or a passkey or an external provider, then what is due, such
// as a new password. It serves the forms, and finishes the request at the end.
//
// What comes next is decided by one function, next in steps.go, from what the
// request asks for and what is proven. All that is known of a sign-in is in its
// request, so that it goes on at any node. It does not know what is asked for, how
// a password or a code is checked, or what a page looks like.
package signin

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Pages shows pages, and sends browsers elsewhere.
type Pages interface {
	Render(w http.ResponseWriter, r *http.Request, status int, page pages.Page)
	Redirect(w http.ResponseWriter, r *http.Request, address string)
}

// Policy is what a user's login authenticator says about sign-ins.
type Policy struct {
	MFA MFA
	// Factors are those that users may enrol. Others that a user has count as
	// well.
	Factors []store.FactorKind
	// Remember is how long a browser stands for the second factor; zero: never.
	Remember time.Duration
	// PasswordMaxAge is how old a password may get; zero: any age.
	PasswordMaxAge time.Duration
}

// Accounts are the rules of accounts, as far as sign-ins need them.
type Accounts interface {
	// Key returns what a name or an e-mail address is in the namespace that both
	// share, or an error if it cannot be one.
	Key(typed string) (string, error)
	Policy(*store.User) Policy
	// MFAForAll reports whether every login authenticator requires a factor.
	MFAForAll() bool
	// Remembers reports whether a login authenticator lets browsers be remembered.
	Remembers() bool
}

// Caller is where an attempt comes from.
type Caller struct {
	Address netip.Addr
	// Device names the browser if it has signed in to this account before; else it
	// is empty.
	Device string
}

// Passwords checks passwords, at most a few at a time.
type Passwords interface {
	// Verify reports whether a password is the user's. It takes as long, and keeps
	// others waiting as long, for a user who is nil or has none. If the hash is outdated, upgraded is what to keep in
	// its place. A *BusyError is returned if too many wait.
	Verify(ctx context.Context, from Caller, user *store.User, password string) (right bool, upgraded string, err error)
	// Set changes a password that is due. It returns what is wrong with the new one,
	// if its login authenticator refuses it.
	Set(ctx context.Context, from Caller, userID, password string) (problems []pages.Problem, err error)
	// Rules are those of the user's login authenticator, to show.
	Rules(*store.User) []pages.Text
}

// BusyError is returned if too many callers wait for a hash.
type BusyError struct{ RetryAfter time.Duration }

func (e *BusyError) Error() string { return "too many passwords wait to be checked" }

// Kinds of attempts. Each has a counter of its own.
const (
	AttemptPassword = "password"
	AttemptCode     = "code"
	AttemptRecovery = "recovery"
)

// Attempt is an attempt to prove something.
type Attempt struct {
	User *store.User // nil if the name is unknown
	Kind string
	// Device is what the browser is known by, if it has signed in to this account
	// before; else empty.
	Device  string
	Address netip.Addr
}

// Lockout counts wrong attempts.
type Lockout interface {
	// Allows reports whether an attempt may succeed now.
	Allows(tx store.Tx, a Attempt) (bool, error)
	// Failed counts a wrong attempt. It reports whether that has locked the account
	// just now.
	Failed(tx store.Tx, a Attempt) (locked bool, err error)
	// Completed forgets the attempts of a user who has signed in completely.
	Completed(tx store.Tx, a Attempt) error
}

// Notices sends mail to users. No method waits for the mail.
type Notices interface {
	// CanMail reports whether a code can be sent to a user.
	CanMail(*store.User) bool
	// EnrolmentCode sends the code that the first enrolment of a factor needs.
	// A browser at an address has asked for it.
	EnrolmentCode(ctx context.Context, user *store.User, from netip.Addr, code string, until time.Time)
	// Locked says that the account was locked after wrong attempts.
	Locked(ctx context.Context, user *store.User)
	// RecoveryUsed says that a recovery code was used.
	RecoveryUsed(ctx context.Context, user *store.User)
	// PasswordChanged and FactorAdded say so.
	PasswordChanged(ctx context.Context, user *store.User)
	FactorAdded(ctx context.Context, user *store.User, factor *store.Factor)
}

// Options are what sign-ins need of the rest. All are required.
type Options struct {
	// Issuer is the origin of the site, without a slash at the end.
	Issuer    string
	Store     store.Store
	Cookies   request.Cookies
	Requests  *request.Keeper
	Sessions  sso.Sessions
	Pages     Pages
	Accounts  Accounts
	Passwords Passwords
	Lockout   Lockout
	Factors   *factors.Set
	Notices   Notices
	Externals Externals
	// Keyed returns a keyed hash of a text for a purpose.
	Keyed func(ctx context.Context, purpose, text string) ([]byte, error)
	// Home returns where the application of a request begins; empty if that is not
	// known.
	Home func(*request.Request) string
	// ResetURL is where a forgotten password is reset; empty if it cannot be.
	ResetURL string
	// Address returns the address of a request's client.
	Address func(*http.Request) netip.Addr
	// Fail answers a request that failed for a reason of ours.
	Fail func(w http.ResponseWriter, r *http.Request, err error)
	// Count counts what came of a sign-in, and by which factor.
	Count  func(outcome, factor string)
	Logger *slog.Logger
	Now    func() time.Time
	// Sleep waits, or until the context ends.
	Sleep func(ctx context.Context, d time.Duration)
}

// SignIn serves the steps of sign-ins. It is safe for concurrent use.
type SignIn struct {
	Options
	finishers map[string]request.Finisher
	shares    shares
}

// New returns a SignIn.
func New(o Options) *SignIn { return &SignIn{Options: o, finishers: make(map[string]request.Finisher)} }

// BeginEnrolment is Begin for a browser that has come by an operator's link, which
// lets a user enrol the first factor after the password.
func (s *SignIn) BeginEnrolment(w http.ResponseWriter, r *http.Request, q *request.Request, userID string) {
	if err := (State{MayEnrol: userID}).keep(q); err != nil {
		s.Fail(w, r, err)
		return
	}
	s.Begin(w, r, q)
}

// Handle has a Finisher answer the requests of a kind. It must be called before
// requests are served.
func (s *SignIn) Handle(kind string, f request.Finisher) { s.finishers[kind] = f }

// Begin keeps a request of this browser and sends the browser to its first step.
func (s *SignIn) Begin(w http.ResponseWriter, r *http.Request, q *request.Request) {
	q.Home = s.Home(q)
	if err := s.Requests.Begin(w, r, q); err != nil {
		s.Fail(w, r, err)
		return
	}
	s.Pages.Redirect(w, r, pathOf(q.ID, ""))
}

const prefix = "/signin/"

// pathOf returns the address of a page or a form of a request.
func pathOf(id, name string) string {
	if name == "" {
		return prefix + id
	}
	return prefix + id + "/" + name
}

// ServeHTTP serves the addresses below /signin/.
func (s *SignIn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, prefix), "/")
	found, ok := endpoints[name]
	if !ok || id == "" {
		s.Pages.Render(w, r, http.StatusNotFound, pages.NotFound())
		return
	}
	serve := found.get
	if r.Method == http.MethodPost {
		serve = found.post
	}
	if serve == nil || r.Method != http.MethodPost && r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", found.allow())
		s.Pages.Render(w, r, http.StatusMethodNotAllowed, pages.WrongMethod())
		return
	}
	v, err := s.open(w, r, id)
	if err != nil {
		s.respondOver(w, r, err)
		return
	}
	if r.Method == http.MethodPost && !v.checkForm() {
		return
	}
	serve(v)
}

// endpoint is a page or a form of a request.
type endpoint struct{ get, post func(*visit) }

func (e endpoint) allow() string {
	var all []string
	if e.get != nil {
		all = append(all, http.MethodGet, http.MethodHead)
	}
	if e.post != nil {
		all = append(all, http.MethodPost)
	}
	return strings.Join(all, ", ")
}

// endpoints are the addresses below that of a request.
var endpoints map[string]endpoint

func init() {
	endpoints = map[string]endpoint{
		"":         {get: (*visit).proceed},
		"name":     {get: (*visit).showName, post: (*visit).takeName},
		"password": {post: (*visit).takePassword},
		"factor":   {post: (*visit).takeFactor},
		"recovery": {get: (*visit).showRecovery},
		"external": {get: (*visit).leave},
		"choose":   {post: (*visit).takeChoice},
		"link":     {post: (*visit).takeLink},
		"passkey":  {post: (*visit).takePasskey},
		"resync":   {get: (*visit).showResync},

		"mailed":      {post: (*visit).takeMailed},
		"mail-again":  {post: (*visit).takeAgain},
		"enrol-kind":  {post: (*visit).takeKind},
		"enrol-other": {get: (*visit).showOther},
		"enrol-later": {post: (*visit).takeLater},
		"enrol":       {post: (*visit).takeEnrol},
		"codes":       {post: (*visit).proceed}, // the user has kept the recovery codes
		"newpassword": {post: (*visit).takeNewPassword},
	}
}
