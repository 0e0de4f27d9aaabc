package e2e

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// These providers take minutes to build or need Debian packages. They run only if
// E2E_IDPS names them, as run-all does; a provider that then cannot start is a failure.
// If Keycloak is named, it runs more journeys.
const (
	dex       = "dex"
	hydra     = "hydra"
	lemonldap = "lemonldap"
)

func alsoAsked() []string { return strings.Fields(os.Getenv("E2E_IDPS")) }

// habits holds what the journeys need to know about each provider.
var habits = map[string]struct {
	path     string // of the issuer URL
	field    string // of the login form, for the username
	domain   string // appended to its usernames
	password string // appended to the username to make the password; oidc-provider accepts any
	forgets  bool   // no single sign-on: every login asks for the password
	oneLogin bool   // keeps only one pending login per browser
	userinfo string // path below the issuer
	options  string // options a site needs so that alice's username is alice
	leave    string // path below the issuer where a browser signs out of the provider only
}{
	oidcProvider: {field: "login", password: "-pw", userinfo: "/me"},
	zitadel:      {field: "username", password: "-pw", userinfo: "/userinfo", forgets: true},
	dex:          {field: "login", password: "-pw", userinfo: "/userinfo", forgets: true, path: "/dex", domain: "@example.test", options: "username_claim name"},
	hydra:        {field: "username", password: "-pw", userinfo: "/userinfo", oneLogin: true, leave: "/oauth2/sessions/logout"},
	lemonldap:    {field: "user", userinfo: "/oauth2/userinfo", oneLogin: true, leave: "/?logout=1"},
	keycloak:     {field: "username", password: "-pw", userinfo: "/protocol/openid-connect/userinfo"},
}

var (
	dexProgram   = &program{name: dex, dir: "idps/dex", pkg: "github.com/dexidp/dex/cmd/dex"}
	hydraProgram = &program{name: hydra, dir: "idps/hydra", pkg: "github.com/ory/hydra/v2", tags: "sqlite,sqlite_omit_load_extension,json1"}
)

// startBehindWitness starts a provider that does not record its requests and the tokens
// it issues. A witness in front of it does.
func (p *provider) startBehindWitness(t testing.TB) *process {
	t.Helper()
	inner := freePort(t)
	pages := http.NewServeMux()
	var child *process
	switch p.kind {
	case dex:
		child = p.startDex(t, inner)
	case hydra:
		child = p.startHydra(t, inner, pages)
	case lemonldap:
		child = p.startLemonLDAP(t, inner, pages)
	case keycloak:
		child, inner = p.startKeycloak(t)
	default:
		t.Fatalf("unknown provider %q", p.kind)
	}
	p.witness = newWitness(t, p, inner, pages)
	return child
}

// uris returns the URIs of an endpoint, one for each base URL of the relying party.
func (p *provider) uris(endpoint string) (all []string) {
	for _, base := range p.rpBases {
		for _, id := range []string{"default", "op", "a", "b"} {
			all = append(all, base+"/@app/auth/"+id+"/"+endpoint)
		}
	}
	return all
}

// writeJSON writes a configuration file. JSON is also valid YAML.
func writeJSON(t testing.TB, name string, value any) (file string) {
	t.Helper()
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

type object = map[string]any

// startDex starts Dex. Its issuer has a path, it has no end_session_endpoint, and if
// keyTTL is set, it rotates its keys while it runs.
func (p *provider) startDex(t testing.TB, port int) *process {
	t.Helper()
	client := func(id string, over object) object {
		c := object{"id": id, "name": id, "redirectURIs": p.uris("code")}
		for k, v := range over {
			c[k] = v
		}
		return c
	}
	file := writeJSON(t, "dex.json", object{
		"issuer":  p.issuer,
		"storage": object{"type": "memory"},
		"web":     object{"http": fmt.Sprintf("127.0.0.1:%d", port)},
		"oauth2":  object{"responseTypes": []string{"code"}, "skipApprovalScreen": true, "passwordConnector": "local"},
		"expiry":  object{"signingKeys": cmp.Or(p.keyTTL, "6h")},

		"enablePasswordDB": true,
		"staticPasswords": []object{ // bcrypt of alice-pw and bob-pw
			{"email": "alice@example.test", "username": "alice", "userID": "8d5c1a5e-0000-4000-8000-00000000000a", "hash": "$2b$10$U2C6wSJ8yPPiNtreF1WGSudVTsF7/kZOrX.FL00V9QndZoW40xR2q"},
			{"email": "bob@example.test", "username": "bob", "userID": "8d5c1a5e-0000-4000-8000-00000000000b", "hash": "$2b$10$8D05FQZgfErayTs0X6NMjutHesob3vs.GYY/fqXs2VCzpndghx38a"},
		},
		"staticClients": []object{
			client("rp", object{"secret": rpSecret}),
			client("rp-post", object{"secret": rpSecret}),
			client("rp-public", object{"public": true}),
		},
	})
	return spawn(t, p.kind, nil, dexProgram.path(t), "serve", file)
}

// startLemonLDAP needs Debian packages that run-all installs:
// liblemonldap-ng-portal-perl, libio-string-perl, libstring-random-perl, and for SAML
// liblasso-perl and libxml-simple-perl.
func (p *provider) startLemonLDAP(t testing.TB, port int, pages *http.ServeMux) *process {
	t.Helper()
	plackup, err := exec.LookPath("plackup")
	if err != nil {
		t.Fatalf("LemonLDAP::NG is missing: run e2e/run-all, it installs what the tests need (%v)", err)
	}
	state := t.TempDir()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"op.key": {Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)},
		"op.pub": {Type: "PUBLIC KEY", Bytes: public},
	} {
		if err := os.WriteFile(filepath.Join(state, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	nothing := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }
	pages.HandleFunc("/static/", nothing) // its login page works without style and scripts
	env := []string{
		"ISSUER=" + p.issuer, "STATE=" + state,
		"CALLBACKS=" + strings.Join(p.uris("code"), " "), "POST_LOGOUT=" + strings.Join(p.uris("signedout"), " "),
		"FRONTCHANNEL=" + p.uris("frontchannel-logout")[0],
	}
	return spawn(t, p.kind, append(env, p.env...), plackup, "-s", "HTTP::Server::PSGI", "--host", "127.0.0.1", "--port", fmt.Sprint(port), "-E", "deployment", "idps/lemonldap/app.psgi")
}

// A witness is a reverse proxy in front of a provider, at the issuer's address. It counts
// the requests and keeps the tokens in the responses.
type witness struct {
	server *http.Server
	mu     sync.Mutex
	hits   map[string]int // by path below the issuer
	tokens []token
}

func newWitness(t testing.TB, p *provider, inner int, pages *http.ServeMux) *witness {
	t.Helper()
	w := &witness{hits: map[string]int{}}
	behind := &url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", inner)}
	pages.Handle("/", &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(behind)
			r.Out.Host = r.In.Host
			r.Out.Header.Del("Accept-Encoding") // so that the witness can read the tokens
		},
		ModifyResponse: w.read,
		ErrorHandler:   func(rw http.ResponseWriter, _ *http.Request, _ error) { rw.WriteHeader(http.StatusBadGateway) },
		Transport:      &http.Transport{DisableKeepAlives: true}, // LemonLDAP::NG accepts one at a time
	})
	w.server = &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		path := strings.TrimPrefix(r.URL.Path, mustParse(p.issuer).Path)
		if path == "/_stats" {
			w.mu.Lock()
			defer w.mu.Unlock()
			_ = json.NewEncoder(rw).Encode(w.hits)
			return
		}
		w.mu.Lock()
		w.hits[path]++
		w.mu.Unlock()
		pages.ServeHTTP(rw, r)
	})}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p.port))
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = w.server.Serve(listener) }()
	t.Cleanup(w.close)
	return w
}

// close stops the witness. A nil witness is fine.
func (w *witness) close() {
	if w != nil {
		_ = w.server.Close()
	}
}

func (w *witness) handedOut() []token {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.tokens)
}

func (w *witness) read(answer *http.Response) error {
	if !strings.HasSuffix(answer.Request.URL.Path, "/token") {
		return nil
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	answer.Body = io.NopCloser(bytes.NewReader(text))
	var given object
	if json.Unmarshal(text, &given) != nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range []string{"access_token", "refresh_token", "id_token"} {
		if value, ok := given[name].(string); ok && value != "" {
			w.tokens = append(w.tokens, token{name, value})
		}
	}
	return nil
}
