package provider

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// userinfo serves the UserInfo endpoint (OpenID Connect Core 5.3).
func (p *Provider) userinfo(w http.ResponseWriter, r *http.Request) {
	token, wrong := readBearer(w, r)
	if wrong != nil {
		p.challenge(w, r, wrong)
		return
	}
	u := &unit{now: p.Now(), access: token}
	err := p.Store.View(r.Context(), func(tx store.Tx) error { return p.loadToken(tx, u) })
	if isWrongGrant(err) {
		p.challenge(w, r, &protocolError{"invalid_token", "the access token is not valid, or not any more"})
		return
	}
	if err != nil {
		p.answerClient(w, r, "userinfo", nil, nil, nil, fmt.Errorf("load a token: %w", err))
		return
	}
	inner, err := http.NewRequestWithContext(r.Context(), http.MethodGet, p.issuer+"/userinfo", nil)
	if err != nil {
		p.answerClient(w, r, "userinfo", u.client, nil, nil, fmt.Errorf("make a request of the library: %w", err))
		return
	}
	inner.Header.Set("Authorization", "Bearer "+token)
	answer := p.run(u, inner)
	refused, err := answer.refusal()
	switch {
	case err != nil:
		p.answerClient(w, r, "userinfo", u.client, nil, nil, err)
	case refused != nil:
		p.challenge(w, r, &protocolError{"invalid_token", refused.description})
	default:
		p.answerClient(w, r, "userinfo", u.client, answer.document(), nil, nil)
	}
}

// loadToken loads into a unit what an access token refers to.
func (p *Provider) loadToken(tx store.Tx, u *unit) error {
	var err error
	if u.token, err = tx.Token(store.HashOf(u.access)); err != nil {
		return err
	}
	u.client = p.Clients.find(u.token.ClientID)
	if u.client == nil || !u.token.Revoked.IsZero() || !u.now.Before(u.token.Expires) {
		return store.ErrNotFound
	}
	grant, err := tx.Grant(u.token.GrantID)
	if err != nil {
		return err
	}
	if !grant.Revoked.IsZero() {
		return store.ErrNotFound
	}
	if err := u.load(grant); err != nil {
		return err
	}
	u.user, err = activeUser(tx, grant.UserID)
	return err
}

// readBearer returns the access token in the header, or in the form of a POST
// request (RFC 6750, sections 2.1 and 2.2). Tokens in URLs are refused, because
// URLs are logged.
func readBearer(w http.ResponseWriter, r *http.Request) (string, *protocolError) {
	if r.URL.Query().Has("access_token") {
		return "", invalidRequest("an access token does not belong in the address")
	}
	inBody := ""
	if r.Method == http.MethodPost && isForm(r) {
		text, err := readForm(w, r)
		if err != nil {
			return "", invalidRequest(err.Error())
		}
		params, err := parse(text)
		if err != nil {
			return "", invalidRequest(err.Error())
		}
		inBody = params["access_token"]
	}
	lines := r.Header.Values("Authorization")
	switch {
	case len(lines) > 1 || len(lines) == 1 && inBody != "":
		return "", invalidRequest("there are several access tokens")
	case len(lines) == 0 && inBody == "":
		return "", &protocolError{}
	case len(lines) == 0:
		return inBody, nil
	}
	scheme, token, _ := strings.Cut(lines[0], " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" || !isPrintable(token) {
		return "", &protocolError{"invalid_token", "the header has no bearer token"}
	}
	return token, nil
}

// challenge refuses an access token (RFC 6750, section 3). A request without a
// token gets no error code.
func (p *Provider) challenge(w http.ResponseWriter, r *http.Request, wrong *protocolError) {
	value, status, body := `Bearer realm="userinfo"`, http.StatusUnauthorized, map[string]string{}
	if wrong.code != "" {
		value += `, error="` + wrong.code + `", error_description="` + wrong.description + `"`
		body["error"], body["error_description"] = wrong.code, wrong.description
		p.refused(r.Context(), "userinfo", "", wrong)
	}
	if wrong.code == "invalid_request" {
		status = http.StatusBadRequest
	}
	p.count("userinfo", "refused")
	w.Header().Set("WWW-Authenticate", value)
	writeJSON(w, status, body)
}
