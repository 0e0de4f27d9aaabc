package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// authorize serves the authorization endpoint. Errors before the redirect URI has
// been validated are shown on a page; others are sent to the client.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	text := r.URL.RawQuery
	if r.Method == http.MethodPost {
		var err error
		if text, err = readForm(w, r); err != nil {
			p.refusePage(w, r, invalidRequest(err.Error()), "")
			return
		}
	}
	params, err := parse(text)
	var doubled doubledError
	isDoubled := errors.As(err, &doubled)
	if err != nil && !isDoubled {
		p.refusePage(w, r, invalidRequest(err.Error()), "")
		return
	}
	client, wrong := p.audience(params)
	if wrong != nil {
		p.refusePage(w, r, wrong, params["client_id"])
		return
	}
	// Browsers omit the session's cookie in cross-site forms, and send it after a
	// redirect.
	if r.Method == http.MethodPost && !isDoubled && !p.Sessions.HasCookie(r) {
		p.Pages.Redirect(w, r, withQuery(p.issuer+"/authorize", params))
		return
	}
	a, wanted, wrong := checkAuthorization(params, client)
	if isDoubled {
		wrong = invalidRequest(doubled.Error())
	}
	if hint, ok := params["id_token_hint"]; ok && wrong == nil {
		if wrong, err = p.checkIDTokenHint(r.Context(), hint, client, wanted); err != nil {
			p.failPage(w, r, "authorize", err)
			return
		}
	}
	if wrong != nil {
		p.refused(r.Context(), "authorize", client.ID, wrong)
		p.respondError(w, r, &a, wrong)
		return
	}
	if wanted.Data, err = json.Marshal(a); err != nil {
		p.failPage(w, r, "authorize", fmt.Errorf("encode an authorization request: %w", err))
		return
	}
	p.Begin(w, r, wanted)
}

// audience returns the client of a request, if the request has one of its redirect
// URIs.
func (p *Provider) audience(params parameters) (*party, *protocolError) {
	client := p.Clients.find(params["client_id"])
	switch {
	case params["client_id"] == "":
		return nil, invalidRequest("client_id is missing, or there twice")
	case client == nil:
		return nil, &protocolError{"invalid_client", "the client is not known"}
	case params["redirect_uri"] == "":
		return nil, invalidRequest("redirect_uri is missing, or there twice")
	case !client.allows(params["redirect_uri"]):
		return nil, invalidRequest("redirect_uri is not one of the client's")
	}
	return client, nil
}

func (p *Provider) refusePage(w http.ResponseWriter, r *http.Request, wrong *protocolError, clientID string) {
	p.refused(r.Context(), "authorize", clientID, wrong)
	p.count("authorize", wrong.code)
	p.Pages.Error(w, r, http.StatusBadRequest, wrong.code, wrong.description)
}

// reopen returns the parameters of a stored authorization request, validated again,
// since the configuration may have changed.
func (p *Provider) reopen(wanted *request.Request) (client *party, a authorization, err *protocolError) {
	client = p.Clients.find(wanted.ClientID)
	if json.Unmarshal(wanted.Data, &a) != nil || client == nil || !client.allows(a.RedirectURI) {
		return nil, a, invalidRequest("the client or its redirect_uri is not known any more")
	}
	return client, a, nil
}

// Refuse implements request.Finisher.
func (p *Provider) Refuse(w http.ResponseWriter, r *http.Request, wanted *request.Request, code, description string) {
	_, a, wrong := p.reopen(wanted)
	if wrong != nil {
		p.refusePage(w, r, wrong, wanted.ClientID)
		return
	}
	p.respondError(w, r, &a, &protocolError{code, description})
}

// Finish implements request.Finisher. It issues a code to the client.
func (p *Provider) Finish(w http.ResponseWriter, r *http.Request, wanted *request.Request, session *store.Session, user *store.User) {
	client, a, wrong := p.reopen(wanted)
	if wrong != nil {
		p.refusePage(w, r, wrong, wanted.ClientID)
		return
	}
	if wanted.Subject != "" && wanted.Subject != user.ID {
		p.respondError(w, r, &a, &protocolError{"login_required", "another user is signed in"})
		return
	}
	u := &unit{now: p.Now(), client: client, user: user, data: grantData{
		authorization: a, AuthTime: session.AuthTime, AMR: session.AMR, ACR: session.ACR, External: session.External,
	}}
	err := p.issueCode(r, u)
	if err == nil {
		err = p.commitCode(r.Context(), u, session.SID)
	}
	switch {
	case errors.Is(err, sso.ErrUserGone):
		p.respondError(w, r, &a, &protocolError{"access_denied", "the session has ended"})
	case unavailable(err):
		p.fail(r.Context(), "authorize", err)
		p.respondError(w, r, &a, &protocolError{"temporarily_unavailable", "try again in a moment"})
	case err != nil:
		p.fail(r.Context(), "authorize", err)
		p.respondError(w, r, &a, &protocolError{"server_error", "something went wrong here"})
	default:
		p.count("authorize", "ok")
		p.Logger.LogAttrs(r.Context(), slog.LevelInfo, "a user signed in to an application",
			slog.String("event", "authorized"), slog.String("client_id", client.ID), slog.String("sub", user.ID), slog.String("sid", session.SID))
		p.respond(w, r, &a, map[string]string{"code": u.code})
	}
}

// issueCode makes the library validate the request once more and create a code.
func (p *Provider) issueCode(r *http.Request, u *unit) error {
	query := url.Values{
		"client_id": {u.client.ID}, "redirect_uri": {u.data.RedirectURI}, "response_type": {"code"},
		"scope": {strings.Join(u.data.Scopes, " ")}, "nonce": {u.data.Nonce},
	}
	if u.data.Challenge != "" {
		query.Set("code_challenge", u.data.Challenge)
		query.Set("code_challenge_method", "S256")
	}
	inner, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), http.MethodGet, p.issuer+"/authorize?"+query.Encode(), nil)
	if err != nil {
		return fmt.Errorf("make a request of the library: %w", err)
	}
	answer := p.run(u, inner)
	if answer.status != http.StatusSeeOther || u.code == "" {
		return fmt.Errorf("the library refused an authorization request: status %d, %q", answer.status, answer.header.Get("Location"))
	}
	return nil
}

// commitCode stores a grant with its code, unless the session has ended.
func (p *Provider) commitCode(ctx context.Context, u *unit, sid string) error {
	u.grant.SID = sid
	err := p.Store.Update(ctx, func(tx store.Tx) error {
		if _, err := activeUser(tx, u.user.ID); err != nil {
			return err
		}
		session, err := tx.Session(sid)
		if errors.Is(err, store.ErrNotFound) || err == nil && session.UserID != u.user.ID {
			return sso.ErrUserGone
		}
		if err != nil {
			return err
		}
		return tx.PutGrant(*u.grant)
	})
	if err != nil {
		return fmt.Errorf("keep a grant: %w", err)
	}
	return nil
}

// activeUser returns a user who may have tokens, or sso.ErrUserGone.
func activeUser(tx store.Tx, id string) (*store.User, error) {
	user, err := tx.User(id)
	if errors.Is(err, store.ErrNotFound) || err == nil && sso.IsGone(user) {
		return nil, sso.ErrUserGone
	}
	return user, err
}
