// Command zitadel is an identity provider for the end-to-end tests: a small
// main around the example server of github.com/zitadel/oidc/v3.
//
// The environment is that of idps/oidc-provider. It has no single sign-on: every
// authorization request shows the login form. Each start has new keys. Users have groups
// if the client requests the scope groups. With AT_JWT=1, access tokens are JWTs.
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"log"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const secret = "rp-secret-0123456789abcdef0123456789abcdef"

// One line for each client.
var clients = []struct {
	id     string
	method oidc.AuthMethod
}{
	{"rp", oidc.AuthMethodBasic},
	{"rp-post", oidc.AuthMethodPost},
	{"rp-public", oidc.AuthMethodNone},
}

type users map[string]*storage.User

func (u users) GetUserByID(id string) *storage.User { return u[id] }
func (u users) GetUserByUsername(name string) *storage.User {
	return u["id-"+name]
}
func (users) ExampleClientID() string { return "service" }

var everybody = users{
	"id-alice": {ID: "id-alice", Username: "alice", Password: "alice-pw", FirstName: "Alice", LastName: "Example", Email: "alice@example.test", EmailVerified: true},
	"id-bob":   {ID: "id-bob", Username: "bob", Password: "bob-pw", FirstName: "Bob", LastName: "Exémple", Email: "bob@example.test"},
}

var groups = map[string][]string{"id-alice": {"admins", "staff"}, "id-bob": {"staff"}}

const scopeGroups = "groups"

// store adds what the constructors of the example's clients cannot set: post-logout
// redirect URIs and an authentication method. It also adds groups to users.
type store struct {
	*storage.Storage
	signedOut []string
}

type client struct {
	op.Client
	signedOut []string
	method    oidc.AuthMethod
}

func (c client) PostLogoutRedirectURIs() []string { return c.signedOut }
func (c client) AuthMethod() oidc.AuthMethod      { return c.method }
func (c client) IsScopeAllowed(scope string) bool {
	return scope == scopeGroups || c.Client.IsScopeAllowed(scope)
}

func (c client) AccessTokenType() op.AccessTokenType {
	if os.Getenv("AT_JWT") == "1" {
		return op.AccessTokenTypeJWT
	}
	return c.Client.AccessTokenType()
}

func (s store) SetUserinfoFromRequest(ctx context.Context, info *oidc.UserInfo, request op.IDTokenRequest, scopes []string) error {
	if slices.Contains(scopes, scopeGroups) {
		info.AppendClaims("groups", groups[request.GetSubject()])
	}
	return s.Storage.SetUserinfoFromRequest(ctx, info, request, scopes)
}

func (s store) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	known, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, c := range clients {
		if c.id == id {
			return client{known, s.signedOut, c.method}, nil
		}
	}
	return known, nil
}

func main() {
	env := func(name, otherwise string) string { return cmp.Or(os.Getenv(name), otherwise) }
	port := env("PORT", "0")
	issuer := "http://" + env("IDP_HOST", "localhost") + ":" + port
	urls := func(endpoint string) (all []string) {
		for _, base := range strings.Fields(os.Getenv("RP_BASES")) {
			for _, id := range strings.Fields(env("RP_IDS", "default op a b")) {
				all = append(all, base+"/@app/auth/"+id+"/"+endpoint)
			}
		}
		return all
	}
	callbacks := urls("code")
	for _, base := range strings.Fields(os.Getenv("RP_BASES")) {
		callbacks = append(callbacks, base+"/old/callback")
	}
	for _, c := range clients {
		if c.method == oidc.AuthMethodNone {
			storage.RegisterClients(storage.NativeClient(c.id, callbacks...))
		} else {
			storage.RegisterClients(storage.WebClient(c.id, secret, callbacks...))
		}
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	server := exampleop.SetupServer(issuer, store{storage.NewStorage(everybody), urls("signedout")}, logger, false)
	log.Fatal((&http.Server{Addr: "127.0.0.1:" + port, Handler: &witness{next: server, hits: map[string]int{}}}).ListenAndServe())
}

// witness records what the tests query at /_stats and /_tokens.
type witness struct {
	next   http.Handler
	mu     sync.Mutex
	hits   map[string]int
	tokens []token
}

type token struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (w *witness) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/_stats", "/_tokens":
		w.mu.Lock()
		defer w.mu.Unlock()
		var answer any = w.hits
		if r.URL.Path == "/_tokens" {
			answer = append([]token{}, w.tokens...)
		}
		_ = json.NewEncoder(rw).Encode(answer)
		return
	}
	w.mu.Lock()
	w.hits[r.URL.Path]++
	w.mu.Unlock()
	if !strings.HasSuffix(r.URL.Path, "/token") {
		w.next.ServeHTTP(rw, r)
		return
	}
	copied := &copier{ResponseWriter: rw, status: http.StatusOK}
	w.next.ServeHTTP(copied, r)
	var answer map[string]any
	if json.Unmarshal(copied.body.Bytes(), &answer) != nil {
		copied.send(copied.body.Bytes())
		return
	}
	// The example's access tokens live five minutes. A test may want a shorter
	// expires_in.
	if life, err := strconv.Atoi(os.Getenv("AT_TTL")); err == nil && answer["expires_in"] != nil {
		answer["expires_in"] = life
		text, _ := json.Marshal(answer)
		copied.send(text)
	} else {
		copied.send(copied.body.Bytes())
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range []string{"access_token", "refresh_token", "id_token"} {
		if value, ok := answer[name].(string); ok && value != "" {
			w.tokens = append(w.tokens, token{name, value})
		}
	}
}

// copier buffers an answer until it is sent.
type copier struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (c *copier) WriteHeader(status int)      { c.status = status }
func (c *copier) Write(p []byte) (int, error) { return c.body.Write(p) }

func (c *copier) send(body []byte) {
	c.Header().Del("Content-Length")
	c.ResponseWriter.WriteHeader(c.status)
	_, _ = c.ResponseWriter.Write(body)
}
