package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// newMCPServer starts an MCP server with one tool, which returns who called it. The
// server itself does not handle tokens.
func newMCPServer(t *testing.T) *httptest.Server {
	t.Helper()
	server := mcp.NewServer(&mcp.Implementation{Name: "tools", Version: "1"}, nil)
	type nothing struct{}
	mcp.AddTool(server, &mcp.Tool{Name: "whoami", Description: "says who calls"}, func(_ context.Context, r *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, any, error) {
		text := fmt.Sprintf("%s, a %s; token %q", r.Extra.Header.Get("X-User"), r.Extra.Header.Get("X-Kind"), r.Extra.Header.Get("Authorization"))
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: text}}}, nil, nil
	})
	s := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, nil))
	t.Cleanup(s.Close)
	return s
}

// startMCP starts a site in front of an MCP server, and oidc-provider.
func startMCP(t *testing.T) *world {
	t.Helper()
	server := newMCPServer(t)
	s := site{mode: "public", options: `
		private /mcp /mcp/* {
			require scope tools
		}
		private /reports {
			require scope read
			require user client/batch
		}
		application {
			bearer jwt
			resource_metadata {
				name "Tools of the tests"
				scopes tools read
			}
		}
		upstream {
			header X-User {http.auth.user.id}
			header X-Kind {http.oidc_rp.kind}
		}`}
	w := newWorld(t, oidcProvider, s)
	w.op.env = append(w.op.env, "RESOURCES="+w.base)
	w.op.start(t)
	sites := strings.Replace(w.site(w.base, s), "reverse_proxy ", "reverse_proxy /mcp "+strings.TrimPrefix(server.URL, "http://")+"\n\treverse_proxy ", 1)
	w.startCaddyWith(s, sites)
	return w
}

// An MCP client that knows only the server's address finds the provider, registers itself
// there, lets the user sign in, and calls a tool.
func TestAnMCPClientFindsTheProviderByItself(t *testing.T) {
	t.Parallel()
	w := startMCP(t)
	b := w.newBrowser()
	type answer struct{ code, state, iss string }
	answers := make(chan answer, 1)
	callback := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		answers <- answer{q.Get("code"), q.Get("state"), q.Get("iss")}
		_, _ = io.WriteString(w, "you can close this window")
	}))
	t.Cleanup(callback.Close)
	redirect := callback.URL + "/callback"
	var asked *url.URL
	handler, err := auth.NewAuthorizationCodeHandler(&auth.AuthorizationCodeHandlerConfig{
		DynamicClientRegistrationConfig: &auth.DynamicClientRegistrationConfig{Metadata: &oauthex.ClientRegistrationMetadata{
			ClientName: "an MCP client", RedirectURIs: []string{redirect}, GrantTypes: []string{"authorization_code"},
			ResponseTypes: []string{"code"}, TokenEndpointAuthMethod: "none",
		}},
		RedirectURL: redirect,
		AuthorizationCodeFetcher: func(ctx context.Context, args *auth.AuthorizationArgs) (*auth.AuthorizationResult, error) {
			asked = mustParse(args.URL)
			p := b.open(args.URL).asks(w).signIn("alice")
			if strings.HasPrefix(p.url.String(), w.op.issuer) { // the provider asks users to allow the client's request
				p.send(p.form())
			}
			select {
			case a := <-answers:
				return &auth.AuthorizationResult{Code: a.code, State: a.state, Iss: a.iss}, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	client := mcp.NewClient(&mcp.Implementation{Name: "client", Version: "1"}, nil)
	session, err := client.Connect(ctx, &mcp.StreamableClientTransport{Endpoint: w.base + "/mcp", OAuthHandler: handler}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "whoami"})
	if err != nil {
		t.Fatal(err)
	}
	text, _ := result.Content[0].(*mcp.TextContent)
	if want := `alice, a person; token ""`; text == nil || text.Text != want {
		t.Errorf("expected %q, seen %+v", want, result.Content[0])
	}
	if got := asked.Query().Get("resource"); got != w.base+"/mcp" {
		t.Errorf("expected that the client asks for a token for %s/mcp, seen %q", w.base, got)
	}
	if got := asked.Query().Get("scope"); got != "tools" {
		t.Errorf("expected the scope that the rule wants, seen %q", got)
	}
}

// clientToken gets a token for the client batch. It is a JWT if there is a resource, and
// opaque otherwise.
func clientToken(t *testing.T, w *world, resource, scope string) string {
	t.Helper()
	form := url.Values{"grant_type": {"client_credentials"}}
	if resource != "" {
		form.Set("resource", resource)
		form.Set("scope", scope)
	}
	r, err := http.NewRequest(http.MethodPost, w.op.issuer+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("batch", rpSecret)
	response, err := w.op.client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error_description"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("expected a token, seen status %d, %s, %v", response.StatusCode, answer.Error, err)
	}
	w.secrets.add("access token", answer.AccessToken)
	return answer.AccessToken
}

// A client with its own tokens calls the site with curl.
func TestAClientCallsWithATokenOfItsOwn(t *testing.T) {
	t.Parallel()
	w := startMCP(t)
	for _, tc := range []struct {
		name, resource, scope, path string
		status, says                string
	}{
		{"a good token", "/reports", "read", "/reports", "200", "client/batch"},
		{"too little scope", "/reports", "tools", "/reports", "403", `error="insufficient_scope"`},
		{"for another part of the site", "/mcp", "read", "/reports", "401", `error="invalid_token"`},
	} {
		token := clientToken(t, w, w.base+tc.resource, tc.scope)
		text := curl(t, "-s", "-i", "-H", "Authorization: Bearer "+token, w.base+tc.path)
		if !strings.HasPrefix(text, "HTTP/1.1 "+tc.status) {
			t.Errorf("%s: expected status %s, seen %.300s", tc.name, tc.status, text)
		}
		if !strings.Contains(text, tc.says) {
			t.Errorf("%s: expected %q, seen %.600s", tc.name, tc.says, text)
		}
		if strings.Contains(text, token) {
			t.Errorf("%s: the token came back, or reached the application", tc.name)
		}
	}
}

// The site introspects tokens that are not JWTs at the provider.
func TestTheProviderIsAskedAboutOpaqueTokens(t *testing.T) {
	t.Parallel()
	s := site{options: `
		application {
			bearer introspect {
				client batch
			}
		}
		upstream {
			header X-Kind {http.oidc_rp.kind}
		}`}
	w := newWorld(t, oidcProvider, s)
	w.op.env = append(w.op.env, "RESOURCES="+w.base)
	w.op.start(t)
	w.startCaddy(s)
	token := clientToken(t, w, "", "")
	for range 3 {
		text := curl(t, "-s", "-i", "-H", "Authorization: Bearer "+token, w.base+"/")
		if !strings.HasPrefix(text, "HTTP/1.1 200") || !strings.Contains(text, "client/batch") {
			t.Errorf("expected that client/batch gets in, seen %.600s", text)
		}
	}
	if text := curl(t, "-s", "-i", "-H", "Authorization: Bearer "+token+"x", w.base+"/"); !strings.HasPrefix(text, "HTTP/1.1 401") {
		t.Errorf("expected status 401, seen %.300s", text)
	}
	if n := w.op.hits(t, "/token/introspection"); n != 2 {
		t.Errorf("expected 2 calls, seen %d", n)
	}
}

// curl runs curl and returns what it prints.
func curl(t *testing.T, args ...string) string {
	t.Helper()
	text, err := exec.Command("curl", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("curl: %v: %s", err, text)
	}
	return string(text)
}
