package oidcrp_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/go-jose/go-jose/v4"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/accesskey"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

const (
	anonymous = 0
	oneUser   = 1
	manyUsers = 10_000
	// newUsers means that every request has a session that was never seen before.
	newUsers = -1
)

// benchmark is one case of BenchmarkRequest.
type benchmark struct {
	name  string
	size  int // of the cookies' values, in bytes
	users int // who take turns
	guard bool
	mode  string
	route string // lines of the site's block
	want  int    // the status
}

// threeRules depend only on the session.
const threeRules = `require group staff
		require email_domain example.com
		require claim level 3`

// benchProvider is a provider that gets no requests.
const benchProvider = `
		issuer https://op.test
		client_id rp
		authorization_endpoint https://op.test/authorize
		token_endpoint https://op.test/token
		jwks_uri https://op.test/keys
		`

// BenchmarkRequest measures what the guard adds to a request. Compare the cases with
// «next handler alone», which only calls the next handler. Caddy's own work for a
// request and the sealing of the sessions are not counted. Their garbage is collected
// while the timer is stopped: it is many times that of the handler, which the bytes per
// request show.
func BenchmarkRequest(b *testing.B) {
	for _, c := range []benchmark{
		{"next handler alone", 1024, oneUser, false, oidcrp.ModePrivate, "", http.StatusOK},
		{"one user, 1 KiB", 1024, oneUser, true, oidcrp.ModePrivate, "", http.StatusOK},
		{"one user, 1 KiB, three rules", 1024, oneUser, true, oidcrp.ModePrivate, threeRules, http.StatusOK},
		{"one user, 4 KiB", 4096, oneUser, true, oidcrp.ModePrivate, "", http.StatusOK},
		{"10,000 users in turn, 1 KiB", 1024, manyUsers, true, oidcrp.ModePrivate, "", http.StatusOK},
		{"first time, 1 KiB", 1024, newUsers, true, oidcrp.ModePrivate, "", http.StatusOK},
		{"first time, 4 KiB", 4096, newUsers, true, oidcrp.ModePrivate, "", http.StatusOK},
		{"an expression of the session", 1024, oneUser, true, oidcrp.ModePrivate, "require expression `\"staff\" in groups && claims.email_verified == true`", http.StatusOK},
		{"an expression of the request", 1024, oneUser, true, oidcrp.ModePrivate, "require expression `request.path.startsWith(\"/reports/\") && request.method == \"GET\"`", http.StatusOK},
		{"an expression of both", 1024, oneUser, true, oidcrp.ModePrivate, "require expression `\"staff\" in groups && request.path.startsWith(\"/reports/\")`", http.StatusOK},
		{"anonymous, public site", 0, anonymous, true, oidcrp.ModePublic, "", http.StatusOK},
		{"anonymous, public route", 0, anonymous, true, oidcrp.ModePrivate, "public /open/* /reports/*", http.StatusOK},
		{"redirect to the login", 0, anonymous, true, oidcrp.ModePrivate, "", http.StatusFound},
	} {
		b.Run(c.name, func(b *testing.B) { benchmarkRequest(b, c) })
	}
}

func benchmarkRequest(b *testing.B, c benchmark) {
	h := benchHandler(b, c.mode, benchProvider+c.route)
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	var handler caddyhttp.Handler = next
	if c.guard {
		handler = caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return h.ServeHTTP(w, r, next) })
	}
	page, cookies := benchPage("/reports/2026"), benchCookies(b, h, c)
	if c.users == manyUsers { // all of them have been here before
		for range c.users {
			w, r := benchRequest(page, cookies())
			if err := handler.ServeHTTP(w, r); err != nil {
				b.Fatal(err)
			}
		}
	}
	serveInBatches(b, handler, c.guard, c.want, func() (*httptest.ResponseRecorder, *http.Request) { return benchRequest(page, cookies()) })
}

// serveInBatches has a handler serve requests and measures only the handler. fresh
// reports whether the handler needs a new request each time.
func serveInBatches(b *testing.B, handler caddyhttp.Handler, fresh bool, want int, request func() (*httptest.ResponseRecorder, *http.Request)) {
	const batch = 16 // few, as a server handles what it has just read
	var writers [batch]*httptest.ResponseRecorder
	var requests [batch]*http.Request
	b.ReportAllocs()
	b.ResetTimer()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	clock := &benchClock{b: b}
	clock.start()
	for i := 0; i < b.N; i++ {
		// The timer excludes what Caddy allocates for each request. The next handler
		// accepts any request, so it gets the same ones.
		if i%batch == 0 && (fresh || i == 0) {
			clock.stop()
			for j := range writers {
				writers[j], requests[j] = request()
			}
			if i%(256*batch) == 0 {
				runtime.GC()
			}
			clock.start()
		}
		if err := handler.ServeHTTP(writers[i%batch], requests[i%batch]); err != nil || writers[i%batch].Code != want {
			b.Fatal(err, writers[i%batch].Code)
		}
	}
	clock.stop()
	clock.report()
}

// BenchmarkAccessKey measures what the guard adds to a request of a program, with
// 10,000 keys in the file. Compare with «next handler alone» of BenchmarkRequest.
func BenchmarkAccessKey(b *testing.B) {
	keys, file := benchKeys(b, 10_000)
	h := benchHandler(b, oidcrp.ModePrivate, fmt.Sprintf(benchProvider+`require group deploy
		application {
			access_keys %s
			header X-Api-Key
			basic on
		}`, file))
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	handler := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return h.ServeHTTP(w, r, next) })
	unlisted := "orp_ci_" + strings.Repeat("A", 43) + "_43ffd8e6"
	for _, c := range []struct {
		name, header string
		value        func(i int) string
		want         int
	}{
		{"one key", "Authorization", func(int) string { return "Bearer " + keys[0] }, http.StatusOK},
		{"10,000 keys in turn", "Authorization", func(i int) string { return "Bearer " + keys[i%len(keys)] }, http.StatusOK},
		{"one key, in a header", "X-Api-Key", func(int) string { return keys[0] }, http.StatusOK},
		{"one key, as a password", "Authorization", func(int) string {
			return "Basic " + base64.StdEncoding.EncodeToString([]byte("program-0:"+keys[0]))
		}, http.StatusOK},
		{"a key that no line has", "Authorization", func(int) string { return "Bearer " + unlisted }, http.StatusUnauthorized},
	} {
		b.Run(c.name, func(b *testing.B) {
			i := 0
			serveInBatches(b, handler, true, c.want, func() (*httptest.ResponseRecorder, *http.Request) {
				r := httptest.NewRequest(http.MethodGet, rpURL+"/reports/2026", nil)
				r.Header.Set(c.header, c.value(i))
				i++
				return benchRequest(r, "")
			})
		})
	}
}

// BenchmarkCheck measures the response to another proxy, for requests like those of
// BenchmarkRequest. Compare with its «one user, 1 KiB».
func BenchmarkCheck(b *testing.B) {
	for _, c := range []struct {
		benchmark
		uri string
	}{
		{benchmark{"one user, 1 KiB", 1024, oneUser, true, oidcrp.ModePrivate, "", http.StatusOK}, "/reports/2026"},
		{benchmark{"one user, 1 KiB, a path with many readings", 1024, oneUser, true, oidcrp.ModePrivate, "public /open/*", http.StatusOK}, "/a%2Fb/..;/c"},
		{benchmark{"redirect to the login", 0, anonymous, true, oidcrp.ModePrivate, "", http.StatusSeeOther}, "/reports/2026"},
	} {
		b.Run(c.name, func(b *testing.B) {
			h := benchHandler(b, c.mode, fmt.Sprintf(benchProvider+`%s
		upstream {
			header X-User {http.auth.user.id}
			header X-Groups groups
		}
		check forwarded {
			hosts rp.test
		}`, c.route))
			next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
			handler := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return h.ServeHTTP(w, r, next) })
			page, cookies := benchPage("/@app/auth/check"), benchCookies(b, h, c.benchmark)
			for name, value := range map[string]string{"Method": "GET", "Proto": "https", "Host": "rp.test", "Uri": c.uri} {
				page.Header.Set("X-Forwarded-"+name, value)
			}
			serveInBatches(b, handler, true, c.want, func() (*httptest.ResponseRecorder, *http.Request) {
				w, r := benchRequest(page, cookies())
				caddyhttp.SetVar(r.Context(), caddyhttp.TrustedProxyVarKey, true)
				return w, r
			})
		})
	}
}

// BenchmarkAccessToken measures what the guard adds to a request of a program with a
// JWT access token, both for a token that was checked before and for a new one.
func BenchmarkAccessToken(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k"}}})
	if err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(b.TempDir(), "keys.json")
	if err := os.WriteFile(file, set, 0o600); err != nil {
		b.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "k"}}, new(jose.SignerOptions).WithType("at+jwt"))
	if err != nil {
		b.Fatal(err)
	}
	h := benchHandler(b, oidcrp.ModePrivate, fmt.Sprintf(benchProvider+`require group ci/deploy
		application {
			bearer jwt ci {
				issuer https://ci.test
				audience api
				jwks {file.%s}
			}
		}`, file))
	token := func(i int) string {
		claims := fmt.Sprintf(`{"iss":"https://ci.test","sub":"u","aud":"api","jti":"%d","exp":%d,"groups":["deploy"],"more":%q}`, i, time.Now().Add(time.Hour).Unix(), strings.Repeat("x", 500))
		jws, err := signer.Sign([]byte(claims))
		if err != nil {
			b.Fatal(err)
		}
		text, err := jws.CompactSerialize()
		if err != nil {
			b.Fatal(err)
		}
		return text
	}
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	handler := caddyhttp.HandlerFunc(func(w http.ResponseWriter, r *http.Request) error { return h.ServeHTTP(w, r, next) })
	one := token(0)
	for _, c := range []struct {
		name  string
		token func(i int) string
	}{{"one token", func(int) string { return one }}, {"first time", token}} {
		b.Run(c.name, func(b *testing.B) {
			i := 0
			serveInBatches(b, handler, true, http.StatusOK, func() (*httptest.ResponseRecorder, *http.Request) {
				r := httptest.NewRequest(http.MethodGet, rpURL+"/reports/2026", nil)
				i++
				r.Header.Set("Authorization", "Bearer "+c.token(i))
				return benchRequest(r, "")
			})
		})
	}
}

// benchKeys makes a file of access keys.
func benchKeys(b *testing.B, count int) (keys []string, file string) {
	b.Helper()
	var lines strings.Builder
	for i := range count {
		key, err := accesskey.New(fmt.Sprintf("program-%d", i))
		if err != nil {
			b.Fatal(err)
		}
		keys = append(keys, key)
		fmt.Fprintf(&lines, "program-%d:%x:deploy\n", i, accesskey.HashOf(key))
	}
	file = filepath.Join(b.TempDir(), "keys.txt")
	if err := os.WriteFile(file, []byte(lines.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	return keys, file
}

// benchClock is a benchmark timer that counts CPU time as well, because the elapsed
// time means little on a busy machine.
type benchClock struct {
	b          *testing.B
	since, sum time.Duration
}

func (c *benchClock) start() {
	c.b.StartTimer()
	c.since = cpuUsed()
}

func (c *benchClock) stop() {
	c.sum += cpuUsed() - c.since
	c.b.StopTimer()
}

func (c *benchClock) report() {
	if c.sum > 0 {
		c.b.ReportMetric(float64(c.sum)/float64(c.b.N), "cpu-ns/op")
	}
}

// benchCookies returns a function that makes the next request's Cookie header: a new
// string each time, as a server reads it, or none for anonymous requests.
func benchCookies(b *testing.B, h *oidcrp.Handler, c benchmark) func() string {
	b.Helper()
	if c.users == anonymous {
		return func() string { return "" }
	}
	seal := benchSessions(b, h, c.size)
	header := func() string { return "theme=dark; " + seal() + "; lang=en" }
	if c.users == newUsers {
		return header
	}
	pool := make([]string, c.users)
	for i := range pool {
		pool[i] = header()
	}
	turn := 0
	return func() string {
		turn++
		return strings.Clone(pool[turn%len(pool)])
	}
}

// benchServer is the server that PrepareRequest adds to every request.
var benchServer = new(caddyhttp.Server)

// benchPage returns a navigation to a page, without a session.
func benchPage(target string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, rpURL+target, nil)
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", "none")
	return r
}

// benchRequest returns the same request with these cookies, as Caddy hands it to a
// handler.
func benchRequest(page *http.Request, cookies string) (*httptest.ResponseRecorder, *http.Request) {
	r := page.Clone(page.Context())
	if cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	w := httptest.NewRecorder()
	return w, caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, benchServer)
}

// benchHandler returns a provisioned handler with its own keys. options are lines of
// its block.
func benchHandler(b *testing.B, mode, options string) *oidcrp.Handler {
	b.Helper()
	config, err := adapt(fmt.Sprintf(`{
	admin off
	auto_https off
	storage file_system %s
	log {
		output discard
	}
	servers {
		trusted_proxies static 192.0.2.0/24
	}
}
http://rp.test {
	oidc_rp %s {
		%s
		session {
			secret %s
		}
	}
}`,
		b.TempDir(), mode, options, strings.Repeat("k", 32)))
	if err != nil {
		b.Fatal(err)
	}
	ctx, err := provision(config)
	if err != nil {
		b.Fatal(err)
	}
	app, err := ctx.App("oidc_rp")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := ctx.App("http"); err != nil {
		b.Fatal(err)
	}
	return app.(*oidcrp.App).Handlers()[0]
}

// benchSessions returns a function that makes the Cookie header of a new session each
// time. Its cookies' values have the given size.
func benchSessions(b *testing.B, h *oidcrp.Handler, size int) func() string {
	b.Helper()
	r := httptest.NewRequest(http.MethodGet, rpURL+"/", nil)
	s := h.Instance().Scopes.Of(r)
	ring, err := h.Instance().Keys.Ring(r.Context())
	if err != nil {
		b.Fatal(err)
	}
	now := h.Now()
	user := session.Session{
		Binding: h.Instance().Default.Binding, Provider: h.Instance().Default.ID, Subject: "248289761001", Username: "alice",
		SignedIn: now, Seen: now, Expires: now.Add(12 * 3600e9),
	}
	sealed := func() string {
		fresh := user
		fresh.ID = session.NewID()
		return ring.Seal(seal.ForSession, s.SessionAAD, fresh.Encode())
	}
	members := benchClaims()
	for i := 0; ; i++ {
		if user.Claims, err = claims.Encode(members); err != nil {
			b.Fatal(err)
		}
		if len(sealed()) >= size {
			break
		}
		// These texts hardly compress.
		members[fmt.Sprintf("claim_%02d", i)] = json.RawMessage(`"` + essay(28 * (i + 1))[28*i:] + `"`)
	}
	return func() string {
		chunks, _ := cookie.Split(sealed(), cookie.MaxChunks)
		for i, chunk := range chunks {
			chunks[i] = cookie.ChunkName(s.Session, i) + "=" + chunk
		}
		return strings.Join(chunks, "; ")
	}
}

// benchClaims returns the claims of a typical user.
func benchClaims() map[string]json.RawMessage {
	return map[string]json.RawMessage{
		"name": json.RawMessage(`"Alice Example"`), "email": json.RawMessage(`"alice@example.com"`), "email_verified": json.RawMessage(`true`),
		"preferred_username": json.RawMessage(`"alice"`), "groups": json.RawMessage(`["admins","staff","engineering","on-call"]`),
		"level": json.RawMessage(`3`),
	}
}

// essay returns a text of size bytes that hardly compresses.
func essay(size int) string {
	text := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(text)
	return base64.RawURLEncoding.EncodeToString(text)[:size]
}
