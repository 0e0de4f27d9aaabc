package op

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// introspected returns a client for the given introspection endpoint.
func introspected(t testing.TB, endpoint string) *Introspection {
	t.Helper()
	discovery := NewDiscovery(DiscoveryConfig{
		Issuer: tokenIssuer, Timeout: 5 * time.Second, Now: func() time.Time { return tokenTime }, JWKS: keySetOf(member(t, "p256", "")),
		Endpoints: Endpoints{Authorization: tokenIssuer + "/auth", Token: tokenIssuer + "/token", Introspection: endpoint},
	})
	t.Cleanup(discovery.Close)
	return &Introspection{
		Client:    &Client{Discovery: discovery, ClientID: "rp", Secret: func() (string, error) { return "secret", nil }, ClockSkew: time.Minute, Now: func() time.Time { return tokenTime }},
		Audiences: []string{"api"}, Clients: []string{"cli"},
	}
}

// checkAnswer checks an introspection response.
func checkAnswer(t testing.TB, i *Introspection, answer string) (*AccessToken, error) {
	t.Helper()
	claims, err := parseObject([]byte(answer))
	if err != nil {
		t.Fatal(err)
	}
	c := introspectionCheck{Introspection: i, metadata: &Metadata{Issuer: tokenIssuer}, now: tokenTime, skew: time.Minute}
	return c.checkAll(claims)
}

func TestGoodIntrospectionResponses(t *testing.T) {
	t.Parallel()
	i := introspected(t, tokenIssuer+"/introspect")
	for _, tc := range []struct {
		name, answer string
		isClient     bool
	}{
		{"all members", `{"active":true,"iss":"https://op.example","aud":"api","sub":"u","client_id":"x","exp":1800000300,"iat":1799999990,"nbf":1799999990,"token_type":"Bearer","scope":"read"}`, false},
		{"the fewest members", `{"active":true,"aud":["other","api"],"sub":"u"}`, false},
		{"no audience, and a known client", `{"active":true,"sub":"u","client_id":"cli"}`, false},
		{"an empty list of audiences, and a known client", `{"active":true,"aud":[],"sub":"u","client_id":"cli"}`, false},
		{"a client's own token", `{"active":true,"client_id":"cli"}`, true},
		{"a client's own token that has a sub", `{"active":true,"aud":"api","sub":"other","client_id":"other"}`, true},
		{"another word for a bearer token", `{"active":true,"aud":"api","sub":"u","token_type":"access_token"}`, false},
	} {
		token, err := checkAnswer(t, i, tc.answer)
		if err != nil {
			t.Errorf("%s: expected that it is accepted, seen %v", tc.name, err)
			continue
		}
		if token.IsClient != tc.isClient {
			t.Errorf("%s: expected that it is a client's: %v, seen %v", tc.name, tc.isClient, token.IsClient)
		}
	}
}

// Each row is a response with one flaw.
func TestHostileIntrospectionResponses(t *testing.T) {
	t.Parallel()
	i := introspected(t, tokenIssuer+"/introspect")
	good := func(members string) string { return `{"active":true,"aud":"api","sub":"u",` + members + `}` }
	for _, tc := range []struct {
		name, answer string
		reason       TokenReason
	}{
		{"inactive", `{"active":false}`, ReasonInactive},
		{"inactive, with all that a good one has", `{"active":false,"aud":"api","sub":"u"}`, ReasonInactive},
		{"active as text", `{"active":"true","aud":"api","sub":"u"}`, ReasonInactive},
		{"active as a number", `{"active":1,"aud":"api","sub":"u"}`, ReasonInactive},
		{"active null", `{"active":null,"aud":"api","sub":"u"}`, ReasonInactive},
		{"active in a list", `{"active":[true],"aud":"api","sub":"u"}`, ReasonInactive},
		{"active in another case", `{"Active":true,"aud":"api","sub":"u"}`, ReasonInactive},
		{"no active", `{"aud":"api","sub":"u"}`, ReasonInactive},
		{"an error", `{"error":"invalid_client"}`, ReasonInactive},
		{"a refresh token", good(`"token_type":"refresh_token"`), ReasonTokenType},
		{"a refresh token, in another case", good(`"token_type":"Refresh_Token"`), ReasonTokenType},
		{"a DPoP token", good(`"token_type":"DPoP"`), ReasonTokenType},
		{"a MAC token", good(`"token_type":"mac"`), ReasonTokenType},
		{"N_A", good(`"token_type":"N_A"`), ReasonTokenType},
		{"an empty token_type", good(`"token_type":""`), ReasonTokenType},
		{"token_type as a list", good(`"token_type":["Bearer"]`), ReasonTokenType},
		{"a refresh token of Ory Hydra", good(`"token_use":"refresh_token"`), ReasonKind},
		{"a refresh token of Keycloak", good(`"typ":"Refresh"`), ReasonKind},
		{"an offline token of Keycloak", good(`"typ":"Offline"`), ReasonKind},
		{"an ID token of Keycloak", good(`"typ":"ID"`), ReasonKind},
		{"an ID token: at_hash", good(`"at_hash":"x"`), ReasonKind},
		{"an ID token: c_hash", good(`"c_hash":"x"`), ReasonKind},
		{"an ID token: s_hash", good(`"s_hash":null`), ReasonKind},
		{"a logout token", good(`"events":{}`), ReasonKind},
		{"bound to a certificate", good(`"cnf":{"x5t#S256":"x"}`), ReasonBound},
		{"bound to a key", good(`"cnf":{"jkt":"x"}`), ReasonBound},
		{"a cnf that is null", good(`"cnf":null`), ReasonBound},
		{"another issuer", good(`"iss":"https://evil.example"`), ReasonIssuer},
		{"an empty issuer", good(`"iss":""`), ReasonIssuer},
		{"an issuer that is null", good(`"iss":null`), ReasonIssuer},
		{"the issuer in a list", good(`"iss":["https://op.example"]`), ReasonIssuer},
		{"expired", good(`"exp":1799999940`), ReasonExpired},
		{"exp zero", good(`"exp":0`), ReasonExpired},
		{"exp as text", good(`"exp":"1800000300"`), ReasonTimes},
		{"exp beyond all numbers", good(`"exp":1e300`), ReasonTimes},
		{"issued in the future", good(`"iat":1800000061`), ReasonNotYet},
		{"not valid yet", good(`"nbf":1800000061`), ReasonNotYet},
		{"nbf as text", good(`"nbf":"1"`), ReasonTimes},
		{"another audience", `{"active":true,"aud":"other","sub":"u","client_id":"x"}`, ReasonAudience},
		{"another audience, and a known client", `{"active":true,"aud":"other","sub":"u","client_id":"cli"}`, ReasonAudience},
		{"an audience in another case", `{"active":true,"aud":"API","sub":"u"}`, ReasonAudience},
		{"an empty audience", `{"active":true,"aud":"","sub":"u","client_id":"cli"}`, ReasonAudience},
		{"audiences that are no texts", `{"active":true,"aud":[1],"sub":"u"}`, ReasonAudience},
		{"no audience", `{"active":true,"sub":"u"}`, ReasonAudience},
		{"no audience, and another client", `{"active":true,"sub":"u","client_id":"other"}`, ReasonAudience},
		{"no audience, and a known client as azp alone", `{"active":true,"sub":"u","azp":"cli"}`, ReasonAudience},
		{"no audience, and the user is called like a known client", `{"active":true,"sub":"cli","client_id":"other"}`, ReasonAudience},
		{"no subject and no client", `{"active":true,"aud":"api"}`, ReasonSubject},
		{"a user name alone", `{"active":true,"aud":"api","username":"alice","client_id":"cli"}`, ReasonSubject},
		{"sub as a number", `{"active":true,"aud":"api","sub":1}`, ReasonSubject},
		{"a client that a user has signed in as", `{"active":true,"aud":"api","sub":"cli","client_id":"cli","sid":"s"}`, ReasonSubject},
		{"a client id that is an object", `{"active":true,"aud":"api","client_id":{}}`, ReasonSubject},
		{"scopes as an object", good(`"scope":{}`), ReasonScope},
	} {
		_, err := checkAnswer(t, i, tc.answer)
		if got := reasonOf(err); got != tc.reason {
			t.Errorf("%s: expected the reason %s, seen %v", tc.name, tc.reason, err)
		}
	}
}

// A response that is not valid says nothing about the token.
func TestFailedIntrospection(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, contentType, body string
		status                  int
	}{
		{"an error of the server", "application/json", `{}`, 500},
		{"the client is not known", "application/json", `{"error":"invalid_client"}`, 401},
		{"the client may not ask", "application/json", `{"error":"access_denied"}`, 403},
		{"too many requests", "text/plain", `slow down`, 429},
		{"active, with an error status", "application/json", `{"active":true,"aud":"api","sub":"u"}`, 203},
		{"a redirect", "text/html", ``, 302},
		{"HTML", "text/html", `<html>`, 200},
		{"nothing", "application/json", ``, 200},
		{"a list", "application/json", `[{"active":true,"aud":"api","sub":"u"}]`, 200},
		{"active twice", "application/json", `{"active":true,"aud":"api","sub":"u","active":false}`, 200},
		{"two answers", "application/json", `{"active":true,"aud":"api","sub":"u"}{}`, 200},
		{"a signed answer, which was not asked for", "application/token-introspection+jwt", `eyJhbGciOiJub25lIn0.eyJhY3RpdmUiOnRydWV9.`, 200},
		{"more than 1 MiB", "application/json", `{"active":true,"aud":"api","sub":"u","x":"` + strings.Repeat("x", maxResponse) + `"}`, 200},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", tc.contentType)
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(tc.status)
			_, _ = w.Write([]byte(tc.body))
		}))
		_, err := introspected(t, server.URL).Ask(t.Context(), "token-of-the-test")
		server.Close()
		if unavailable := (*UnavailableError)(nil); !asError(err, &unavailable) {
			t.Errorf("%s: expected that the token is unknown, seen %v", tc.name, err)
		}
		if err != nil && strings.Contains(err.Error(), "token-of-the-test") {
			t.Errorf("%s: expected no token in the error, seen %v", tc.name, err)
		}
	}
}

func TestIntrospectionRequest(t *testing.T) {
	t.Parallel()
	seen := make(chan *http.Request, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		seen <- r
		_, _ = w.Write([]byte(`{"active":true,"aud":"api","sub":"u"}`))
	}))
	t.Cleanup(server.Close)
	if _, err := introspected(t, server.URL).Ask(t.Context(), "a+b/c="); err != nil {
		t.Fatal(err)
	}
	r := <-seen
	if user, password, _ := r.BasicAuth(); user != "rp" || password != "secret" {
		t.Errorf("expected the client's own credentials, seen %q", user)
	}
	if got := r.PostForm.Get("token"); got != "a+b/c=" {
		t.Errorf("expected the token, seen %q", got)
	}
	if got := r.PostForm.Get("token_type_hint"); got != "access_token" {
		t.Errorf("expected a hint, seen %q", got)
	}
	if r.URL.RawQuery != "" {
		t.Errorf("expected nothing in the query, seen %q", r.URL.RawQuery)
	}
}

func FuzzIntrospection(f *testing.F) {
	f.Add([]byte(`{"active":true,"aud":"api","sub":"u","client_id":"cli","exp":1800000300}`))
	f.Add([]byte(`{"active":true,"client_id":"cli"}`))
	f.Add([]byte(`{"active":"true","aud":["api"],"token_type":"Bearer"}`))
	f.Add([]byte(`{"active":true,"aud":[],"scope":["a"],"cnf":{}}`))
	i := introspected(f, tokenIssuer+"/introspect")
	f.Fuzz(func(t *testing.T, body []byte) {
		claims, err := parseObject(body)
		if err != nil {
			return
		}
		c := introspectionCheck{Introspection: i, metadata: &Metadata{Issuer: tokenIssuer}, now: tokenTime, skew: time.Minute}
		token, err := c.checkAll(claims)
		if err != nil {
			if reasonOf(err) == "" {
				t.Errorf("%s: expected a reason, seen %v", body, err)
			}
			return
		}
		var said struct {
			Active any `json:"active"`
		}
		if err := json.Unmarshal([]byte(`{"active":`+string(claims["active"])+`}`), &said); err != nil || said.Active != true {
			t.Errorf("%s: accepted, and active is not true", body)
		}
		if _, bound := claims["cnf"]; bound {
			t.Errorf("%s: accepted, and bound", body)
		}
		if token.IsClient && token.Client == "" {
			t.Errorf("%s: a client without a name", body)
		}
	})
}

func asError(err error, target **UnavailableError) bool { return errors.As(err, target) }
