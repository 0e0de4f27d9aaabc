package provider

import (
	"crypto/subtle"
	"errors"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// signOutPurpose is the purpose of the form's token.
const signOutPurpose = "end_session"

// formTokenField is the name of the hidden field with the token.
const formTokenField = "csrf"

// logout is a logout request (OpenID Connect RP-Initiated Logout 1.0).
type logout struct {
	client *party // nil if none is named, or the hint is for another one
	hint   *hint  // nil without a valid one
	target string // where to redirect afterwards; empty to stay
}

// endSession serves the end session endpoint.
func (p *Provider) endSession(w http.ResponseWriter, r *http.Request) {
	text := r.URL.RawQuery
	if r.Method == http.MethodPost {
		var err error
		if text, err = readForm(w, r); err != nil {
			p.Pages.Error(w, r, http.StatusBadRequest, "invalid_request", err.Error())
			return
		}
	}
	params, err := parse(text)
	if err != nil {
		p.Pages.Error(w, r, http.StatusBadRequest, "invalid_request", err.Error())
		return
	}
	// As at the authorization endpoint, the cookie comes after the redirect.
	if r.Method == http.MethodPost && !p.Sessions.HasCookie(r) && params[formTokenField] == "" {
		p.Pages.Redirect(w, r, withQuery(p.issuer+"/end_session", params))
		return
	}
	wanted, wrong, err := p.checkLogout(r, params)
	switch {
	case err != nil:
		p.failPage(w, r, "end_session", err)
	case wrong != nil:
		p.refused(r.Context(), "end_session", params["client_id"], wrong)
		p.Pages.Error(w, r, http.StatusBadRequest, wrong.code, wrong.description)
	default:
		p.signOut(w, r, params, wanted)
	}
}

// checkLogout validates a logout request. The redirect URI must be exactly one of
// the client's. state is only sent there.
func (p *Provider) checkLogout(r *http.Request, params parameters) (wanted logout, wrong *protocolError, err error) {
	if id, ok := params["client_id"]; ok {
		if wanted.client = p.Clients.find(id); wanted.client == nil {
			return wanted, &protocolError{"invalid_client", "the client is not known"}, nil
		}
	}
	if text, ok := params["id_token_hint"]; ok {
		if wrong, err := p.checkLogoutHint(r, text, &wanted); wrong != nil || err != nil {
			return wanted, wrong, err
		}
	}
	address, ok := params["post_logout_redirect_uri"]
	if !ok {
		return wanted, nil, nil
	}
	if wanted.client == nil || !wanted.client.allowsAfterLogout(address) {
		return wanted, invalidRequest("post_logout_redirect_uri is not one of the client's"), nil
	}
	wanted.target = address
	if state, ok := params["state"]; ok {
		wanted.target = withQuery(address, map[string]string{"state": state})
	}
	return wanted, nil, nil
}

// checkLogoutHint verifies the id_token_hint of a logout request. One whose key has been
// removed only identifies the client, and the user is asked.
func (p *Provider) checkLogoutHint(r *http.Request, text string, wanted *logout) (wrong *protocolError, err error) {
	var old *oldHintError
	var client string
	h, err := p.readHint(r.Context(), text)
	switch {
	case errors.As(err, &old):
		client = old.client
	case errors.Is(err, errBadHint):
		return invalidRequest(errBadHint.Error()), nil
	case err != nil:
		return nil, err
	default:
		wanted.hint, client = h, h.Audience[0]
	}
	if wanted.client == nil {
		wanted.client = p.Clients.find(client)
	}
	if wanted.client != nil && wanted.client.ID != client {
		return invalidRequest("id_token_hint is not of the client"), nil
	}
	return nil, nil
}

// signOut ends the session at once if the hint is of this very session, or the user
// has confirmed; otherwise it asks.
func (p *Provider) signOut(w http.ResponseWriter, r *http.Request, params parameters, wanted logout) {
	session, user, err := p.Sessions.Current(r)
	if err != nil {
		p.failPage(w, r, "end_session", err)
		return
	}
	if session == nil {
		p.signedOut(w, r, wanted)
		return
	}
	pressed := r.Method == http.MethodPost && p.isOwnForm(r, params[formTokenField])
	switch {
	case pressed && params["choice"] == "stay":
		p.Pages.Redirect(w, r, "/account")
	case pressed || wanted.isOf(session):
		if err := p.Sessions.End(r.Context(), session.SID); err != nil {
			p.failPage(w, r, "end_session", err)
			return
		}
		p.Sessions.Forget(w)
		p.count("end_session", "ok")
		p.signedOut(w, r, wanted)
	default:
		p.askToSignOut(w, r, params, user)
	}
}

// isOf reports whether the hint matches a session: its user and sid.
func (l *logout) isOf(session *store.Session) bool {
	return l.hint != nil && l.hint.Subject == session.UserID && l.hint.SID == session.SID
}

// isOwnForm reports whether our page sent the form, in this session.
func (p *Provider) isOwnForm(r *http.Request, token string) bool {
	own := p.Sessions.FormToken(r, signOutPurpose)
	return own != "" && subtle.ConstantTimeCompare([]byte(own), []byte(token)) == 1
}

// askToSignOut shows the confirmation page. Its form repeats the request, and so
// leads where the request would have led.
func (p *Provider) askToSignOut(w http.ResponseWriter, r *http.Request, params parameters, user *store.User) {
	hidden := map[string]string{formTokenField: p.Sessions.FormToken(r, signOutPurpose)}
	for _, name := range []string{"client_id", "id_token_hint", "post_logout_redirect_uri", "state"} {
		if value, ok := params[name]; ok {
			hidden[name] = value
		}
	}
	p.count("end_session", "asked")
	p.Pages.SignOut(w, r, user, "/end_session", hidden)
}

func (p *Provider) signedOut(w http.ResponseWriter, r *http.Request, wanted logout) {
	w.Header().Set("Cache-Control", "no-store")
	if wanted.target == "" {
		p.Pages.SignedOut(w, r)
		return
	}
	w.Header().Set("Referrer-Policy", "no-referrer")
	p.Pages.Redirect(w, r, wanted.target)
}
