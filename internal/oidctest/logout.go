package oidctest

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// endSession is the end-session endpoint (OpenID Connect RP-Initiated Logout,
// section 2). It asks for no confirmation, and does not sign the user out:
// tests do that with SignOut.
func (p *Provider) endSession(req Request, lies *Faults) answer {
	q, c := req.Params(), p.Client()
	hint, id := q.Get("id_token_hint"), q.Get("client_id")
	if hint == "" && id == "" {
		p.violate("C50", "logout with neither id_token_hint nor client_id")
	}
	if hint != "" && !p.IssuedIDToken(hint) {
		p.violate("C50", "id_token_hint was not issued here")
	}
	if id != "" && id != c.ID {
		p.violate("C50", "logout with the client_id %q", id)
	}
	back := q.Get("post_logout_redirect_uri")
	if back == "" {
		return page(http.StatusOK, "signed out")
	}
	if !slices.Contains(c.PostLogoutURIs, back) {
		p.violate("C50", "post_logout_redirect_uri %q is not registered", back)
		return page(http.StatusBadRequest, "unknown post_logout_redirect_uri")
	}
	out := url.Values{}
	if state := q.Get("state"); state != "" {
		out.Set("state", state)
	}
	if lies.EndSession != nil {
		lies.EndSession(out)
	}
	return redirect(back, out.Encode())
}

// BackchannelEvent is the member of the claim events that identifies a logout
// token (OpenID Connect Back-Channel Logout, section 2.4).
const BackchannelEvent = "http://schemas.openid.net/event/backchannel-logout"

// LogoutToken returns a token that a test posts to the back-channel logout
// endpoint. It is honest except for the lies. sub or sid may be empty.
func (p *Provider) LogoutToken(sub, sid string, lies JWTLies) string {
	now := p.Now()
	claims := map[string]any{
		"iss": p.issuer, "aud": p.Client().ID, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(2 * time.Minute).Unix(),
		"events": map[string]any{BackchannelEvent: map[string]any{}},
	}
	if sub != "" {
		claims["sub"] = sub
	}
	if sid != "" {
		claims["sid"] = sid
	}
	edit := lies.Header
	lies.Header = func(h map[string]any) {
		h["typ"] = "logout+jwt"
		if edit != nil {
			edit(h)
		}
	}
	token := p.Mint(claims, lies)
	p.secret(token)
	return token
}
