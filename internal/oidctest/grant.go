package oidctest

import (
	"crypto/rand"
	"slices"
	"time"
)

// grant is the result of one sign-in. Tokens are made from it.
type grant struct {
	user        string // key in Provider.users
	subject     string // at the time of the sign-in
	clientID    string
	redirectURI string
	state       string
	nonce       string
	challenge   string
	jkt         string // thumbprint of the key that the tokens are bound to
	acr         string
	sid         string
	scopes      []string
	authTime    time.Time
	codeDies    time.Time
	code        string
	spent       bool // the code has been redeemed, successfully or not
}

func (g *grant) has(scope string) bool { return slices.Contains(g.scopes, scope) }

// grants finds grants by their codes and tokens. Provider.mu guards it.
type grants struct {
	codes, access, refresh map[string]*grant
	bound                  map[string]string // access token to thumbprint of its key
	spentRefresh           map[string]bool
	idTokens               map[string]bool
	latest                 Issued
}

func newGrants() grants {
	return grants{
		codes: map[string]*grant{}, bound: map[string]string{}, access: map[string]*grant{}, refresh: map[string]*grant{},
		spentRefresh: map[string]bool{}, idTokens: map[string]bool{},
	}
}

// Issued has what the provider issued last.
type Issued struct {
	Code, AccessToken, RefreshToken, IDToken string
	State, Nonce, Subject, SID               string
}

// Issued returns what the latest login or refresh got.
func (p *Provider) Issued() Issued {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.grants.latest
}

// token68 returns a random value. prefix and suffix have allowed characters
// that a careless client forgets to escape (RFC 6749, appendix A). The random
// part in the middle is the canary, because escaping does not change it.
func (p *Provider) token68(prefix, suffix string) string {
	middle := rand.Text()
	p.secret(middle)
	return prefix + middle + suffix
}

// grantCode issues a code for a grant and stores the grant.
func (p *Provider) grantCode(g *grant) string {
	g.code = p.token68("4/", "+a==")
	g.sid = rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grants.codes[g.code] = g
	p.grants.latest = Issued{Code: g.code, State: g.state, Nonce: g.nonce, Subject: g.subject, SID: g.sid}
	return g.code
}

// spendCode returns the grant of a code, or nil. first reports whether the code
// is used for the first time; it must not be used again (RFC 6749, section
// 4.1.2).
func (p *Provider) spendCode(code string) (g *grant, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g = p.grants.codes[code]
	if g == nil {
		return nil, false
	}
	first = !g.spent
	g.spent = true
	if p.conf.unrecorded {
		delete(p.grants.codes, code)
	}
	return g, first
}

// accessToken issues an access token for the userinfo endpoint. It is bound to a
// key if jkt is not empty.
func (p *Provider) accessToken(g *grant, jkt string) string {
	token := p.token68("at-", "~.+/=")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grants.access[token] = g
	if jkt != "" {
		p.grants.bound[token] = jkt
	}
	p.grants.latest.AccessToken = token
	return token
}

func (p *Provider) refreshToken(g *grant) string {
	token := p.token68("rt/", "+%25")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grants.refresh[token] = g
	p.grants.latest.RefreshToken = token
	return token
}

// spendRefresh invalidates a refresh token, which can be used only once. It
// returns false if the token is not valid.
func (p *Provider) spendRefresh(token string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.grants.refresh[token] == nil {
		return false
	}
	delete(p.grants.refresh, token)
	if !p.conf.unrecorded {
		p.grants.spentRefresh[token] = true
	}
	return true
}

// EndGrants invalidates all refresh and access tokens issued so far: refreshes
// get invalid_grant, and userinfo requests get 401.
func (p *Provider) EndGrants() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.grants.refresh)
	clear(p.grants.access)
}
