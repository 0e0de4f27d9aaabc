package provider

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
)

// A refused token request does not consume the code.
func TestRefusedTokenRequestsUseNothingUp(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	code := n.code(browser{}, wikiRequest())
	right := basic("wiki", wikiKey)
	withHeader := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", value) }
	}
	for name, row := range map[string]struct {
		form   url.Values
		change func(*http.Request)
		code   string
		status int
	}{
		"a wrong secret":             {redeemForm(code), basic("wiki", "wrong"), "invalid_client", 401},
		"an empty secret":            {redeemForm(code), basic("wiki", ""), "invalid_client", 401},
		"an unknown client":          {redeemForm(code), basic("unknown", wikiKey), "invalid_client", 401},
		"no client":                  {redeemForm(code), nil, "invalid_client", 401},
		"the id without a secret":    {with(redeemForm(code), "client_id", "wiki"), nil, "invalid_client", 401},
		"a wrong secret in the form": {with(redeemForm(code), "client_id", "wiki", "client_secret", "x"), nil, "invalid_client", 401},
		"a public client's secret":   {with(redeemForm(code), "client_id", "spa", "client_secret", "x"), nil, "invalid_client", 401},
		"an assertion":               {with(redeemForm(code), "client_id", "wiki", "client_assertion", "x"), nil, "invalid_client", 401},
		"a bearer token":             {with(redeemForm(code), "client_id", "spa"), withHeader("Bearer x"), "invalid_client", 401},
		"a header without a colon":   {redeemForm(code), withHeader("Basic d2lraQ=="), "invalid_client", 401},
		"a header without base64":    {redeemForm(code), withHeader("Basic %%%"), "invalid_client", 401},
		"two ways":                   {with(redeemForm(code), "client_secret", wikiKey), right, "invalid_request", 400},
		"two ids":                    {with(redeemForm(code), "client_id", "other"), right, "invalid_request", 400},
		"two headers": {redeemForm(code), func(r *http.Request) {
			right(r)
			r.Header.Add("Authorization", r.Header.Get("Authorization"))
		}, "invalid_request", 400},
		"another client":            {redeemForm(code), basic("other", "other-secret"), "invalid_grant", 400},
		"a public client":           {with(redeemForm(code), "client_id", "spa"), nil, "invalid_grant", 400},
		"another redirect_uri":      {with(redeemForm(code), "redirect_uri", callback+"?tenant=a%2Fb"), right, "invalid_grant", 400},
		"no redirect_uri":           {with(redeemForm(code), "redirect_uri", ""), right, "invalid_grant", 400},
		"another verifier":          {with(redeemForm(code), "code_verifier", strings.Repeat("x", 43)), right, "invalid_grant", 400},
		"no verifier":               {with(redeemForm(code), "code_verifier", ""), right, "invalid_grant", 400},
		"the challenge":             {with(redeemForm(code), "code_verifier", challengeOf(verifier)), right, "invalid_grant", 400},
		"no code":                   {with(redeemForm(code), "code", ""), right, "invalid_request", 400},
		"another code":              {with(redeemForm(code), "code", code+"x"), right, "invalid_grant", 400},
		"no grant_type":             {with(redeemForm(code), "grant_type", ""), right, "invalid_request", 400},
		"an unknown grant_type":     {with(redeemForm(code), "grant_type", "urn:ietf:params:oauth:grant-type:device_code"), right, "unsupported_grant_type", 400},
		"a password":                {with(redeemForm(code), "grant_type", "password"), right, "unsupported_grant_type", 400},
		"an assertion grant":        {with(redeemForm(code), "grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"), right, "unsupported_grant_type", 400},
		"a token exchange":          {with(redeemForm(code), "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), right, "unsupported_grant_type", 400},
		"a code twice":              {url.Values{"grant_type": {"authorization_code"}, "code": {code, code}, "redirect_uri": {callback}, "code_verifier": {verifier}}, right, "invalid_request", 400},
		"an unknown field twice":    {url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}, "x": {"1", "1"}}, right, "invalid_request", 400},
		"the code in the address":   {with(redeemForm(code), "code", ""), func(r *http.Request) { right(r); r.URL.RawQuery = "code=" + code }, "invalid_request", 400},
		"the secret in the address": {redeemForm(code), func(r *http.Request) { r.URL.RawQuery = "client_id=wiki&client_secret=" + wikiKey }, "invalid_request", 400},
		"JSON":                      {redeemForm(code), func(r *http.Request) { right(r); r.Header.Set("Content-Type", "application/json") }, "invalid_request", 400},
		"no content type":           {redeemForm(code), func(r *http.Request) { right(r); r.Header.Del("Content-Type") }, "invalid_request", 400},
		"multipart":                 {redeemForm(code), func(r *http.Request) { right(r); r.Header.Set("Content-Type", "multipart/form-data; boundary=x") }, "invalid_request", 400},
		"a refresh with the code":   {url.Values{"grant_type": {"refresh_token"}, "refresh_token": {code}}, right, "invalid_grant", 400},
		"a revocation of the code":  {url.Values{"grant_type": {"refresh_token"}}, right, "invalid_request", 400},
	} {
		t.Run(name, func(t *testing.T) {
			change := row.change
			if change == nil {
				change = func(*http.Request) {}
			}
			got := n.tokens(row.form, change)
			if got.status != row.status || got.Error != row.code {
				t.Errorf("expected %d %s, seen %d %s", row.status, row.code, got.status, got.Error)
			}
			if challenge := got.header.Get("WWW-Authenticate"); (row.status == 401) != strings.HasPrefix(challenge, "Basic ") {
				t.Errorf("expected a challenge with 401 alone, seen %q", challenge)
			}
		})
	}
	if got := n.redeemWiki(code); got.status != http.StatusOK {
		t.Errorf("expected the code to be good still, seen %+v", got)
	}
	if strings.Contains(n.log.String(), code) || strings.Contains(n.log.String(), wikiKey) {
		t.Errorf("expected no code and no secret in the log")
	}
}

func TestClientsAuthenticateInEitherWay(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	for name, change := range map[string]func(url.Values) func(*http.Request){
		"client_secret_basic": func(url.Values) func(*http.Request) { return basic("wiki", wikiKey) },
		"client_secret_basic with the id in the form": func(form url.Values) func(*http.Request) {
			form.Set("client_id", "wiki")
			return basic("wiki", wikiKey)
		},
		"client_secret_basic, encoded": func(url.Values) func(*http.Request) {
			return basic("wiki", strings.ReplaceAll(url.QueryEscape(wikiKey), "-", "%2D"))
		},
		"client_secret_post": func(form url.Values) func(*http.Request) {
			form.Set("client_id", "wiki")
			form.Set("client_secret", wikiKey)
			return func(*http.Request) {}
		},
	} {
		form := redeemForm(n.code(browser{}, wikiRequest()))
		if got := n.tokens(form, change(form)); got.status != http.StatusOK {
			t.Errorf("%s: expected tokens, seen %+v", name, got)
		}
	}
}

func TestCodesLiveForAMinute(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	code := n.code(browser{}, wikiRequest())
	n.clock.add(codeLifetime - time.Second)
	late := n.code(browser{}, wikiRequest())
	if got := n.redeemWiki(code); got.status != http.StatusOK {
		t.Errorf("expected tokens within a minute, seen %+v", got)
	}
	n.clock.add(codeLifetime)
	if got := n.redeemWiki(late); got.Error != "invalid_grant" {
		t.Errorf("expected the code to be over, seen %+v", got)
	}
}

// If a code is redeemed several times at once, at two nodes, only one request succeeds.
func TestOneOfManyRedemptionsWins(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	nodes := []*node{n, nodeOn(t, n.db, n.clock)}
	code := n.code(browser{}, wikiRequest())
	var all sync.WaitGroup
	got := make([]tokenResponse, 20)
	for i := range got {
		all.Go(func() { got[i] = nodes[i%2].redeemWiki(code) })
	}
	all.Wait()
	var won []tokenResponse
	for _, one := range got {
		switch {
		case one.status == http.StatusOK:
			won = append(won, one)
		case one.Error != "invalid_grant":
			t.Errorf("expected invalid_grant for those that lose, seen %+v", one)
		}
	}
	if len(won) != 1 {
		t.Fatalf("expected one to win, seen %d", len(won))
	}
	// The others were concurrent retries with the same client and verifier, so they revoke
	// nothing.
	if status := n.userinfoStatus(won[0].Access); status != http.StatusOK {
		t.Errorf("expected the tokens of the one that won to stay valid, seen %d", status)
	}
}

func TestACodeThatComesAgainEndsWhatItGave(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		after  time.Duration
		change func(form url.Values)
		auth   func(*http.Request)
		valid  bool
	}{
		"a retry at once":                  {0, func(url.Values) {}, basic("wiki", wikiKey), true},
		"a retry after five seconds":       {retryWindow, func(url.Values) {}, basic("wiki", wikiKey), true},
		"later":                            {retryWindow + time.Second, func(url.Values) {}, basic("wiki", wikiKey), false},
		"long after the code was over":     {time.Hour / 2, func(url.Values) {}, basic("wiki", wikiKey), false},
		"at once with another verifier":    {0, func(form url.Values) { form.Set("code_verifier", strings.Repeat("x", 43)) }, basic("wiki", wikiKey), false},
		"at once without a verifier":       {0, func(form url.Values) { form.Del("code_verifier") }, basic("wiki", wikiKey), false},
		"later by another client":          {time.Minute, func(url.Values) {}, basic("other", "other-secret"), true},
		"later with a wrong secret":        {time.Minute, func(url.Values) {}, basic("wiki", "wrong"), true},
		"later without any authentication": {time.Minute, func(form url.Values) { form.Set("client_id", "wiki") }, func(*http.Request) {}, true},
		"later by a public client":         {time.Minute, func(form url.Values) { form.Set("client_id", "spa") }, func(*http.Request) {}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			code := n.code(browser{}, wikiRequest())
			first := n.redeemWiki(code)
			n.clock.add(row.after)
			form := redeemForm(code)
			row.change(form)
			if got := n.tokens(form, row.auth); got.status == http.StatusOK {
				t.Fatalf("expected the second use to be refused, seen %+v", got)
			}
			if got := n.userinfoStatus(first.Access) == http.StatusOK; got != row.valid {
				t.Errorf("expected the access token to be valid: %v, seen %v", row.valid, got)
			}
			refreshed := n.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first.Refresh}}, basic("wiki", wikiKey))
			if got := refreshed.status == http.StatusOK; got != row.valid {
				t.Errorf("expected the refresh token to be valid: %v, seen %v", row.valid, got)
			}
		})
	}
}

func TestRefreshTokensOfPublicClientsRotate(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	first := n.redeemSPA(n.code(browser{}, spaRequest()))
	n.clock.add(time.Hour)
	second := n.refreshSPA(first.Refresh)
	if second.status != http.StatusOK || second.Refresh == "" || second.Refresh == first.Refresh {
		t.Fatalf("expected another refresh token, seen %+v", second)
	}
	_, before := claims(t, first.ID)
	_, after := claims(t, second.ID)
	if after["auth_time"] != before["auth_time"] || after["sid"] != before["sid"] || after["sub"] != before["sub"] {
		t.Errorf("expected the same user, session and auth_time, seen %v and %v", before, after)
	}
	if after["iat"] != before["iat"].(float64)+3600 || after["nonce"] != nil {
		t.Errorf("expected a fresh ID token without a nonce, seen %v", after)
	}
	third := n.refreshSPA(second.Refresh)
	if third.status != http.StatusOK {
		t.Fatalf("expected the second token to be good, seen %+v", third)
	}
	// Reusing the first token ends the whole family.
	if got := n.refreshSPA(first.Refresh); got.Error != "invalid_grant" {
		t.Errorf("expected the first token to be refused, seen %+v", got)
	}
	if got := n.refreshSPA(third.Refresh); got.Error != "invalid_grant" {
		t.Errorf("expected the last token to be revoked, seen %+v", got)
	}
	if status := n.userinfoStatus(third.Access); status != http.StatusUnauthorized {
		t.Errorf("expected the access token to be revoked, seen %d", status)
	}
}

func TestOneOfManyRefreshesWins(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	nodes := []*node{n, nodeOn(t, n.db, n.clock)}
	first := n.redeemSPA(n.code(browser{}, spaRequest()))
	// The requests either read the grant before one of them writes, or come later and are a
	// reuse. In no case do two of them get valid tokens.
	var all sync.WaitGroup
	got := make([]tokenResponse, 20)
	for i := range got {
		all.Go(func() { got[i] = nodes[i%2].refreshSPA(first.Refresh) })
	}
	all.Wait()
	won := 0
	for _, one := range got {
		if one.status == http.StatusOK {
			won++
		}
	}
	if won != 1 {
		t.Errorf("expected one to win, seen %d", won)
	}
}

func TestConfidentialClientsRotateIfTheyWant(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	wiki := n.redeemWiki(n.code(browser{}, wikiRequest()))
	for range 2 {
		got := n.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {wiki.Refresh}}, basic("wiki", wikiKey))
		if got.status != http.StatusOK || got.Refresh != wiki.Refresh {
			t.Fatalf("expected the same refresh token, seen %+v", got)
		}
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {n.code(browser{}, oldRequest())}, "redirect_uri": {"https://old.example.net/cb"}}
	old := n.tokens(form, basic("old", "old-secret"))
	got := n.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {old.Refresh}}, basic("old", "old-secret"))
	if got.status != http.StatusOK || got.Refresh == old.Refresh {
		t.Errorf("expected another refresh token, seen %+v", got)
	}
}

func TestRefusedRefreshes(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	spa := n.redeemSPA(n.code(browser{}, spaRequest()))
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {spa.Refresh}, "client_id": {"spa"}}
	for name, row := range map[string]struct {
		form url.Values
		auth func(*http.Request)
		code string
	}{
		"another client":     {with(cloneValues(form), "client_id", ""), basic("wiki", wikiKey), "invalid_grant"},
		"a wider scope":      {with(cloneValues(form), "scope", "openid admin"), func(*http.Request) {}, "invalid_scope"},
		"an unknown token":   {with(cloneValues(form), "refresh_token", "x"), func(*http.Request) {}, "invalid_grant"},
		"an access token":    {with(cloneValues(form), "refresh_token", spa.Access), func(*http.Request) {}, "invalid_grant"},
		"no token":           {with(cloneValues(form), "refresh_token", ""), func(*http.Request) {}, "invalid_request"},
		"a confidential one": {with(cloneValues(form), "client_id", "wiki"), func(*http.Request) {}, "invalid_client"},
	} {
		if got := n.tokens(row.form, row.auth); got.Error != row.code {
			t.Errorf("%s: expected %s, seen %+v", name, row.code, got)
		}
	}
	narrow := n.tokens(with(cloneValues(form), "scope", "openid email"))
	if narrow.status != http.StatusOK || narrow.Scope != "openid email" {
		t.Errorf("expected the token to be good still, with fewer scopes, seen %+v", narrow)
	}
	n.clock.add(refreshLifetime)
	if got := n.refreshSPA(narrow.Refresh); got.Error != "invalid_grant" {
		t.Errorf("expected the token to be over, seen %+v", got)
	}
}

func cloneValues(v url.Values) url.Values {
	clone := make(url.Values, len(v))
	for name, all := range v {
		clone[name] = all
	}
	return clone
}

// Tokens become invalid when the user is locked, removed or signed out everywhere.
func TestTokensEndWithTheUser(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(n *node) error{
		"a locked user": func(n *node) error {
			locked := ada()
			locked.Locked = true
			n.putUser(locked)
			return nil
		},
		"a removed user": func(n *node) error {
			removed := ada()
			removed.Removed = n.clock.Now()
			n.putUser(removed)
			return nil
		},
		"all sessions ended": func(n *node) error { return n.sso.EndAll(n.t.Context(), "u-ada", "") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t)
			b := browser{}
			got, code := n.redeemSPA(n.code(b, spaRequest())), n.code(b, wikiRequest())
			if err := end(n); err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, issuer+"/userinfo", nil)
			r.Header.Set("Authorization", "Bearer "+got.Access)
			w := n.serve(r)
			if w.Code != http.StatusUnauthorized || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), `Bearer realm="userinfo", error="invalid_token"`) {
				t.Errorf("expected userinfo to answer 401 with a challenge, seen %d %v", w.Code, w.Header())
			}
			if refreshed := n.refreshSPA(got.Refresh); refreshed.Error != "invalid_grant" {
				t.Errorf("expected no refresh, seen %+v", refreshed)
			}
			if redeemed := n.redeemWiki(code); redeemed.Error != "invalid_grant" {
				t.Errorf("expected no tokens for a code from before, seen %+v", redeemed)
			}
		})
	}
}

// Refresh tokens of brokered users end with the session, because only the external provider
// knows whether the user still has access.
func TestRefreshTokensOfBrokeredUsersEndWithTheSession(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		external string
		valid    bool
	}{
		"a brokered user": {"partners", false},
		"a local user":    {"", true},
	} {
		n := newNode(t)
		n.authenticate = func(*request.Request) sso.Authentication {
			return sso.Authentication{User: ada(), Time: n.clock.Now(), ACR: sso.ACRExternal, External: row.external, Expires: n.clock.Now().Add(2 * time.Hour)}
		}
		got := n.redeemSPA(n.code(browser{}, spaRequest()))
		n.clock.add(time.Hour)
		if got = n.refreshSPA(got.Refresh); got.status != http.StatusOK {
			t.Errorf("%s: expected a refresh within the session, seen %+v", name, got)
		}
		n.clock.add(time.Hour)
		if refreshed := n.refreshSPA(got.Refresh); (refreshed.status == http.StatusOK) != row.valid {
			t.Errorf("%s: expected a refresh after the session: %v, seen %+v", name, row.valid, refreshed)
		}
	}
}

func TestRevocation(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	wiki := n.redeemWiki(n.code(browser{}, wikiRequest()))
	revoke := func(token string, auth func(*http.Request)) int {
		return n.post("/revoke", url.Values{"token": {token}}, auth).Code
	}
	if status := revoke(wiki.Access, basic("other", "other-secret")); status != http.StatusOK {
		t.Errorf("expected another client to learn nothing, seen %d", status)
	}
	if status := revoke(wiki.Refresh, basic("other", "other-secret")); status != http.StatusOK {
		t.Errorf("expected another client to learn nothing, seen %d", status)
	}
	if status := revoke(wiki.Refresh, basic("wiki", "wrong")); status != http.StatusUnauthorized {
		t.Errorf("expected a wrong secret to be refused, seen %d", status)
	}
	if status := n.post("/revoke?token="+wiki.Access, url.Values{}, basic("wiki", wikiKey)).Code; status != http.StatusBadRequest {
		t.Errorf("expected a token in the address to be refused, seen %d", status)
	}
	if status := n.userinfoStatus(wiki.Access); status != http.StatusOK {
		t.Fatalf("expected the token to be valid still, seen %d", status)
	}
	if status := revoke(wiki.Access, basic("wiki", wikiKey)); status != http.StatusOK {
		t.Errorf("expected a revocation, seen %d", status)
	}
	if status := n.userinfoStatus(wiki.Access); status != http.StatusUnauthorized {
		t.Errorf("expected the token to be revoked, seen %d", status)
	}
	again := n.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {wiki.Refresh}}, basic("wiki", wikiKey))
	if again.status != http.StatusOK {
		t.Errorf("expected the refresh token to be valid still, seen %+v", again)
	}
	revoke(wiki.Refresh, basic("wiki", wikiKey))
	if status := n.userinfoStatus(again.Access); status != http.StatusUnauthorized {
		t.Errorf("expected the refresh token to take its access tokens along, seen %d", status)
	}
	if status := revoke("unknown", basic("wiki", wikiKey)); status != http.StatusOK {
		t.Errorf("expected an unknown token to be no error, seen %d", status)
	}
}

// A family of refresh tokens remembers a limited number of old ones. Reusing one of these
// ends the family; older ones are unknown, and their use changes nothing.
func TestALongFamilyIsBounded(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	all := []string{n.redeemSPA(n.code(browser{}, spaRequest())).Refresh}
	for range maxRetired + 8 {
		got := n.refreshSPA(all[len(all)-1])
		if got.status != http.StatusOK {
			t.Fatalf("expected a refresh, seen %+v", got)
		}
		all = append(all, got.Refresh)
	}
	if got := n.refreshSPA(all[0]); got.Error != "invalid_grant" {
		t.Errorf("expected an old token to be refused, seen %+v", got)
	}
	last := n.refreshSPA(all[len(all)-1])
	if last.status != http.StatusOK {
		t.Fatalf("expected the family to be valid still, seen %+v", last)
	}
	n.refreshSPA(all[len(all)-10])
	if got := n.refreshSPA(last.Refresh); got.Error != "invalid_grant" {
		t.Errorf("expected the reuse of a recent token to end the family, seen %+v", got)
	}
}
