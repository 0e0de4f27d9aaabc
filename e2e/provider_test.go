package e2e

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Every run has these providers. Neither is from this project.
const (
	oidcProvider = "oidc-provider"
	zitadel      = "zitadel"
)

const rpSecret = "rp-secret-0123456789abcdef0123456789abcdef"

// eachProvider runs a journey against both of them and those that E2E_IDPS names, in
// parallel.
func eachProvider(t *testing.T, journey func(t *testing.T, kind string)) {
	eachOf(t, slices.Concat([]string{oidcProvider, zitadel}, alsoAsked()), journey)
}

func eachOf(t *testing.T, kinds []string, journey func(t *testing.T, kind string)) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			journey(t, kind)
		})
	}
}

// A provider is an identity provider in its own process. It listens on 127.0.0.1 but its
// issuer is at localhost: cookies ignore ports, so relying party and provider need
// different host names to be different sites.
type provider struct {
	kind    string
	port    int
	issuer  string
	rpBases []string
	keyTTL  string // dex only: lifetime of its signing keys
	process *process
	env     []string // added to its environment
	tls     *authority
	witness *witness // in front of a provider that does not record requests and tokens itself
	tokens  []token  // from earlier processes of this provider
}

type token struct{ Name, Value string }

// newProvider reserves a port; start starts it.
func newProvider(t testing.TB, kind string, rpBases ...string) *provider {
	t.Helper()
	port := freePort(t)
	p := &provider{kind: kind, port: port, rpBases: rpBases}
	p.issuer = p.origin() + habits[kind].path
	if kind == keycloak {
		p.issuer = p.origin() + "/realms/" + p.realm()
	}
	return p
}

// start runs the provider until stop or the end of the test. Each start has new signing
// keys and no sessions.
func (p *provider) start(t testing.TB) {
	t.Helper()
	for attempt := 1; ; attempt++ {
		p.process = p.spawn(t)
		if p.answers(t, busy*45*time.Second) {
			break
		}
		if attempt == 3 {
			t.Fatalf("%s did not answer, in %d attempts:\n%s", p.kind, attempt, p.process.log.tail(20))
		}
		t.Logf("%s does not answer; starting it again. Its output was:\n%s", p.kind, p.process.log.tail(20))
		p.process.stop(t, syscall.SIGKILL)
		p.witness.close()
	}
	p.process.last = func() { p.tokens = p.handedOut(t) }
}

// spawn starts the provider's process.
func (p *provider) spawn(t testing.TB) *process {
	t.Helper()
	env := append([]string{fmt.Sprintf("PORT=%d", p.port), "RP_BASES=" + strings.Join(p.rpBases, " ")}, p.env...)
	switch p.kind {
	case oidcProvider:
		node, err := exec.LookPath("node")
		if err != nil {
			t.Fatalf("the provider needs node: %v", err)
		}
		needFile(t, "idps/oidc-provider/node_modules/oidc-provider/package.json")
		return spawn(t, p.kind, env, node, "idps/oidc-provider/provider.mjs")
	case zitadel:
		return spawn(t, p.kind, env, zitadelProgram.path(t))
	default:
		return p.startBehindWitness(t)
	}
}

// answers reports whether the provider serves its metadata within the limit.
func (p *provider) answers(t testing.TB, limit time.Duration) bool {
	t.Helper()
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(25 * time.Millisecond) {
		if !p.process.running() {
			t.Fatalf("%s has ended:\n%s", p.kind, p.process.log.tail(20))
		}
		r, err := p.client().Get(p.issuer + "/.well-known/openid-configuration")
		if err != nil {
			continue
		}
		_ = r.Body.Close()
		if r.StatusCode == http.StatusOK {
			return true
		}
	}
	return false
}

// client returns a client for requests of the tests to the provider.
func (p *provider) client() *http.Client {
	if p.tls == nil {
		return http.DefaultClient
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.tls.pool()}, DisableKeepAlives: true}}
}

// stop ends the provider's process. Its port stays reserved.
func (p *provider) stop(t testing.TB) {
	t.Helper()
	p.tokens = p.handedOut(t)
	p.process.stop(t, syscall.SIGKILL)
	p.witness.close()
}

// hits returns how many requests the provider got for a path.
func (p *provider) hits(t testing.TB, path string) int {
	t.Helper()
	var counts map[string]int
	p.ask(t, "/_stats", &counts)
	return counts[path]
}

// handedOut returns all tokens that the provider issued to the relying party.
func (p *provider) handedOut(t testing.TB) []token {
	t.Helper()
	if p.process == nil || !p.process.running() {
		return p.tokens
	}
	var now []token
	if p.witness != nil {
		now = p.witness.handedOut()
	} else {
		p.ask(t, "/_tokens", &now)
	}
	return append(p.tokens[:len(p.tokens):len(p.tokens)], now...)
}

func (p *provider) ask(t testing.TB, path string, answer any) {
	t.Helper()
	r, err := p.client().Get(p.issuer + path)
	if err != nil {
		t.Fatalf("%s does not answer: %v", p.kind, err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(answer); err != nil {
		t.Fatalf("%s%s: %v", p.kind, path, err)
	}
}

// userinfoPath returns the path by which the provider counts userinfo requests.
func (p *provider) userinfoPath() string { return habits[p.kind].userinfo }

// origin returns the issuer without its path.
func (p *provider) origin() string {
	if p.tls != nil {
		return fmt.Sprintf("https://localhost:%d", p.port)
	}
	return fmt.Sprintf("http://localhost:%d", p.port)
}

// offers reports whether the provider's metadata has an endpoint.
func (p *provider) offers(t testing.TB, endpoint string) bool {
	t.Helper()
	var metadata map[string]any
	p.ask(t, "/.well-known/openid-configuration", &metadata)
	return metadata[endpoint] != nil
}

// issParameter returns the iss parameter to append to a response of the provider, if its
// metadata promises one (RFC 9207).
func (p *provider) issParameter(t testing.TB) string {
	t.Helper()
	var metadata struct {
		Promised bool `json:"authorization_response_iss_parameter_supported"`
	}
	p.ask(t, "/.well-known/openid-configuration", &metadata)
	if !metadata.Promised {
		return ""
	}
	return "&iss=" + url.QueryEscape(p.issuer)
}
