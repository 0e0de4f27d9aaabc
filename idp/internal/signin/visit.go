package signin

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// visit is one HTTP request that belongs to a request of the browser.
type visit struct {
	*SignIn
	w       http.ResponseWriter
	r       *http.Request
	request *request.Request
	state   State
	session *store.Session // session of the browser, with its owner; nil for none
	owner   *store.User
}

func (s *SignIn) open(w http.ResponseWriter, r *http.Request, id string) (*visit, error) {
	q, err := s.Requests.Open(r, id)
	if err != nil {
		return nil, err
	}
	v := &visit{SignIn: s, w: w, r: r, request: q}
	if v.state, err = stateOf(q); err != nil {
		return nil, err
	}
	v.session, v.owner, err = s.Sessions.Current(r)
	return v, err
}

// respondOver responds if the request does not exist in this browser, with a link
// to the application if it is known.
func (s *SignIn) respondOver(w http.ResponseWriter, r *http.Request, err error) {
	var over *request.OverError
	switch {
	case errors.As(err, &over):
		page := pages.Expired()
		if over.Home != "" {
			page.Link, page.LinkKey, page.Hint = over.Home, "button.continue", false
		}
		s.Pages.Render(w, r, http.StatusGone, page)
	case errors.Is(err, request.ErrOtherBrowser):
		s.Pages.Render(w, r, http.StatusForbidden, pages.Expired())
	default:
		s.Fail(w, r, err)
	}
}

const fieldToken = "csrf"

// checkForm parses the form of a POST. If no page of this sign-in in this browser
// sent it, checkForm responds and returns false.
func (v *visit) checkForm() bool {
	if !strings.HasPrefix(v.r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") || v.r.ParseForm() != nil {
		v.Pages.Render(v.w, v.r, http.StatusBadRequest, pages.Forged())
		return false
	}
	if !isSameOrigin(v.r, v.Issuer) || !v.Requests.CheckFormToken(v.r, v.request.ID, v.field(fieldToken)) {
		v.Pages.Render(v.w, v.r, http.StatusForbidden, pages.Forged())
		return false
	}
	return true
}

// isSameOrigin reports whether one of our pages sent a form, as far as the browser
// tells. Our pages send no referrer, so that browsers send the origin «null»
// (Fetch, «append a request Origin header»), which tells nothing.
func isSameOrigin(r *http.Request, issuer string) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return false
	}
	origin := r.Header.Get("Origin")
	return origin == "" || origin == "null" || origin == issuer
}

// field returns a field of the form. It ignores the query.
func (v *visit) field(name string) string { return v.r.PostForm.Get(name) }

// common returns the common data of pages. It includes the problem if it concerns
// one of the fields.
func (v *visit) common(fields ...string) pages.Common {
	var problems []pages.Problem
	if p := v.state.Problem; p != nil && (p.Field == "" || slices.Contains(fields, p.Field)) {
		problems = append(problems, *p)
	}
	return pages.Common{
		UILocales: v.request.UILocales, App: v.request.ClientName, Problems: problems,
		Hidden: map[string]string{fieldToken: v.Requests.FormToken(v.r, v.request.ID)},
	}
}

func (v *visit) path(name string) string { return pathOf(v.request.ID, name) }

// render shows a page of a step.
func (v *visit) render(page pages.Page) { v.Pages.Render(v.w, v.r, http.StatusOK, page) }

// goTo redirects the browser to a page of the request.
func (v *visit) goTo(name string) { v.Pages.Redirect(v.w, v.r, v.path(name)) }

// change updates the state of the request, in one transaction with other work of f,
// and reloads it into the visit.
func (v *visit) change(f func(tx store.Tx, state *State) error) error {
	q, err := v.Requests.Update(v.r, v.request.ID, func(tx store.Tx, q *request.Request) error {
		state, err := stateOf(q)
		if err != nil {
			return err
		}
		if err := f(tx, &state); err != nil {
			return err
		}
		return state.keep(q)
	})
	if err != nil {
		return err
	}
	v.request = q
	v.state, err = stateOf(q)
	return err
}

// changed calls change, and then goOn, or shows an error page.
func (v *visit) changed(f func(tx store.Tx, state *State) error, goOn func()) {
	if err := v.change(f); err != nil {
		v.respondOver(v.w, v.r, err)
		return
	}
	goOn()
}

// proceed continues with the next step: it shows its page, or ends the request.
func (v *visit) proceed() {
	f, d, ok := v.load()
	switch {
	case !ok:
	case v.r.Method == http.MethodHead:
		v.w.WriteHeader(http.StatusOK)
	case isEnd(d.step) && v.r.Method == http.MethodPost && isBrowser(v.r):
		v.leaveForm("")
	case d.step == stepFinish:
		v.finish(f, d)
	case d.step == stepRefuse:
		v.refuse(d.code)
	case v.r.Method == http.MethodPost:
		v.goTo("") // a reload must not send the form again
	default:
		shows[d.step](v, f, d)
	}
}

// isEnd reports whether a step ends a request.
func isEnd(s step) bool { return s == stepFinish || s == stepRefuse }

// load collects the facts and determines the next step. If it fails, it responds
// and returns false.
func (v *visit) load() (f facts, d decision, ok bool) {
	err := v.Store.View(v.r.Context(), func(tx store.Tx) (err error) {
		f, err = v.facts(tx, v.state)
		return err
	})
	if err != nil {
		v.Fail(v.w, v.r, err)
		return f, d, false
	}
	return f, next(f), true
}

// shows are the pages of the steps.
var shows map[step]func(*visit, facts, decision)

func init() {
	shows = map[step]func(*visit, facts, decision){
		stepLink:        (*visit).showLink,
		stepEnrol:       (*visit).showEnrol,
		stepUnmet:       (*visit).showUnmet,
		stepNewPassword: (*visit).showNewPassword,
		stepChoose:      (*visit).showChooser,
		stepName:        func(v *visit, _ facts, _ decision) { v.showName() },
		stepPassword:    func(v *visit, _ facts, _ decision) { v.showPassword(withCode) },
		stepConcealed:   func(v *visit, _ facts, _ decision) { v.showConcealed(withCode) },
		stepFactor:      func(v *visit, f facts, _ decision) { v.showFactor(f, withCode) },
	}
}

// facts collects what the next step depends on.
func (v *visit) facts(tx store.Tx, state State) (f facts, err error) {
	f = facts{request: v.request, state: state, session: v.session, now: v.Now()}
	id := state.UserID
	if id == "" && v.owner != nil {
		id = v.owner.ID
	}
	if id == "" {
		return f, nil
	}
	f.user, err = tx.User(id)
	if errors.Is(err, store.ErrNotFound) || err == nil && isGone(f.user) {
		f.user = nil
		return f, nil
	}
	if err != nil {
		return f, err
	}
	return f, v.addUser(tx, &f)
}

// addUser adds what depends on the user.
func (v *visit) addUser(tx store.Tx, f *facts) error {
	policy := v.Accounts.Policy(f.user)
	policy.Factors = v.Factors.Available(policy.Factors)
	f.policy = policy
	all, err := tx.FactorsOf(f.user.ID)
	if err != nil {
		return err
	}
	for _, factor := range all {
		if factor.Confirmed && !slices.Contains(f.has, factor.Kind) {
			f.has = append(f.has, factor.Kind)
		}
	}
	if f.device, err = v.deviceOf(tx, f.user); err != nil {
		return err
	}
	f.mfa, f.hasFactor = policy.MFA, len(f.has) > 0
	f.remembered = f.device.remembered(policy.Remember, f.now)
	f.passwordDue = authenticator.ChangeDue(f.user.Password, policy.PasswordMaxAge, f.now)
	return nil
}

// isGone reports whether a user must not sign in.
func isGone(u *store.User) bool {
	return u.Locked || !u.Removed.IsZero() || u.Kind != store.Person
}

// ceremony returns what a factor is verified for: the user, the browser and the request.
func (v *visit) ceremony(user *store.User) factors.Ceremony {
	return factors.Ceremony{User: user, Browser: v.request.Browser, Request: v.request.ID}
}
