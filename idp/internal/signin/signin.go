// Package signin leads a browser through the steps of a sign-in: user name,
// password and code, or a passkey or an external provider, then what is due, such
// as a new password. It serves the forms, and finishes the request at the end.
//
// The function next in steps.go decides on each step, from what the
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

// Policy is the part of a user's login authenticator that concerns sign-ins.
type Policy struct {
	MFA MFA
	// Factors are the kinds that users may enrol. Existing factors of other kinds
	// remain valid.
	Factors []store.FactorKind
	// Remember is how long a browser may replace the second factor; zero for never.
	Remember time.Duration
	// PasswordMaxAge is the maximum age of a password; zero for none.
	PasswordMaxAge time.Duration
}

// Accounts has the rules of accounts that sign-ins need.
type Accounts interface {
	// Key returns the canonical form of a name or an e-mail address, or an error if
	// it is not valid.
	Key(typed string) (string, error)
	Policy(*store.User) Policy
	// MFAForAll reports whether every login authenticator requires a second factor.
	MFAForAll() bool
	// Remembers reports whether any login authenticator lets browsers be
	// remembered.
	Remembers() bool
}

// Caller is the origin of an attempt.
type Caller struct {
	Address netip.Addr
	// Device identifies the browser if it has signed in to this account before;
	// else it is empty.
	Device string
}

// Passwords verifies passwords, a few at a time.
type Passwords interface {
	// Verify reports whether a password is the user's. It takes the same time, for
	// the caller and for others that wait, if user is nil or has no password. If
	// the hash is outdated, upgraded is its replacement. A *BusyError is returned
	// if too many callers wait.
	Verify(ctx context.Context, from Caller, user *store.User, password string) (right bool, upgraded string, err error)
	// Set changes a password that is due. It returns the problems for which the
	// login authenticator refuses the new one.
	Set(ctx context.Context, from Caller, userID, password string) (problems []pages.Problem, err error)
	// Rules returns the password rules of the user's login authenticator, for
	// display.
	Rules(*store.User) []pages.Text
}

// BusyError means that too many callers wait for a hash.
type BusyError struct{ RetryAfter time.Duration }

func (e *BusyError) Error() string { return "too many passwords wait to be checked" }

// Kinds of attempts. Each has a counter of its own.
const (
	AttemptPassword = "password"
	AttemptCode     = "code"
	AttemptRecovery = "recovery"
)

// Attempt is an attempt to authenticate.
type Attempt struct {
	User *store.User // nil if the name is unknown
	Kind string
	// Device identifies the browser if it has signed in to this account before;
	// else it is empty.
	Device  string
	Address netip.Addr
}

// Lockout counts wrong attempts.
type Lockout interface {
	// Allows reports whether an attempt may succeed now.
	Allows(tx store.Tx, a Attempt) (bool, error)
	// Failed counts a wrong attempt. locked reports whether that has just locked
	// the account.
	Failed(tx store.Tx, a Attempt) (locked bool, err error)
	// Completed resets the counters of a user who has signed in completely.
	Completed(tx store.Tx, a Attempt) error
}

// Notices sends mail to users. Its methods do not wait for the mail.
type Notices interface {
	// CanMail reports whether a code can be sent to a user.
	CanMail(*store.User) bool
	// EnrolmentCode sends the code for the first enrolment of a factor. from is the
	// address of the browser that asked for it.
	EnrolmentCode(ctx context.Context, user *store.User, from netip.Addr, code string, until time.Time)
	// Locked notifies that the account was locked after wrong attempts.
	Locked(ctx context.Context, user *store.User)
	// RecoveryUsed notifies that a recovery code was used.
	RecoveryUsed(ctx context.Context, user *store.User)
	// PasswordChanged and FactorAdded notify about that.
	PasswordChanged(ctx context.Context, user *store.User)
	FactorAdded(ctx context.Context, user *store.User, factor *store.Factor)
}

// Options are what sign-ins need from other parts. All are required.
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
	// Home returns where the application of a request begins; "" if unknown.
	Home func(*request.Request) string
	// ResetURL is where forgotten passwords are reset; empty if that is not
	// possible.
	ResetURL string
	// Address returns the address of a request's client.
	Address func(*http.Request) netip.Addr
	// Fail responds to a request that failed because of an internal error.
	Fail func(w http.ResponseWriter, r *http.Request, err error)
	// Count counts the outcome of a sign-in, and its factor.
	Count  func(outcome, factor string)
	Logger *slog.Logger
	Now    func() time.Time
	// Sleep waits for d, or until the context ends.
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

// Handle registers the Finisher for a kind of requests. It must be called before
// requests are served.
func (s *SignIn) Handle(kind string, f request.Finisher) { s.finishers[kind] = f }

// Begin stores a request of this browser and redirects the browser to its first
// step.
func (s *SignIn) Begin(w http.ResponseWriter, r *http.Request, q *request.Request) {
	q.Home = s.Home(q)
	if err := s.Requests.Begin(w, r, q); err != nil {
		s.Fail(w, r, err)
		return
	}
	s.Pages.Redirect(w, r, pathOf(q.ID, ""))
}

const prefix = "/signin/"

// pathOf returns the path of a page or a form of a request.
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
		"codes":       {post: (*visit).proceed}, // the user has saved the recovery codes
		"newpassword": {post: (*visit).takeNewPassword},
	}
}
