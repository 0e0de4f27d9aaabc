package oidctest

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// authorize is the authorization endpoint (OpenID Connect Core, section 3.1.2).
// Requests with serious mistakes, at which the OpenID Foundation's suite stops,
// get a page and no redirect.
func (p *Provider) authorize(req Request, lies *Faults) answer {
	q, problem := p.pulled(req.Params())
	if problem == "" {
		q, problem = p.unpacked(q, req.URL.RawQuery)
	}
	if problem == "" {
		problem = p.checkAuthorization(q, req.URL.RawQuery)
	}
	if problem != "" {
		return page(http.StatusBadRequest, problem)
	}
	if lies.Keys.RotateEachLogin {
		p.RotateKeys()
	}
	out := url.Values{}
	if state := q.Get("state"); state != "" {
		out.Set("state", state)
	}
	if p.conf.promiseIss {
		out.Set("iss", p.issuer)
	}
	refusal := lies.Authorization.Error
	p.mu.Lock()
	choose := p.chooser
	p.mu.Unlock()
	name := choose(req.raw)
	if refusal == "" && name == "" {
		if !slices.Contains(strings.Fields(q.Get("prompt")), "none") {
			return page(http.StatusOK, "Sign in")
		}
		refusal = "login_required"
	}
	if refusal != "" {
		out.Set("error", refusal)
		if d := lies.Authorization.Description; d != "" {
			out.Set("error_description", d)
		}
		if u := lies.Authorization.ErrorURI; u != "" {
			out.Set("error_uri", u)
		}
	} else {
		out.Set("code", p.grantCode(p.newGrant(name, q)))
	}
	if lies.Authorization.Params != nil {
		lies.Authorization.Params(out)
	}
	return p.respond(q, out, &lies.Authorization)
}

// newGrant signs the user in, again if prompt or max_age in the request demands
// it.
func (p *Provider) newGrant(name string, q url.Values) *grant {
	now := p.conf.now()
	p.mu.Lock()
	user, authTime := p.users[name], p.since
	p.mu.Unlock()
	maxAge, err := strconv.Atoi(q.Get("max_age"))
	tooOld := err == nil && now.Sub(authTime) >= time.Duration(maxAge)*time.Second
	if tooOld || slices.Contains(strings.Fields(q.Get("prompt")), "login") {
		authTime = now
	}
	g := &grant{
		user: name, subject: user.Subject, clientID: q.Get("client_id"), redirectURI: q.Get("redirect_uri"),
		state: q.Get("state"), nonce: q.Get("nonce"), challenge: q.Get("code_challenge"), jkt: q.Get("dpop_jkt"),
		scopes: strings.Fields(q.Get("scope")), authTime: authTime, codeDies: now.Add(p.conf.codeLife),
	}
	if acr := strings.Fields(q.Get("acr_values")); len(acr) > 0 {
		g.acr = acr[0]
	}
	return g
}

// checkAuthorization checks an authorization request and records violations. It
// returns the one that makes it impossible to answer the request, or "".
func (p *Provider) checkAuthorization(q url.Values, raw string) (stop string) {
	halt := func(row, problem string) {
		p.violate(row, "authorization request: %s", problem)
		stop = problem
	}
	c := p.Client()
	if q.Get("client_id") != c.ID {
		halt("C00c", "wrong client_id")
	}
	if uri := q.Get("redirect_uri"); !slices.Contains(c.RedirectURIs, uri) || strings.Contains(uri, "#") {
		halt("C00d", "redirect_uri "+strconv.Quote(uri)+" is not registered")
	}
	if stop != "" {
		return stop // nowhere to redirect the browser to
	}
	if q.Get("response_type") != "code" {
		halt("C00b", "response_type is not code")
	}
	if !slices.Contains(strings.Split(q.Get("scope"), " "), "openid") {
		halt("C00a", "scope lacks openid")
	}
	if q.Has("request") || q.Has("request_uri") {
		halt("C00e", "a request object was sent")
	}
	// With form_post, it is allowed: it is how to get login_required.
	if q.Get("max_age") == "0" && q.Get("prompt") == "none" && q.Get("response_mode") != "form_post" {
		halt("C00f", "max_age=0 with prompt=none")
	}
	if mode := q.Get("response_mode"); mode != "" && !slices.Contains(p.responseModes(), mode) {
		halt("C00b", "response_mode is not one that is supported")
	}
	if thumbprint, err := base64.RawURLEncoding.DecodeString(q.Get("dpop_jkt")); q.Has("dpop_jkt") && (err != nil || len(thumbprint) != 32 || !p.conf.dpop) {
		halt("DP", "dpop_jkt is no thumbprint, or was not offered")
	}
	p.checkChallenge(q, raw, halt)
	p.checkState(q, raw)
	p.checkClaimsParameter(q)
	for _, name := range []string{"client_secret", "code_verifier", "access_token", "client_assertion"} {
		if q.Has(name) {
			p.violate("I5", "%s is in the authorization request", name)
		}
	}
	return stop
}

// checkChallenge checks the code challenge: S256, and never used before (RFC
// 7636).
func (p *Provider) checkChallenge(q url.Values, raw string, halt func(row, problem string)) {
	if !q.Has("code_challenge") {
		if q.Has("code_challenge_method") {
			halt("C00g", "code_challenge_method without code_challenge")
		} else if p.conf.needPKCE {
			halt("S02", "no code_challenge")
		}
		return
	}
	challenge := q.Get("code_challenge")
	if q.Get("code_challenge_method") != "S256" {
		halt("C00g", "code_challenge_method is not S256")
	}
	if hash, err := base64.RawURLEncoding.DecodeString(challenge); err != nil || len(hash) != 32 {
		halt("C00g", "code_challenge is no SHA-256 in base64url")
	}
	if !p.fresh("challenge", challenge, raw) {
		p.violate("C00g", "code_challenge was used before")
	}
}

// checkState checks state and nonce. 22 characters of base64url hold 128 bits.
func (p *Provider) checkState(q url.Values, raw string) {
	for _, name := range []string{"state", "nonce"} {
		value := q.Get(name)
		p.secret(value)
		switch {
		case value == "":
			p.violate("S01", "no %s", name)
		case len(value) < 22:
			p.violate("S01", "%s has less than 128 bits", name)
		case !p.fresh(name, value, raw):
			p.violate("S01", "%s was used before", name)
		}
	}
	nonce := q.Get("nonce")
	if !unreserved(nonce) || len(nonce) > 43 {
		p.violate("C00h", "nonce has other characters than unreserved ones, or more than 43")
	}
	if nonce != "" && nonce == q.Get("state") {
		p.violate("S01", "state and nonce are the same")
	}
}

// checkClaimsParameter checks the claims parameter (OpenID Connect Core,
// section 5.5).
func (p *Provider) checkClaimsParameter(q url.Values) {
	if !q.Has("claims") {
		return
	}
	var members map[string]map[string]*struct {
		Essential *bool `json:"essential"`
		Value     any   `json:"value"`
		Values    []any `json:"values"`
	}
	if err := json.Unmarshal([]byte(q.Get("claims")), &members); err != nil {
		p.violate("C00l", "claims parameter: %v", err)
	}
	for name := range members {
		if name != "userinfo" && name != "id_token" {
			p.violate("C00l", "claims parameter has the unknown member %q", name)
		}
	}
}
