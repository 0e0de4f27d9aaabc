package provider

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// with sets parameters and deletes those whose new value is empty.
func with(q url.Values, changes ...string) url.Values {
	for i := 0; i < len(changes); i += 2 {
		if q.Del(changes[i]); changes[i+1] != "" {
			q.Set(changes[i], changes[i+1])
		}
	}
	return q
}

// If the client or its redirect URI is not trustworthy, the user gets an error page and no
// redirect.
func TestRequestsWithoutATrustedAddressGetAPage(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	good := wikiRequest().Encode()
	for name, query := range map[string]string{
		"no parameters":                      "",
		"no client":                          with(wikiRequest(), "client_id", "").Encode(),
		"unknown client":                     with(wikiRequest(), "client_id", "unknown").Encode(),
		"two clients":                        good + "&client_id=wiki",
		"no redirect_uri":                    with(wikiRequest(), "redirect_uri", "").Encode(),
		"two redirect_uris":                  good + "&redirect_uri=" + url.QueryEscape(callback),
		"another site":                       with(wikiRequest(), "redirect_uri", "https://evil.example/cb").Encode(),
		"another client's address":           with(wikiRequest(), "redirect_uri", "https://other.example.net/cb").Encode(),
		"a longer path":                      with(wikiRequest(), "redirect_uri", callback+"/x").Encode(),
		"a shorter path":                     with(wikiRequest(), "redirect_uri", strings.TrimSuffix(callback, "k")).Encode(),
		"a slash at the end":                 with(wikiRequest(), "redirect_uri", callback+"/").Encode(),
		"a query":                            with(wikiRequest(), "redirect_uri", callback+"?x=1").Encode(),
		"an empty query":                     with(wikiRequest(), "redirect_uri", callback+"?").Encode(),
		"a fragment":                         with(wikiRequest(), "redirect_uri", callback+"#f").Encode(),
		"an encoded path":                    with(wikiRequest(), "redirect_uri", "https://wiki.example.net/oidc%2Fcallback").Encode(),
		"an encoded letter":                  with(wikiRequest(), "redirect_uri", "https://wiki.example.net/oidc/callbac%6b").Encode(),
		"a decoded query":                    with(wikiRequest(), "redirect_uri", callback+"?tenant=a/b").Encode(),
		"an encoding in another case":        with(wikiRequest(), "redirect_uri", callback+"?tenant=a%2fb").Encode(),
		"dot segments":                       with(wikiRequest(), "redirect_uri", "https://wiki.example.net/x/../oidc/callback").Encode(),
		"a host in upper case":               with(wikiRequest(), "redirect_uri", "https://WIKI.example.net/oidc/callback").Encode(),
		"a scheme in upper case":             with(wikiRequest(), "redirect_uri", "HTTPS://wiki.example.net/oidc/callback").Encode(),
		"a port":                             with(wikiRequest(), "redirect_uri", "https://wiki.example.net:443/oidc/callback").Encode(),
		"a user name":                        with(wikiRequest(), "redirect_uri", "https://wiki.example.net@evil.example/oidc/callback").Encode(),
		"a backslash":                        with(wikiRequest(), "redirect_uri", `https://evil.example\@wiki.example.net/oidc/callback`).Encode(),
		"white space around":                 with(wikiRequest(), "redirect_uri", " "+callback+" ").Encode(),
		"a line break":                       with(wikiRequest(), "redirect_uri", callback+"\r\nSet-Cookie: a=b").Encode(),
		"plain http":                         with(wikiRequest(), "redirect_uri", "http://wiki.example.net/oidc/callback").Encode(),
		"a port of a confidential client":    with(wikiRequest(), "redirect_uri", "http://127.0.0.1:8000/native").Encode(),
		"a loopback name instead of address": with(spaRequest(), "redirect_uri", "http://localhost:8000/native").Encode(),
		"a loopback port with letters":       with(spaRequest(), "redirect_uri", "http://127.0.0.1:80a/native").Encode(),
		"a loopback port with a host":        with(spaRequest(), "redirect_uri", "http://127.0.0.1:80@evil.example/native").Encode(),
		"a loopback port that is too long":   with(spaRequest(), "redirect_uri", "http://127.0.0.1:800000/native").Encode(),
		"another loopback path":              with(spaRequest(), "redirect_uri", "http://127.0.0.1:8000/native/x").Encode(),
		"a semicolon":                        good + ";x=1",
		"a broken escape":                    good + "&x=%zz",
		"too much":                           good + "&x=" + strings.Repeat("x", maxParameters),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := browser{}.visit(n, http.MethodGet, issuer+"/authorize?"+query, "")
			if w.Code != http.StatusBadRequest || w.Header().Get("X-Page") != "error" {
				t.Errorf("expected an error page, seen status %d, headers %v", w.Code, w.Header())
			}
			if got := w.Header().Get("Location"); got != "" {
				t.Errorf("expected no redirect, seen %q", got)
			}
		})
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.wanted) != 0 {
		t.Errorf("expected no sign-in to begin, seen %d", len(n.wanted))
	}
}

// Errors of other requests are returned to the client with the issuer and the state (RFC
// 9207 section 2).
func TestWrongRequestsGoBackToTheClient(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	good := wikiRequest().Encode()
	for name, row := range map[string]struct{ query, code string }{
		"no response_type":           {with(wikiRequest(), "response_type", "").Encode(), "invalid_request"},
		"implicit":                   {with(wikiRequest(), "response_type", "token").Encode(), "unsupported_response_type"},
		"hybrid":                     {with(wikiRequest(), "response_type", "code id_token").Encode(), "unsupported_response_type"},
		"none":                       {with(wikiRequest(), "response_type", "none").Encode(), "unsupported_response_type"},
		"two response_types":         {good + "&response_type=code", "invalid_request"},
		"two nonces":                 {good + "&nonce=n2", "invalid_request"},
		"two unknown parameters":     {good + "&x=1&x=2", "invalid_request"},
		"fragment":                   {with(wikiRequest(), "response_mode", "fragment").Encode(), "invalid_request"},
		"jwt":                        {with(wikiRequest(), "response_mode", "jwt").Encode(), "invalid_request"},
		"request":                    {with(wikiRequest(), "request", "e30.e30.").Encode(), "request_not_supported"},
		"request_uri":                {with(wikiRequest(), "request_uri", "https://evil.example/r").Encode(), "request_uri_not_supported"},
		"request_uri of PAR":         {with(wikiRequest(), "request_uri", "urn:ietf:params:oauth:request_uri:x").Encode(), "request_uri_not_supported"},
		"registration":               {with(wikiRequest(), "registration", "{}").Encode(), "registration_not_supported"},
		"no scope":                   {with(wikiRequest(), "scope", "").Encode(), "invalid_scope"},
		"a scope without openid":     {with(wikiRequest(), "scope", "profile email").Encode(), "invalid_scope"},
		"no challenge":               {with(wikiRequest(), "code_challenge", "").Encode(), "invalid_request"},
		"no challenge and no method": {with(wikiRequest(), "code_challenge", "", "code_challenge_method", "").Encode(), "invalid_request"},
		"no method":                  {with(wikiRequest(), "code_challenge_method", "").Encode(), "invalid_request"},
		"plain":                      {with(wikiRequest(), "code_challenge_method", "plain").Encode(), "invalid_request"},
		"s256 in lower case":         {with(wikiRequest(), "code_challenge_method", "s256").Encode(), "invalid_request"},
		"an unknown method":          {with(wikiRequest(), "code_challenge_method", "S512").Encode(), "invalid_request"},
		"a challenge of 42":          {with(wikiRequest(), "code_challenge", strings.Repeat("a", 42)).Encode(), "invalid_request"},
		"a challenge of 129":         {with(wikiRequest(), "code_challenge", strings.Repeat("a", 129)).Encode(), "invalid_request"},
		"a challenge with +":         {with(wikiRequest(), "code_challenge", strings.Repeat("a", 42)+"+").Encode(), "invalid_request"},
		"a challenge with =":         {with(wikiRequest(), "code_challenge", strings.Repeat("a", 43)+"=").Encode(), "invalid_request"},
		"an unknown prompt":          {with(wikiRequest(), "prompt", "create").Encode(), "invalid_request"},
		"none and login":             {with(wikiRequest(), "prompt", "none login").Encode(), "invalid_request"},
		"a negative max_age":         {with(wikiRequest(), "max_age", "-1").Encode(), "invalid_request"},
		"max_age with letters":       {with(wikiRequest(), "max_age", "5m").Encode(), "invalid_request"},
		"max_age that overflows":     {with(wikiRequest(), "max_age", "99999999999999999999").Encode(), "invalid_request"},
		"claims that are no JSON":    {with(wikiRequest(), "claims", "{").Encode(), "invalid_request"},
		"claims that are a list":     {with(wikiRequest(), "claims", "[]").Encode(), "invalid_request"},
		"claims that are too long":   {with(wikiRequest(), "claims", `{"x":"`+strings.Repeat("x", maxClaims)+`"}`).Encode(), "invalid_request"},
		"a hint that is no token":    {with(wikiRequest(), "id_token_hint", "x").Encode(), "invalid_request"},
		"an unsigned hint":           {with(wikiRequest(), "id_token_hint", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1LWFkYSJ9.").Encode(), "invalid_request"},
		"no user signed in":          {with(wikiRequest(), "prompt", "none").Encode(), "login_required"},
		"another user wanted":        {with(wikiRequest(), "claims", `{"id_token":{"sub":{"value":"u-bob"}}}`).Encode(), "login_required"},
		"optional PKCE of others":    {with(spaRequest(), "code_challenge", "", "code_challenge_method", "").Encode(), "invalid_request"},
		"optional PKCE with plain":   {with(oldRequest(), "code_challenge", verifier, "code_challenge_method", "plain").Encode(), "invalid_request"},
		"optional PKCE, no method":   {with(oldRequest(), "code_challenge", verifier).Encode(), "invalid_request"},
		"optional PKCE, only method": {with(oldRequest(), "code_challenge_method", "S256").Encode(), "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := browser{}
			w := b.visit(n, http.MethodGet, issuer+"/authorize?"+row.query, "")
			values, _ := url.ParseQuery(row.query)
			q := location(t, w, values.Get("redirect_uri"))
			if q.Get("error") != row.code {
				t.Errorf("expected %s, seen %v", row.code, q)
			}
			if q.Get("iss") != issuer || q.Get("state") != "s1" {
				t.Errorf("expected iss and state, seen %v", q)
			}
			if q.Has("code") {
				t.Errorf("expected no code, seen one")
			}
		})
	}
}

// oldRequest returns a request of a client that need not use PKCE.
func oldRequest() url.Values {
	return url.Values{"client_id": {"old"}, "redirect_uri": {"https://old.example.net/cb"}, "response_type": {"code"}, "scope": {"openid profile email groups offline_access"}, "state": {"s1"}}
}

func TestAStateThatIsTwiceIsNotRepeated(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	w := browser{}.visit(n, http.MethodGet, issuer+"/authorize?"+wikiRequest().Encode()+"&state=s2", "")
	q := location(t, w, callback)
	if q.Get("error") != "invalid_request" || q.Has("state") {
		t.Errorf("expected invalid_request without a state, seen %v", q)
	}
}

func TestErrorsGoThroughThePageOfFormPost(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	q := with(wikiRequest(), "response_mode", "form_post", "request", "x")
	w := browser{}.visit(n, http.MethodGet, issuer+"/authorize?"+q.Encode(), "")
	if w.Header().Get("X-Page") != "form_post" || !strings.Contains(w.Body.String(), "request_not_supported") {
		t.Errorf("expected the error by form_post, seen %v %s", w.Header(), w.Body)
	}
}

func TestTheQueryOfARedirectURIStays(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	q := with(wikiRequest(), "redirect_uri", callback+"?tenant=a%2Fb")
	w := browser{}.visit(n, http.MethodGet, issuer+"/authorize?"+q.Encode(), "")
	if got := w.Header().Get("Location"); !strings.HasPrefix(got, callback+"?tenant=a%2Fb&code=") {
		t.Errorf("expected the query of the redirect URI as it is, seen %q", got)
	}
	code := location(t, w, callback).Get("code")
	form := redeemForm(code)
	if got := n.tokens(form, basic("wiki", wikiKey)); got.Error != "invalid_grant" {
		t.Errorf("expected another redirect URI to be refused, seen %+v", got)
	}
	form.Set("redirect_uri", callback+"?tenant=a%2Fb")
	if got := n.tokens(form, basic("wiki", wikiKey)); got.status != http.StatusOK {
		t.Errorf("expected tokens, seen %+v", got)
	}
}

func TestProgramsOnTheUsersMachineListenAtAnyPort(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	q := with(spaRequest(), "redirect_uri", "http://127.0.0.1:49152/native")
	w := browser{}.visit(n, http.MethodGet, issuer+"/authorize?"+q.Encode(), "")
	if location(t, w, "http://127.0.0.1:49152/native?").Get("code") == "" {
		t.Errorf("expected a code, seen %q", w.Header().Get("Location"))
	}
}

// The sign-in receives prompt, max_age, acr_values, login_hint, ui_locales and the
// parameter claims.
func TestASignInLearnsWhatTheRequestWants(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	q := with(wikiRequest(), "prompt", "login consent", "max_age", "300", "acr_values", "urn:x "+sso.ACRMFA, "login_hint", "ada",
		"ui_locales", "de en", "claims", `{"id_token":{"acr":{"essential":true,"values":["`+sso.ACRMFA+`"]},"groups":null,"x":null},"userinfo":{"sub":{"value":"u-ada"}}}`)
	browser{}.visit(n, http.MethodGet, issuer+"/authorize?"+q.Encode(), "")
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.wanted) != 1 {
		t.Fatalf("expected one sign-in, seen %d", len(n.wanted))
	}
	got := *n.wanted[0]
	if !got.Asks("login") || !got.Asks("consent") || got.MaxAge == nil || *got.MaxAge != 5*time.Minute {
		t.Errorf("expected prompt and max_age, seen %+v", got)
	}
	if !slices.Equal(got.ACRValues, []string{sso.ACRMFA}) || !got.ACRRequired {
		t.Errorf("expected the acr of the claims parameter, seen %v, required %v", got.ACRValues, got.ACRRequired)
	}
	if got.LoginHint != "ada" || !slices.Equal(got.UILocales, []string{"de", "en"}) || got.Subject != "u-ada" {
		t.Errorf("expected the hints, seen %+v", got)
	}
	if got.ClientID != "wiki" || got.ClientName != "Wiki" || got.Kind != Kind {
		t.Errorf("expected the client, seen %+v", got)
	}
	if Target(&got) != "https://wiki.example.net" {
		t.Errorf("expected the origin of the redirect URI, seen %q", Target(&got))
	}
}

func TestTheParameterClaimsAddsClaims(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	q := with(wikiRequest(), "scope", "openid", "claims", `{"id_token":{"email":null},"userinfo":{"groups":{"essential":true}}}`)
	got := n.redeemWiki(n.code(browser{}, q))
	_, id := claims(t, got.ID)
	if id["email"] != "ada@example.com" || id["groups"] != nil {
		t.Errorf("expected email alone in the ID token, seen %v", id)
	}
	if body := n.userinfo(got.Access); !strings.Contains(body, `"groups"`) || strings.Contains(body, `"email"`) {
		t.Errorf("expected groups alone in userinfo, seen %s", body)
	}
}

// The scopes of a client limit its claims. Neither the parameter scope nor the parameter
// claims adds more.
func TestScopesOfAClientBoundItsClaims(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	q := with(oldRequest(), "claims", `{"id_token":{"groups":null,"name":null,"email":null}}`)
	form := url.Values{"grant_type": {"authorization_code"}, "code": {n.code(browser{}, q)}, "redirect_uri": {"https://old.example.net/cb"}}
	got := n.tokens(form, basic("old", "old-secret"))
	_, id := claims(t, got.ID)
	if id["groups"] != nil || id["name"] != nil || id["email"] != "ada@example.com" {
		t.Errorf("expected email alone, seen %v", id)
	}
	if got.Scope != "openid email offline_access" {
		t.Errorf("expected the scopes of the client, seen %q", got.Scope)
	}
}

func TestAnIDTokenHintNamesTheUser(t *testing.T) {
	t.Parallel()
	n, b := newNode(t), browser{}
	token := n.redeemWiki(n.code(b, wikiRequest())).ID
	n.clock.add(2 * idTokenLifetime) // expired hints are accepted
	n.code(b, with(wikiRequest(), "id_token_hint", token))
	n.mu.Lock()
	if got := n.wanted[len(n.wanted)-1].Subject; got != "u-ada" {
		t.Errorf("expected the subject of the hint, seen %q", got)
	}
	n.mu.Unlock()
	w := b.visit(n, http.MethodGet, issuer+"/authorize?"+with(spaRequest(), "id_token_hint", token).Encode(), "")
	if q := location(t, w, spaReturn); q.Get("error") != "invalid_request" {
		t.Errorf("expected another client's ID token to be refused, seen %v", q)
	}
}

// Browsers send a form of another site without the cookie. The redirect to the same request
// brings the cookie.
func TestAFormOfAnotherSiteIsRepeated(t *testing.T) {
	t.Parallel()
	n, b := newNode(t), browser{}
	w := browser{}.visit(n, http.MethodPost, issuer+"/authorize", wikiRequest().Encode())
	target := w.Header().Get("Location")
	if w.Code != http.StatusSeeOther || !strings.HasPrefix(target, issuer+"/authorize?") {
		t.Fatalf("expected a redirect to the same request, seen %d %q", w.Code, target)
	}
	if q := location(t, b.visit(n, http.MethodGet, target, ""), callback); q.Get("code") == "" || q.Get("state") != "s1" {
		t.Errorf("expected a code, seen %v", q)
	}
	w = b.visit(n, http.MethodPost, issuer+"/authorize", wikiRequest().Encode())
	if q := location(t, w, callback); q.Get("code") == "" {
		t.Errorf("expected a code for a form with the cookie, seen %v", q)
	}
	w = b.visit(n, http.MethodPost, issuer+"/authorize?"+wikiRequest().Encode(), "")
	if w.Header().Get("X-Page") != "error" {
		t.Errorf("expected parameters in the address of a form not to count, seen %d %v", w.Code, w.Header())
	}
}

// After a sign-in, the redirect URI must still be one of the client.
func TestAnAnswerNeedsTheClientOfNow(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	old := &request.Request{Kind: Kind, ClientID: "wiki", Data: []byte(`{"redirect_uri":"https://gone.example/cb"}`)}
	w := newRecorded()
	n.Finish(w, browser{}.request(http.MethodGet, issuer+"/signin", ""), old, &store.Session{SID: "s"}, ada())
	if w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" {
		t.Errorf("expected a page, seen %d %v", w.Code, w.Header())
	}
	w = newRecorded()
	n.Refuse(w, browser{}.request(http.MethodGet, issuer+"/signin", ""), old, "access_denied", "")
	if w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" {
		t.Errorf("expected a page for an error, too, seen %d %v", w.Code, w.Header())
	}
}

// A session that ended during the sign-in, by a logout in another tab or because the user
// was locked, gets no code.
func TestASessionThatEndedGetsNoCode(t *testing.T) {
	t.Parallel()
	n, b := newNode(t), browser{}
	n.code(b, wikiRequest())
	for name, end := range map[string]func(session *store.Session) error{
		"ended session": func(s *store.Session) error { return n.sso.End(t.Context(), s.SID) },
		"locked user": func(*store.Session) error {
			locked := ada()
			locked.Locked = true
			n.putUser(locked)
			return nil
		},
	} {
		w := newRecorded()
		session, err := n.sso.Start(w, b.request(http.MethodGet, issuer+"/", ""), sso.Authentication{User: ada(), Time: n.clock.Now()})
		if err == nil {
			err = end(session)
		}
		if err != nil {
			t.Fatal(err)
		}
		n.mu.Lock()
		wanted := n.wanted[0]
		n.mu.Unlock()
		w = newRecorded()
		n.Finish(w, b.request(http.MethodGet, issuer+"/signin", ""), wanted, session, ada())
		if q := location(t, w, callback); q.Get("error") != "access_denied" || q.Has("code") {
			t.Errorf("%s: expected access_denied, seen %v", name, q)
		}
		n.putUser(ada())
	}
}
