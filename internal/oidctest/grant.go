package oidctest

import (
	"crypto/rand"
	"slices"
	"time"
)

// grant is what one sign-in allowed, and all that its tokens are made from.
type grant struct {
	user        string // a name in Provider.users
	subject     string // as it was then
	clientID    string
	redirectURI string
	state       string
	nonce       string
	challenge   string
	jkt         string // the thumbprint of the key that its tokens are bound to
	acr         string
	sid         string
	scopes      []string
	authTime    time.Time
	codeDies    time.Time
	code        string
	spent       bool // the code was traded, or tried to be
}

func (g *grant) has(scope string) bool { return slices.Contains(g.scopes, scope) }

// grants finds one by what was issued for it. Provider.mu guards it.
type grants struct {
	codes, access, refresh map[string]*grant
	bound                  map[string]string // access tokens, and the key of each
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

// Issued is what the provider gave out last.
type Issued struct {
	Code, AccessToken, RefreshToken, IDToken string
	State, Nonce, Subject, SID               string
}

// Issued is what the latest login, or refresh, got.
func (p *Provider) Issued() Issued {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.grants.latest
}

// token68 makes a value with the characters that a careless client forgets to
// escape; all of them are allowed (RFC 6749 appendix A). The canary is in the
// middle, where escaping does not change it.
func (p *Provider) token68(prefix, suffix string) string {
	middle := rand.Text()
	p.secret(middle)
	return prefix + middle + suffix
}

// grantCode keeps a grant until its code comes.
func (p *Provider) grantCode(g *grant) string {
	g.code = p.token68("4/", "+a==")
	g.sid = rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grants.codes[g.code] = g
	p.grants.latest = Issued{Code: g.code, State: g.state, Nonce: g.nonce, Subject: g.subject, SID: g.sid}
	return g.code
}

// spendCode finds the grant of a code, which works once: first reports whether
// this is that time (RFC 6749 section 4.1.2).
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

// accessToken issues one for userinfo, which is bound to a key if jkt names one.
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

// spendRefresh ends a refresh token, which works once.
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

// EndGrants makes all refresh and access tokens so far worthless: a refresh is
// answered invalid_grant (X08), userinfo 401.
func (p *Provider) EndGrants() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.grants.refresh)
	clear(p.grants.access)
}
