package broker

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/opconfig"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
)

// oidcConfig returns an external provider that is a scripted one.
func oidcConfig(id string, p *oidctest.Provider, change func(*Config)) Config {
	client := p.Client()
	c := Config{
		ID: id, Create: true, Domains: []string{"example.com"}, Groups: []string{"staff"},
		OIDC: &opconfig.Options{Issuer: p.Issuer(), ClientID: client.ID, ClientSecret: client.Secret},
	}
	if client.Auth == "client_secret_post" {
		c.OIDC.ClientAuth = client.Auth
	}
	if change != nil {
		change(&c)
	}
	return c
}

// oidcSite returns a site whose external provider "corp" is a scripted one.
func oidcSite(t *testing.T, p *oidctest.Provider, change func(*Config)) *site {
	t.Helper()
	return newSite(t, func(issuer string) []Config {
		p.Register(issuer + "/external/corp/callback")
		return []Config{oidcConfig("corp", p, change)}
	})
}

func TestAnExternalOpenIDProviderSignsAUserIn(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t)
	s := oidcSite(t, p, nil)
	s.hint = "alice@example.com"
	s.login("corp")
	answer := s.signIn.lastAnswer()
	if answer == nil {
		t.Fatalf("expected an answer, seen %s: %s", s.signIn.lastFailure(), s.signIn.lastCause())
	}
	if answer.Outcome != Created {
		t.Errorf("expected a new account, seen %s", answer.Outcome)
	}
	if seen := answer.User.Name; seen != "corp/alice" {
		t.Errorf("expected the name corp/alice, seen %s", seen)
	}
	a := answer.Assertion
	if seen := []string{a.Issuer, a.Subject, a.Claims.Email, a.ACR}; !slices.Equal(seen, []string{p.Issuer(), "u-1001", "alice@example.com", sso.ACRExternal}) {
		t.Errorf("expected the provider's word, seen %q", seen)
	}
	if !slices.Equal(a.AMR, []string{"fed"}) {
		t.Errorf("expected amr fed, seen %q", a.AMR)
	}
	if !slices.Equal(a.Claims.Groups, []string{"staff"}) {
		t.Errorf("expected the group that is mapped, seen %q", a.Claims.Groups)
	}
	if seen := s.signIn.requests[0]; seen != "request-1" {
		t.Errorf("expected the request to go on, seen %q", seen)
	}
	s.login("corp")
	if seen := s.signIn.lastAnswer().Outcome; seen != Linked {
		t.Errorf("expected the same account at the second login, seen %s", seen)
	}
}

// An address is ignored if the provider has not verified it, or if it is not in the
// provider's domains.
func TestTheAddressOfAnExternalProviderCountsInItsDomainsAlone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		user   string
		change func(*Config)
		want   string
	}{
		"A verified address in its domains": {"alice", nil, "alice@example.com"},
		"An address that is not verified":   {"bob", nil, ""},
		"An address of another domain":      {"alice", func(c *Config) { c.Domains = []string{"example.net"} }, ""},
		"No domains":                        {"alice", func(c *Config) { c.Domains = nil }, ""},
		"A domain that ends alike":          {"alice", func(c *Config) { c.Domains = []string{"ple.com"} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := oidctest.New(t)
			p.SignIn(tc.user)
			s := oidcSite(t, p, tc.change)
			s.login("corp")
			answer := s.signIn.lastAnswer()
			if answer == nil {
				t.Fatalf("expected an answer, seen %s", s.signIn.lastCause())
			}
			if seen := answer.User.Email; seen != tc.want {
				t.Errorf("expected the address %q, seen %q", tc.want, seen)
			}
		})
	}
}

// The rows are those of the relying party's own logins, because the code is the same.
func TestLiesOfAnExternalOpenIDProvider(t *testing.T) {
	t.Parallel()
	for _, row := range oidctest.Rows() {
		if row.Stage == oidctest.AtDiscovery || strings.HasPrefix(row.ID, "X") {
			continue // hostile servers take minutes; the tests of the shared code cover them
		}
		t.Run(row.String(), func(t *testing.T) {
			t.Parallel()
			p := oidctest.New(t, append(row.Options, oidctest.Lenient())...)
			p.Tell(row)
			s := oidcSite(t, p, nil)
			s.login("corp")
			answer := s.signIn.lastAnswer()
			vouchedFor := row.Name == "aud names somebody else as well, azp us" // accepted, as by the relying party
			if row.Want == oidctest.Refuse && answer != nil && !vouchedFor {
				t.Error("expected no user, seen one")
			}
			if row.Want == oidctest.Accept && answer == nil {
				t.Errorf("expected a user, seen %s", s.signIn.lastCause())
			}
			if answer != nil && answer.Assertion.Subject != "u-1001" {
				t.Errorf("expected the user who signed in, seen %q", answer.Assertion.Subject)
			}
		})
	}
}

// stop begins a login and returns the address to which the browser would return.
func (s *site) stop(id string) *url.URL {
	s.t.Helper()
	var back *url.URL
	client := *s.browser
	client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if strings.HasPrefix(r.URL.String(), s.server.URL+"/external/") {
			back = r.URL
			return http.ErrUseLastResponse
		}
		return nil
	}
	s.get(&client, s.server.URL+"/begin/"+id)
	if back == nil {
		s.t.Fatal("expected to be sent back")
	}
	return back
}

func TestALoginBelongsToItsBrowserAndItsProvider(t *testing.T) {
	t.Parallel()
	corp, other := oidctest.New(t), oidctest.New(t, oidctest.Lenient())
	s := newSite(t, func(issuer string) []Config {
		corp.Register(issuer + "/external/corp/callback")
		other.Register(issuer + "/external/other/callback")
		return []Config{oidcConfig("corp", corp, nil), oidcConfig("other", other, func(c *Config) { c.Domains = nil })}
	})
	back := s.stop("corp")
	expect := func(name string, want FailureKind) {
		t.Helper()
		if seen := s.signIn.lastFailure(); seen != want {
			t.Errorf("%s: expected %q, seen %q", name, want, seen)
		}
		if answer := s.signIn.lastAnswer(); answer != nil {
			t.Errorf("%s: expected no answer, seen %s", name, answer.Outcome)
		}
	}
	s.get(newBrowser(t), back.String())
	expect("another browser", Stale)
	planted, cookies := newBrowser(t), s.browser.Jar.Cookies(back)
	s.plant(planted, back, cookies, "planted")
	s.get(planted, back.String())
	expect("another browser with a cookie of that name", Stale)
	if len(cookies) == 0 || corp.Hits(oidctest.Token) != 0 {
		t.Errorf("expected the provider not to be asked, seen %d requests, with %d cookies", corp.Hits(oidctest.Token), len(cookies))
	}
	mixed := *back
	mixed.Path = "/external/other/callback"
	s.get(s.browser, mixed.String())
	expect("the state of one provider at the callback of another", Invalid)
	if hits := other.Hits(oidctest.Token); hits != 0 {
		t.Errorf("expected the other provider not to be asked, seen %d requests", hits)
	}
	wrong := *back
	query := wrong.Query()
	query.Set("iss", other.Issuer())
	wrong.RawQuery = query.Encode()
	s.get(s.browser, wrong.String())
	expect("an answer of another issuer", Invalid)
	s.get(s.browser, back.String())
	expect("an answer that was refused once", Stale)
}

func TestAnAnswerCountsOnce(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t)
	s := oidcSite(t, p, nil)
	back := s.stop("corp")
	cookies := s.browser.Jar.Cookies(back)
	for range 2 {
		s.get(s.browser, back.String())
		s.browser.Jar.SetCookies(back, cookies) // like a browser that keeps deleted cookies
	}
	if seen := p.Hits(oidctest.Token); seen != 1 {
		t.Errorf("expected the provider to be asked once, seen %d requests", seen)
	}
	if seen := len(s.signIn.answers); seen != 1 {
		t.Errorf("expected one answer, seen %d", seen)
	}
	if seen := s.signIn.lastFailure(); seen != Stale {
		t.Errorf("expected the second to be refused, seen %q", seen)
	}
}

func TestLoginsThatDoNotBeginOrEnd(t *testing.T) {
	t.Parallel()
	s := oidcSite(t, oidctest.New(t), nil)
	s.request = &request.Request{Prompt: []string{"none"}}
	s.login("corp")
	if seen := s.signIn.lastFailure(); seen != Unproved {
		t.Errorf("prompt=none: expected %s, seen %q", Unproved, seen)
	}
	s.request = &request.Request{}
	back := s.stop("corp")
	for _, query := range []string{back.RawQuery + "&state=x", "code=x", ""} {
		s.get(s.browser, s.server.URL+back.Path+"?"+query)
		if seen := s.signIn.lastCause(); seen != "there is not exactly one state" {
			t.Errorf("%s: expected that there is not one state, seen %s", query, seen)
		}
	}
	now := time.Now()
	a := &Assertion{AuthTime: now.Add(30 * time.Second)}
	if a.fill(&Config{ID: "corp"}, nil, now); !a.AuthTime.Equal(now) {
		t.Errorf("a clock that is fast: expected a sign-in now, seen %v", a.AuthTime)
	}
}

func TestALoginEnds(t *testing.T) {
	t.Parallel()
	s := oidcSite(t, oidctest.New(t), nil)
	back := s.stop("corp")
	s.now = func() time.Time { return time.Now().Add(loginLasts + time.Second) }
	s.get(s.browser, back.String())
	if seen := s.signIn.lastFailure(); seen != Stale {
		t.Errorf("expected the login to be over, seen %q", seen)
	}
}

// The database row of a login does not contain the values that are needed to use its
// answer.
func TestTheDatabaseHoldsNoSecretOfALogin(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t)
	s := oidcSite(t, p, nil)
	back := s.stop("corp")
	issued := p.Issued()
	for name, secret := range map[string]string{"nonce": issued.Nonce, "state": issued.State, "code": back.Query().Get("code")} {
		if s.store.contains(secret) {
			t.Errorf("expected no %s in the database, seen one", name)
		}
	}
	if !s.store.contains("request-1") {
		t.Error("expected the row of the login, seen none")
	}
	for _, cookie := range s.browser.Jar.Cookies(back) {
		if strings.Contains(cookie.Name, issued.State) {
			t.Errorf("expected a name without the state, seen %s", cookie.Name)
		}
	}
}

func TestWhatARequestDemandsOfAnExternalOpenIDProvider(t *testing.T) {
	t.Parallel()
	minute, zero := 5*time.Minute, time.Duration(0)
	old := func(l *oidctest.Faults) {
		l.IDToken.Claims = func(c map[string]any) { c["auth_time"] = time.Now().Add(-time.Hour).Unix() }
	}
	none := func(l *oidctest.Faults) { l.IDToken.Claims = func(c map[string]any) { delete(c, "auth_time") } }
	mapped := func(c *Config) { c.ACR = map[string]string{"gold": MFA} }
	for name, tc := range map[string]struct {
		request *request.Request
		config  func(*Config)
		lie     func(*oidctest.Faults)
		want    FailureKind // empty if the user is signed in
		sent    url.Values
		acr     string
	}{
		"max_age goes on":                      {&request.Request{MaxAge: &minute}, nil, nil, "", url.Values{"max_age": {"300"}}, sso.ACRExternal},
		"prompt=login goes on":                 {&request.Request{Prompt: []string{"login"}}, nil, nil, "", url.Values{"prompt": {"login"}, "max_age": {"0"}}, sso.ACRExternal},
		"max_age 0 asks to sign in":            {&request.Request{MaxAge: &zero}, nil, nil, "", url.Values{"prompt": {"login"}, "max_age": {"0"}}, sso.ACRExternal},
		"select_account goes on":               {&request.Request{Prompt: []string{"select_account"}}, nil, nil, "", url.Values{"prompt": {"select_account"}}, sso.ACRExternal},
		"ui_locales go on":                     {&request.Request{UILocales: []string{"de", "en"}}, nil, nil, "", url.Values{"ui_locales": {"de en"}}, sso.ACRExternal},
		"An old sign-in is refused":            {&request.Request{MaxAge: &minute}, nil, old, Unproved, nil, ""},
		"An old sign-in is no new one":         {&request.Request{Prompt: []string{"login"}}, nil, old, Unproved, nil, ""},
		"An unknown time is refused":           {&request.Request{MaxAge: &minute}, nil, none, Unproved, nil, ""},
		"An old sign-in will do if none asks":  {&request.Request{}, nil, old, "", nil, sso.ACRExternal},
		"Our acr goes on as theirs":            {&request.Request{ACRValues: []string{sso.ACRMFA}}, mapped, nil, "", url.Values{"acr_values": {"gold"}}, sso.ACRMFA},
		"Our acr means nothing without a map":  {&request.Request{ACRValues: []string{sso.ACRMFA}}, nil, nil, "", url.Values{"acr_values": nil}, sso.ACRExternal},
		"Other values go on and count nothing": {&request.Request{ACRValues: []string{"phr"}}, mapped, nil, "", url.Values{"acr_values": {"phr"}}, sso.ACRExternal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := oidctest.New(t, oidctest.Lenient())
			s := oidcSite(t, p, tc.config)
			if tc.lie != nil {
				p.Lie(tc.lie)
			}
			s.request = tc.request
			s.login("corp")
			if seen := s.signIn.lastFailure(); seen != tc.want {
				t.Fatalf("expected %q, seen %q", tc.want, seen)
			}
			last := p.Last(oidctest.Authorize)
			sent := last.Params()
			for name, values := range tc.sent {
				if !slices.Equal(sent[name], values) {
					t.Errorf("expected %s %q, seen %q", name, values, sent[name])
				}
			}
			if tc.want == "" && s.signIn.lastAnswer().Assertion.ACR != tc.acr {
				t.Errorf("expected acr %s, seen %s", tc.acr, s.signIn.lastAnswer().Assertion.ACR)
			}
		})
	}
}

// email_verified applies only to the address from the same source: that of userinfo does
// not apply to an address in the ID token, and vice versa.
func TestAnAddressAndItsMarkAreOfOneSource(t *testing.T) {
	t.Parallel()
	claims := func(pairs ...string) op.Claims {
		c := make(op.Claims)
		for i := 0; i < len(pairs); i += 2 {
			c[pairs[i]] = json.RawMessage(pairs[i+1])
		}
		return c
	}
	p := &oidcProvider{options: new(opconfig.Resolved)}
	for _, test := range []struct {
		name          string
		idToken, info op.Claims
		want          string
	}{
		{"both in the ID token", claims("email", `"a@x"`, "email_verified", "true"), nil, "a@x"},
		{"both in userinfo", nil, claims("email", `"a@x"`, "email_verified", "true"), "a@x"},
		{"the mark in userinfo", claims("email", `"a@x"`), claims("email", `"a@x"`, "email_verified", "true"), ""},
		{"the mark in the ID token", claims("email_verified", "true"), claims("email", `"a@x"`), ""},
		{"a mark that is false", claims("email", `"a@x"`, "email_verified", "false"), nil, ""},
	} {
		if seen := p.email(test.idToken, test.info); seen != test.want {
			t.Errorf("%s: expected %q, seen %q", test.name, test.want, seen)
		}
	}
}

// session_expiry limits our session. A login whose session has already expired is refused
// (OpenID Connect Enterprise Extensions 1.0).
func TestTheSessionOfAnExternalOpenIDProviderBoundsOurs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ends time.Duration
		want FailureKind
	}{"It lasts": {time.Hour, ""}, "It is over": {-time.Minute, Invalid}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := oidctest.New(t, oidctest.Lenient())
			ends := time.Now().Add(tc.ends).Truncate(time.Second)
			p.Lie(func(l *oidctest.Faults) {
				l.IDToken.Claims = func(c map[string]any) { c["session_expiry"] = ends.Unix() }
			})
			s := oidcSite(t, p, nil)
			s.login("corp")
			if seen := s.signIn.lastFailure(); seen != tc.want {
				t.Fatalf("expected %q, seen %q: %s", tc.want, seen, s.signIn.lastCause())
			}
			if tc.want == "" && !s.signIn.lastAnswer().Assertion.SessionEnds.Equal(ends) {
				t.Errorf("expected a session until %v, seen %v", ends, s.signIn.lastAnswer().Assertion.SessionEnds)
			}
		})
	}
}

func TestErrorsOfAnExternalOpenIDProvider(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]FailureKind{
		"access_denied": Denied, "login_required": Denied, "temporarily_unavailable": Down, "unauthorized_client": Unconfigured,
		"unmet_authentication_requirements": Unproved,
	} {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			p := oidctest.New(t)
			p.Lie(func(l *oidctest.Faults) { l.Authorization.Error = code })
			s := oidcSite(t, p, nil)
			s.login("corp")
			if seen := s.signIn.lastFailure(); seen != want {
				t.Errorf("expected %s, seen %s", want, seen)
			}
		})
	}
}

func TestADatabaseThatIsDownIsNoWrongAnswer(t *testing.T) {
	t.Parallel()
	s := oidcSite(t, oidctest.New(t), nil)
	back := s.stop("corp")
	s.store.down = true
	if response := s.get(s.browser, back.String()); response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("expected 503, seen %d", response.StatusCode)
	} else if response.Header.Get("Retry-After") == "" {
		t.Error("expected Retry-After, seen none")
	}
	s.store.down = false
	s.get(s.browser, back.String())
	if s.signIn.lastAnswer() == nil {
		t.Errorf("expected the answer to count afterwards, seen %s", s.signIn.lastCause())
	}
}

func TestAnExternalProviderThatIsDisabled(t *testing.T) {
	t.Parallel()
	p := oidctest.New(t)
	s := oidcSite(t, p, func(c *Config) { c.Disabled = true })
	s.login("corp")
	if seen := s.signIn.lastFailure(); seen != Unconfigured {
		t.Errorf("expected no login, seen %q", seen)
	}
	if response := s.get(s.browser, s.server.URL+"/external/corp/callback?state=x&code=y"); response.StatusCode != http.StatusNotFound {
		t.Errorf("expected 404, seen %d", response.StatusCode)
	}
	if _, ok := s.broker.ForDomain("alice@example.com"); ok {
		t.Error("expected no external provider for the domain, seen one")
	}
	if all := s.broker.Externals(); !all[0].Disabled {
		t.Error("expected that the list says so, seen nothing")
	}
}

func TestTheDomainOfAnAddressLeadsToAnExternalProvider(t *testing.T) {
	t.Parallel()
	s := oidcSite(t, oidctest.New(t), nil)
	for address, want := range map[string]string{
		"stranger@example.com": "corp", " Bob@EXAMPLE.com ": "corp", "bob@sub.example.com": "", "example.com": "", "a@b@example.com": "", "": "",
	} {
		if seen, _ := s.broker.ForDomain(address); seen != want {
			t.Errorf("%q: expected %q, seen %q", address, want, seen)
		}
	}
}
