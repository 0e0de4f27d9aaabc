package broker

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
)

// oauth2Server is an OAuth 2.0 provider with the API of a preset.
type oauth2Server struct {
	t         *testing.T
	server    *httptest.Server
	documents map[string]any // of the API, by path
	status    map[string]int
	asked     url.Values // the authorization request
	redeemed  url.Values
	error     string
}

func newOAuth2Server(t *testing.T, documents map[string]any) *oauth2Server {
	t.Helper()
	p := &oauth2Server{t: t, documents: documents, status: map[string]int{}}
	p.server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.server.Close)
	return p
}

func (p *oauth2Server) serve(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/authorize":
		p.asked = r.URL.Query()
		answer := url.Values{"state": {p.asked.Get("state")}, "code": {"the-code"}}
		if p.error != "" {
			answer.Del("code")
			answer.Set("error", p.error)
		}
		http.Redirect(w, r, p.asked.Get("redirect_uri")+"?"+answer.Encode(), http.StatusFound)
	case "/token":
		if err := r.ParseForm(); err != nil {
			p.t.Error(err)
		}
		p.redeemed = r.PostForm
		sum := sha256.Sum256([]byte(r.PostForm.Get("code_verifier")))
		if base64.RawURLEncoding.EncodeToString(sum[:]) != p.asked.Get("code_challenge") {
			http.Error(w, `{"error":"invalid_grant","access_token":"leaked"}`, http.StatusBadRequest)
			return
		}
		p.json(w, map[string]string{"access_token": "the-token", "token_type": "bearer"})
	default:
		document, ok := p.documents[r.URL.Path]
		if !ok || r.Header.Get("Authorization") != "Bearer the-token" {
			http.NotFound(w, r)
			return
		}
		if status := p.status[r.URL.Path]; status != 0 {
			w.WriteHeader(status)
		}
		p.json(w, document)
	}
}

func (p *oauth2Server) json(w http.ResponseWriter, document any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(document); err != nil {
		p.t.Error(err)
	}
}

// here returns a preset with the addresses of the server.
func (p *oauth2Server) here(row preset) preset {
	move := func(address string) string {
		u, err := url.Parse(address)
		if err != nil || address == "" {
			return address
		}
		return p.server.URL + u.RequestURI()
	}
	row.authorize, row.token = p.server.URL+"/authorize", p.server.URL+"/token"
	row.user, row.groups, row.email.api = move(row.user), move(row.groups), move(row.email.api)
	return row
}

// oauth2Site returns a site whose external provider "code" uses a preset.
func oauth2Site(t *testing.T, p *oauth2Server, name string, change func(*Config)) *site {
	t.Helper()
	s := newSite(t, func(string) []Config {
		c := Config{ID: "code", Create: true, Domains: []string{"example.com"}, OAuth2: &OAuth2Config{name, "the-client", "the-secret"}}
		if change != nil {
			change(&c)
		}
		return []Config{c}
	})
	e := s.broker.external("code")
	e.kind = newOAuth2Provider(e, p.here(presets[name]), "the-client", "the-secret", s.broker.Now)
	return s
}

func githubAPI() map[string]any {
	return map[string]any{
		"/user": map[string]any{"id": 583231, "login": "octocat", "name": "The Octocat", "email": "public@example.com"},
		"/user/emails": []any{
			map[string]any{"email": "unverified@example.com", "verified": false, "primary": false},
			map[string]any{"email": "private@home.test", "verified": true, "primary": true},
			map[string]any{"email": "octocat@example.com", "verified": true, "primary": false},
		},
		"/user/orgs": []any{map[string]any{"login": "acme", "id": 1}, map[string]any{"login": "other", "id": 2}},
	}
}

func discordAPI() map[string]any {
	return map[string]any{
		"/api/users/@me":        map[string]any{"id": "80351110224678912", "username": "nelly", "global_name": "Nelly", "email": "nelly@example.com", "verified": true, "locale": "en-GB"},
		"/api/users/@me/guilds": []any{map[string]any{"id": "1", "name": "staff"}, map[string]any{"id": "2", "name": "Acme"}},
	}
}

func TestPresetsOfOAuth2(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		preset string
		api    map[string]any
		change func(map[string]any)
		config func(*Config)
		want   []string // issuer, subject, account, name, address
		groups []string
		scope  string
	}{
		"GitHub": {"github", githubAPI(), nil, func(c *Config) { c.GroupNames = map[string]string{"acme": "staff"} },
			[]string{"https://github.com", "583231", "code/octocat", "The Octocat", "octocat@example.com"}, []string{"staff"}, "read:user user:email read:org"},
		"GitHub without groups": {"github", githubAPI(), nil, nil,
			[]string{"https://github.com", "583231", "code/octocat", "The Octocat", "octocat@example.com"}, nil, "read:user user:email"},
		"GitHub without a verified address": {"github", githubAPI(), func(api map[string]any) {
			api["/user/emails"] = []any{map[string]any{"email": "a@example.com", "verified": "true"}}
		}, nil,
			[]string{"https://github.com", "583231", "code/octocat", "The Octocat", ""}, nil, "read:user user:email"},
		"Discord": {"discord", discordAPI(), nil, func(c *Config) { c.GroupNames = map[string]string{"2": "acme"} },
			[]string{"https://discord.com", "80351110224678912", "code/nelly", "Nelly", "nelly@example.com"}, []string{"acme"}, "identify email guilds"},
		"Discord with a guild of a name that is mapped": {"discord", discordAPI(), nil, func(c *Config) { c.Groups = []string{"staff"} },
			[]string{"https://discord.com", "80351110224678912", "code/nelly", "Nelly", "nelly@example.com"}, nil, "identify email guilds"},
		"Discord without a verified address": {"discord", discordAPI(), func(api map[string]any) { api["/api/users/@me"].(map[string]any)["verified"] = false }, nil,
			[]string{"https://discord.com", "80351110224678912", "code/nelly", "Nelly", ""}, nil, "identify email"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.change != nil {
				tc.change(tc.api)
			}
			p := newOAuth2Server(t, tc.api)
			s := oauth2Site(t, p, tc.preset, tc.config)
			s.login("code")
			answer := s.signIn.lastAnswer()
			if answer == nil {
				t.Fatalf("expected a user, seen %s: %s", s.signIn.lastFailure(), s.signIn.lastCause())
			}
			a := answer.Assertion
			if seen := []string{a.Issuer, a.Subject, answer.User.Name, answer.User.DisplayName, answer.User.Email}; !slices.Equal(seen, tc.want) {
				t.Errorf("expected %q, seen %q", tc.want, seen)
			}
			if !slices.Equal(a.Claims.Groups, tc.groups) {
				t.Errorf("expected the groups %q, seen %q", tc.groups, a.Claims.Groups)
			}
			if !a.AuthTime.IsZero() {
				t.Errorf("expected that the time of the sign-in is not known, seen %s", a.AuthTime)
			}
			if seen := p.asked.Get("scope"); seen != tc.scope {
				t.Errorf("expected the scopes %q, seen %q", tc.scope, seen)
			}
			if p.redeemed.Get("client_secret") != "the-secret" {
				t.Error("expected the client's secret, seen none")
			}
		})
	}
}

func TestWhatAnOAuth2ProviderIsNotBelieved(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*oauth2Server)
		want   FailureKind
	}{
		"No id":                     {func(p *oauth2Server) { delete(p.documents["/user"].(map[string]any), "id") }, Invalid},
		"An id that is null":        {func(p *oauth2Server) { p.documents["/user"].(map[string]any)["id"] = nil }, Invalid},
		"An id of zero":             {func(p *oauth2Server) { p.documents["/user"].(map[string]any)["id"] = 0 }, Invalid},
		"An id that is a name":      {func(p *oauth2Server) { p.documents["/user"].(map[string]any)["id"] = "octocat" }, Invalid},
		"A list":                    {func(p *oauth2Server) { p.documents["/user"] = []any{} }, Down},
		"An API that fails":         {func(p *oauth2Server) { p.status["/user"] = http.StatusInternalServerError }, Down},
		"Groups that cannot be had": {func(p *oauth2Server) { p.status["/user/orgs"] = http.StatusForbidden }, Down},
		"Access denied":             {func(p *oauth2Server) { p.error = "access_denied" }, Denied},
		"A wrong client":            {func(p *oauth2Server) { p.error = "application_suspended" }, Unconfigured},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newOAuth2Server(t, githubAPI())
			tc.change(p)
			s := oauth2Site(t, p, "github", func(c *Config) { c.Groups = []string{"acme"} })
			s.login("code")
			if answer := s.signIn.lastAnswer(); answer != nil {
				t.Fatal("expected no user, seen one")
			}
			if seen := s.signIn.lastFailure(); seen != tc.want {
				t.Errorf("expected %s, seen %q: %s", tc.want, seen, s.signIn.lastCause())
			}
		})
	}
}

// A code from another login does not match the PKCE verifier of this login.
func TestACodeOfAnotherLogin(t *testing.T) {
	t.Parallel()
	p := newOAuth2Server(t, githubAPI())
	s := oauth2Site(t, p, "github", nil)
	stop := func() *url.URL {
		var back *url.URL
		client := *s.browser
		client.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(r.URL.Path, "/external/") {
				back = r.URL
				return http.ErrUseLastResponse
			}
			return nil
		}
		s.get(&client, s.server.URL+"/begin/code")
		return back
	}
	first := stop()
	stop() // the provider now has the challenge of this login
	s.get(s.browser, first.String())
	if s.signIn.lastAnswer() != nil {
		t.Fatal("expected no user, seen one")
	}
	if strings.Contains(s.signIn.lastCause(), "leaked") {
		t.Errorf("expected a cause without what the provider sent, seen %s", s.signIn.lastCause())
	}
}

func TestAnOAuth2ProviderProvesNoTime(t *testing.T) {
	t.Parallel()
	minute := time.Minute
	for name, demand := range map[string]*request.Request{
		"max_age": {MaxAge: &minute}, "prompt=login": {Prompt: []string{"login"}},
	} {
		p := newOAuth2Server(t, githubAPI())
		s := oauth2Site(t, p, "github", nil)
		s.request = demand
		s.login("code")
		if seen := s.signIn.lastFailure(); seen != Unproved {
			t.Errorf("%s: expected %s, seen %q", name, Unproved, seen)
		}
		if p.asked != nil {
			t.Errorf("%s: expected that the user is not sent away, seen a request", name)
		}
	}
}
