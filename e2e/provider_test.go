package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The providers that the journeys run against. Neither was written by us.
const (
	oidcProvider = "oidc-provider"
	zitadel      = "zitadel"
)

// The password fits both: zitadel checks it, oidc-provider takes any.
func passwordOf(user string) string { return user + "-pw" }

const rpSecret = "rp-secret-0123456789abcdef0123456789abcdef"

// eachProvider runs a journey against both, in parallel.
func eachProvider(t *testing.T, journey func(t *testing.T, kind string)) {
	t.Parallel()
	for _, kind := range []string{oidcProvider, zitadel} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			journey(t, kind)
		})
	}
}

// A provider is an identity provider of its own process. It listens on
// 127.0.0.1 but is called localhost, because cookies know no ports: relying
// party and provider need different host names to be different sites.
type provider struct {
	kind    string
	port    int
	issuer  string
	rpBases []string
	env     []string // more of it, such as AT_TTL, the life of access tokens in seconds
	process *process
	tokens  []token // those of earlier processes of this provider
}

type token struct{ Name, Value string }

// newProvider reserves a port; start starts it.
func newProvider(t testing.TB, kind string, rpBases ...string) *provider {
	t.Helper()
	port := freePort(t)
	return &provider{kind: kind, port: port, issuer: fmt.Sprintf("http://localhost:%d", port), rpBases: rpBases}
}

// start runs the provider until stop or the end of the test. Each start has
// new signing keys and knows no sessions.
func (p *provider) start(t testing.TB) {
	t.Helper()
	env := []string{fmt.Sprintf("PORT=%d", p.port), "RP_BASES=" + strings.Join(p.rpBases, " ")}
	env = append(env, p.env...)
	switch p.kind {
	case oidcProvider:
		node, err := exec.LookPath("node")
		if err != nil {
			t.Fatalf("the provider needs node: %v", err)
		}
		needFile(t, "idps/oidc-provider/node_modules/oidc-provider/package.json")
		p.process = spawn(t, p.kind, env, node, "idps/oidc-provider/provider.mjs")
	case zitadel:
		p.process = spawn(t, p.kind, env, zitadelProgram.path(t))
	default:
		t.Fatalf("unknown provider %q", p.kind)
	}
	p.process.last = func() { p.tokens = p.handedOut(t) }
	eventually(t, 30*time.Second, p.kind+" answers", func() bool {
		if !p.process.running() {
			t.Fatalf("%s has ended:\n%s", p.kind, p.process.log.tail(20))
		}
		r, err := http.Get(p.issuer + "/.well-known/openid-configuration")
		if err != nil {
			return false
		}
		_ = r.Body.Close()
		return r.StatusCode == http.StatusOK
	})
}

// stop ends the provider's process; its port stays reserved.
func (p *provider) stop(t testing.TB) {
	t.Helper()
	p.tokens = p.handedOut(t)
	p.process.stop(t, syscall.SIGKILL)
}

// hits says how often a path of the provider was asked for.
func (p *provider) hits(t testing.TB, path string) int {
	t.Helper()
	var counts map[string]int
	p.ask(t, "/_stats", &counts)
	return counts[path]
}

// handedOut lists every token that the provider gave to the relying party.
func (p *provider) handedOut(t testing.TB) []token {
	t.Helper()
	if p.process == nil || !p.process.running() {
		return p.tokens
	}
	var now []token
	p.ask(t, "/_tokens", &now)
	return append(p.tokens[:len(p.tokens):len(p.tokens)], now...)
}

func (p *provider) ask(t testing.TB, path string, answer any) {
	t.Helper()
	r, err := http.Get(p.issuer + path)
	if err != nil {
		t.Fatalf("%s does not answer: %v", p.kind, err)
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(answer); err != nil {
		t.Fatalf("%s%s: %v", p.kind, path, err)
	}
}

// userinfoPath is where the provider counts calls of its userinfo endpoint.
func (p *provider) userinfoPath() string {
	if p.kind == zitadel {
		return "/userinfo"
	}
	return "/me"
}
