package signin

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/broker"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Link is an external account that may be linked to an account here, once the user
// has signed in to that.
type Link struct {
	*broker.Pending
	External string `json:"title"` // display name of the external provider
	Agreed   bool   `json:"agreed,omitempty"`
}

// Brokered implements broker.SignIn.
type Brokered struct{ *SignIn }

var _ broker.SignIn = Brokered{}

// Continue implements broker.SignIn.
func (s Brokered) Continue(w http.ResponseWriter, r *http.Request, requestID string, answer *broker.Answer) {
	v, err := s.open(w, r, requestID)
	if err != nil {
		s.respondOver(w, r, err)
		return
	}
	v.goOnAs(answer)
}

// Begin implements broker.SignIn.
func (s Brokered) Begin(w http.ResponseWriter, r *http.Request, q *request.Request, answer *broker.Answer) {
	q.Home = s.Home(q)
	if err := s.Requests.Begin(w, r, q); err != nil {
		s.SignIn.Fail(w, r, err)
		return
	}
	v, err := s.open(w, withCookies(w, r), q.ID)
	if err != nil {
		s.respondOver(w, r, err)
		return
	}
	v.goOnAs(answer)
}

// withCookies returns a request with the cookies that its response sets, as if the
// browser had already sent them.
func withCookies(w http.ResponseWriter, r *http.Request) *http.Request {
	r = r.Clone(r.Context())
	for _, line := range w.Header()["Set-Cookie"] {
		if set, err := http.ParseSetCookie(line); err == nil && set.MaxAge >= 0 {
			r.AddCookie(set)
		}
	}
	return r
}

// goOnAs continues with the answer of an external provider.
func (v *visit) goOnAs(answer *broker.Answer) {
	switch answer.Outcome {
	case broker.Linked, broker.Created:
		v.changed(func(tx store.Tx, state *State) error { return v.proveExternal(tx, state, answer) }, v.proceed)
	case broker.LinkNeeded:
		v.changed(func(_ store.Tx, state *State) error {
			*state = State{Other: true, Link: &Link{Pending: answer.Pending, External: answer.Title}}
			return nil
		}, v.proceed)
	default:
		v.Count(outcomeFailed, "external")
		v.log("sign_in_failed", "sign-in failed", slog.String("factor", "external"), slog.String("external", answer.Assertion.External), slog.String("reason", "no_account"),
			slog.String("attempt", answer.Attempt))
		page := pages.NoAccount(answer.Title)
		page.Link, page.LinkKey = v.path("name"), "button.not_you"
		v.Pages.Render(v.w, v.r, http.StatusForbidden, page)
	}
}

// proveExternal records what an external provider has proved, at the time that it
// states.
func (v *visit) proveExternal(tx store.Tx, state *State, answer *broker.Answer) error {
	a := answer.Assertion
	user, err := tx.User(answer.User.ID)
	if err != nil {
		return err
	}
	at := a.AuthTime
	if at.IsZero() {
		at = sso.UnknownTime
	}
	*state = State{MayEnrol: state.MayEnrol, External: a.External, ExternalExpires: a.SessionEnds}
	state.prove(user.ID, at, amrExternal)
	if a.MFA() {
		state.prove(user.ID, at, proofExternalMFA)
	}
	return v.succeed(tx, state, &judgement{user: user}, Attempt{User: user, Kind: AttemptPassword, Address: v.Address(v.r)})
}

// showLink offers to link the external account to an existing one.
func (v *visit) showLink(facts, decision) {
	link := v.state.Link
	v.render(&pages.LinkAccount{Common: v.common(), Action: v.path("link"), External: link.External, User: link.Email})
}

// takeLink processes the answer to that offer.
func (v *visit) takeLink() {
	v.changed(func(_ store.Tx, state *State) error {
		if state.Link != nil && v.field(pages.FieldChoice) == "continue" {
			state.Link.Agreed = true
		} else {
			state.Link = nil
		}
		return nil
	}, v.proceed)
}

// link links the accounts after the sign-in, which continues even if that fails. The steps
// lead here only after the user agreed and then signed in with a factor of the account;
// both are checked again, because a link is permanent.
func (v *visit) link(f facts, d decision) {
	link := v.state.Link
	if link == nil || !link.Agreed || !d.active || v.state.External != "" {
		return
	}
	err := v.Externals.Link(v.r.Context(), link.Pending, f.user.ID)
	if err != nil {
		v.Logger.LogAttrs(v.r.Context(), slog.LevelWarn, "could not link an external account",
			slog.String("event", "link_failed"), slog.String("external", link.Identity.External), v.who(f.user, ""), slog.Any("error", err))
		return
	}
	v.log("linked", "an external account was linked", slog.String("external", link.Identity.External), v.who(f.user, ""))
}

// Current implements broker.SignIn.
func (s Brokered) Current(r *http.Request) (*store.User, error) {
	_, user, err := s.Sessions.Current(r)
	return user, err
}

// Ask implements broker.SignIn.
func (s Brokered) Ask(w http.ResponseWriter, r *http.Request, offer *broker.Offer) {
	page := &pages.Chooser{
		Common: pages.Common{Hidden: map[string]string{pages.FieldToken: offer.Token}},
		Action: offer.Action, User: offer.Name, External: offer.Title,
	}
	if offer.Replaces != nil {
		page.Replaces = offer.Replaces.Name
	}
	s.Pages.Render(w, r, http.StatusOK, page)
}

// Fail implements broker.SignIn.
func (s Brokered) Fail(w http.ResponseWriter, r *http.Request, requestID string, failure *broker.Failure) {
	if failure.Kind == broker.Unavailable {
		s.SignIn.Fail(w, r, errors.Join(store.ErrUnavailable, failure.Err))
		return
	}
	page := pages.ExternalFailed(string(failure.Kind))
	if requestID != "" {
		page.Link, page.LinkKey = pathOf(requestID, "name"), "button.retry"
	}
	s.Pages.Render(w, r, failure.Status(), page)
}

// Redirect implements broker.SignIn.
func (s Brokered) Redirect(w http.ResponseWriter, r *http.Request, address string) {
	s.Pages.Redirect(w, r, address)
}

// Post implements broker.SignIn.
func (s Brokered) Post(w http.ResponseWriter, r *http.Request, action string, fields map[string]string) {
	target, err := url.Parse(action)
	if err != nil {
		s.SignIn.Fail(w, r, errors.New("the address of an external provider cannot be read"))
		return
	}
	s.Pages.Render(w, r, http.StatusOK, &pages.FormPost{Action: action, Origin: target.Scheme + "://" + target.Host, Fields: fields})
}
