package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	hashMemory = 64 << 20 // of one password hash
	// besideHashes is how much memory 50 sign-ins may use besides their hashes, for
	// connections, pages, and sessions.
	besideHashes = 48 << 20
)

// However many sign-ins come at once, they take the memory of two hashes.
func TestSignInsAtOnceTakeTheMemoryOfTwoHashes(t *testing.T) {
	t.Parallel()
	const people = 50
	port := freePort(t)
	i := newIssuer(t)
	i.caddy.level = "INFO"
	i.start(clientOf("wiki", port, "secret {env.CLIENT_SECRET}"))
	i.caddy.restart(syscall.SIGTERM) // the process has just hashed ada's password
	asked := make([]*page, people)
	for n := range asked {
		b := i.newBrowser()
		b.http.Timeout = 5 * time.Minute
		asked[n] = i.begin(b, port)
	}
	before := i.caddy.memory(t, "VmRSS")
	pages := atOnce(people, func(n int) *page {
		return asked[n].send(asked[n].formWith("password"), "password", issuerPassword).gone()
	})
	for _, p := range pages {
		if p.status != 0 {
			t.Errorf("expected a code, seen:%s", p)
		}
	}
	most, after := i.caddy.memory(t, "VmHWM"), i.caddy.memory(t, "VmRSS")
	t.Logf("resident before %d MiB, at most %d MiB, after %d MiB", before>>20, most>>20, after>>20)
	if more := most - before; more > 2*hashMemory+besideHashes {
		t.Errorf("expected at most %d MiB more, seen %d MiB", (2*hashMemory+besideHashes)>>20, more>>20)
	}
}

// begin opens a browser at the password page, on the way to a client. The browser stops
// once it has a code.
func (i *issuer) begin(b *browser, port int) *page {
	i.t.Helper()
	b.holdAt = hasCode
	p := b.open(i.authorization(port))
	return p.send(p.formWith("username"), "username", "ada").gone()
}

// authorization returns an address that begins a sign-in for the client wiki.
func (i *issuer) authorization(port int) string {
	return fmt.Sprintf("%s/authorize?response_type=code&client_id=wiki&redirect_uri=http://127.0.0.1:%d/callback&scope=openid%%20offline_access"+
		"&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256", i.url, port)
}

// memory returns an entry of the process's /proc status, in bytes.
func (n *node) memory(t *testing.T, what string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.process.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, what+":"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("%s: expected the memory of the process, seen\n%s", what, text)
	return 0
}

// TestFiguresOfTheIdentityProvider prints the figures in docs/performance.md that need a
// whole Caddy. It checks only that they can be measured, and takes few rounds for that;
// E2E_LONG=1 takes as many as the figures need.
func TestFiguresOfTheIdentityProvider(t *testing.T) {
	accounts, rounds, refreshes := 1000, 3, 20
	if long {
		accounts, rounds, refreshes = 100_000, 30, 500
	}
	port := freePort(t)
	i := newIssuer(t)
	i.caddy.level = "INFO"
	i.start(clientOf("wiki", port, "secret {env.CLIENT_SECRET}"))
	var lines strings.Builder
	lines.WriteString("name,email\n")
	for n := range accounts {
		fmt.Fprintf(&lines, "user%06d,user%06d@example.com\n", n, n)
	}
	file := writeFile(t, "users.csv", []byte(lines.String()))
	begun, spent := time.Now(), i.caddy.cpu(t)
	i.operate("", "user", "import", file)
	t.Logf("import of %d accounts: %v, %v of a processor", accounts, time.Since(begun).Round(time.Second), (i.caddy.cpu(t) - spent).Round(time.Second))

	client := crowd(1)
	var refresh string
	signIns := func(times int, password string) time.Duration {
		spent := i.caddy.cpu(t)
		for range times {
			b := i.newBrowser()
			p := i.begin(b, port)
			p = p.send(p.formWith("password"), "password", password).gone()
			if p.status == 0 {
				refresh = i.redeem(t, client, p.url.Query().Get("code"), port)
			}
		}
		return (i.caddy.cpu(t) - spent) / time.Duration(times)
	}
	signIns(3, issuerPassword)
	t.Logf("a sign-in with its hash and the token request, %d accounts: %v", accounts, signIns(rounds, issuerPassword))
	spent = i.caddy.cpu(t)
	for range refreshes {
		i.tokens(t, client, "grant_type=refresh_token&refresh_token="+refresh)
	}
	t.Logf("a token request for a refresh token: %v", (i.caddy.cpu(t)-spent)/time.Duration(refreshes))
}

func (i *issuer) redeem(t *testing.T, client *http.Client, code string, port int) (refresh string) {
	t.Helper()
	return i.tokens(t, client, fmt.Sprintf("grant_type=authorization_code&code=%s&redirect_uri=http://127.0.0.1:%d/callback&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", code, port))
}
