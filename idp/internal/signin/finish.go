package signin

import (
	"errors"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// finish ends the request: it removes it, so that it is answered once, begins or
// renews the session if something was proved, and calls the request's finisher.
func (v *visit) finish(f facts, d decision) {
	finisher := v.take()
	if finisher == nil {
		return
	}
	session := v.session
	if d.active {
		var err error
		if session, err = v.start(f, d); err != nil {
			v.respondStart(finisher, err)
			return
		}
	}
	v.link(f, d)
	v.signedIn(f, d, session)
	finisher.Finish(v.w, v.r, v.request, session, f.user)
}

// start begins or renews the session.
func (v *visit) start(f facts, d decision) (*store.Session, error) {
	if err := v.keepDevice(f.user, v.state.Remember && v.state.Proven.secondFactor()); err != nil {
		return nil, err
	}
	a := d.auth
	a.Proven = v.state.Proven
	a.External, a.Expires = v.state.External, v.state.ExternalExpires
	if v.session != nil && v.session.UserID == f.user.ID {
		a.Proven = proofs(v.session.Proven).with(v.state.Proven)
		if a.External == "" {
			a.External = v.session.External
		}
		if v.session.External != "" && v.state.External == "" && !v.state.Proven.firstFactor() {
			a.Expires = v.session.Expires // only the external provider may extend it
		}
	}
	return v.Sessions.Start(v.w, v.r, a)
}

func (v *visit) respondStart(finisher request.Finisher, err error) {
	if errors.Is(err, sso.ErrUserGone) {
		finisher.Refuse(v.w, v.r, v.request, codeDenied, "the user must not sign in")
		return
	}
	v.Fail(v.w, v.r, err)
}

// refuse ends the request with an error.
func (v *visit) refuse(code string) {
	if finisher := v.take(); finisher != nil {
		v.Count(outcomeRefused, "")
		finisher.Refuse(v.w, v.r, v.request, code, descriptions[code])
	}
}

var descriptions = map[string]string{
	codeLoginRequired:       "the user has to sign in",
	codeInteractionRequired: "the user has to confirm something",
	codeSelectionRequired:   "the user has to choose an account",
	codeUnmet:               "the requested authentication context is not available",
	codeDenied:              "the user must not sign in",
}

// take removes the request, or shows a page if that has already happened.
func (v *visit) take() request.Finisher {
	finisher := v.finishers[v.request.Kind]
	if finisher == nil {
		v.Pages.Render(v.w, v.r, 400, pages.Expired()) // from another version of this program
		return nil
	}
	q, err := v.Requests.Take(v.w, v.r, v.request.ID)
	if err != nil {
		v.respondOver(v.w, v.r, err)
		return nil
	}
	v.request = q
	return finisher
}
