package integration_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestACookieDomainSharesTheSessionBetweenItsSites(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Register("https://a.rp.test/@app/auth/default/code", "https://b.rp.test/@app/auth/default/code", "https://other.test/@app/auth/default/code")
	r := newHarnessAt(t, storageDir(t), "http://a.rp.test, http://b.rp.test {\noidc_rp {\n"+options(op)+"session {\ncookie shared {\ndomain rp.test\n}\n}\n}\nreverse_proxy {upstream} {\nheader_up X-User {http.auth.user.id}\n}\n}")
	b := r.browser()
	if p := b.open("https://a.rp.test/x"); p.body != "application sees alice" {
		t.Fatalf("status %d: %s\n%s", p.StatusCode, p.body, r.logs())
	}
	p := b.get("https://b.rp.test/x")
	if p.body != "application sees alice" {
		t.Errorf("status %d: %s", p.StatusCode, p.body)
	}
	if p := b.open("https://b.rp.test/Special:UserLogout", op.Issuer()); p.StatusCode != http.StatusSeeOther || !strings.Contains(p.location(), "id_token_hint=") {
		t.Errorf("the logout leads to %s", p.location())
	}
	if p := b.get("https://a.rp.test/x"); p.StatusCode != http.StatusFound {
		t.Errorf("after the logout at the other site: status %d", p.StatusCode)
	}
}

func TestCookieAttributes(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for config, want := range map[string]string{
		"":                            "__Host-oidc_rp=; Path=/; Max-Age=; HttpOnly; Secure; SameSite=Lax",
		"cookie mine":                 "__Host-mine=; Path=/; Max-Age=; HttpOnly; Secure; SameSite=Lax",
		"cookie {\ndomain rp.test\n}": "__Secure-oidc_rp=; Path=/; Domain=rp.test; Max-Age=; HttpOnly; Secure; SameSite=Lax",
		"cookie {\nsame_site none\npartitioned\n}": "__Host-oidc_rp=; Path=/; Max-Age=; HttpOnly; Secure; SameSite=None; Partitioned",
		"cookie {\ninsecure\n}":                    "oidc_rp=; Path=/; Max-Age=; HttpOnly; SameSite=Lax",
	} {
		r := newHarness(t, "oidc_rp {\n"+options(op)+"session {\n"+config+"\nlifetime 1h\n}\n}")
		p := r.browser().open("/x", rpURL+"/x")
		var got string
		for _, line := range p.Header["Set-Cookie"] {
			name, rest, _ := strings.Cut(line, "=")
			if strings.Contains(name, "_tx_") || strings.HasSuffix(name, "_hint") {
				continue
			}
			_, attributes, _ := strings.Cut(rest, "; ")
			got = name + "=; " + attributes
		}
		for _, age := range []string{"Max-Age=3600", "Max-Age=3599"} {
			got = strings.Replace(got, age, "Max-Age=", 1)
		}
		if got != want {
			t.Errorf("%q gives %q\nnot %q", config, got, want)
		}
	}
}

func TestPlainHTTPBeginsNoLoginUnlessItIsSafeOrAllowed(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for _, row := range []struct {
		name, host, config string
		begins             bool
	}{
		{"any host", "rp.test", "", false},
		{"loopback", "127.0.0.1:8080", "", true},
		{"localhost", "localhost", "", true},
		{"allowed", "rp.test", "session {\ncookie {\ninsecure\n}\n}", true},
		{"an https base_url", "rp.test", "base_url https://rp.test", true},
		{"an http base_url", "rp.test", "base_url http://rp.test", false},
	} {
		r := newHarnessAt(t, storageDir(t), ":80 {\noidc_rp {\n"+options(op)+row.config+"\n}\nreverse_proxy {upstream}\n}")
		plain := httptest.NewServer(r.server.Config.Handler)
		request, err := http.NewRequest(http.MethodGet, plain.URL+"/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = row.host
		request.Header.Set("Accept", "text/html")
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		plain.Close()
		if begins := response.StatusCode == http.StatusFound; begins != row.begins {
			t.Errorf("%s: status %d", row.name, response.StatusCode)
		}
		if !row.begins && (response.StatusCode != http.StatusForbidden || !strings.Contains(string(body), "plain HTTP") || !strings.Contains(r.logs(), "set base_url")) {
			t.Errorf("%s: status %d: %s", row.name, response.StatusCode, body)
		}
	}
}

func TestTheClientSecretFileIsReadAtEachUse(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	file := filepath.Join(t.TempDir(), "secret")
	write := func(secret string) {
		if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("an old secret")
	r := newHarness(t, fmt.Sprintf("oidc_rp {\nissuer %s\nclient_id rp\nclient_secret {file.%s}\n}", op.Issuer(), file))
	if p := r.browser().open("/"); !strings.Contains(p.body, "token_exchange_failed") || !strings.Contains(r.logs(), "client_secret_basic") {
		t.Fatalf("status %d: %s", p.StatusCode, p.body)
	}
	op.TakeViolations()
	write(op.Client().Secret)
	if p := r.browser().open("/"); p.StatusCode != http.StatusOK {
		t.Errorf("status %d after the file was changed", p.StatusCode)
	}
}

func TestProviderBehindItsOwnAuthorityOrAProxy(t *testing.T) {
	t.Parallel()
	secure := newOP(t, oidctest.TLS())
	r := newHarness(t, "oidc_rp {\n"+options(secure)+"tls {\nca "+secure.CAFile()+"\n}\n}")
	p := r.browser().get("/x")
	if p.StatusCode != http.StatusFound {
		t.Errorf("with its authority: status %d\n%s", p.StatusCode, r.logs())
	}
	r = newHarness(t, "oidc_rp {\n"+options(secure)+"}")
	if p := r.browser().get("/x"); p.StatusCode != http.StatusServiceUnavailable || !strings.Contains(r.logs(), "tls { ca") {
		t.Errorf("without: status %d\n%s", p.StatusCode, r.logs())
	}
	op := newOP(t)
	var proxied atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxied.Add(1)
		target, _ := url.Parse(op.Issuer())
		httputil.NewSingleHostReverseProxy(target).ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	r = newHarness(t, "oidc_rp {\n"+options(op)+"proxy "+proxy.URL+"\n}")
	if p := r.browser().open("/"); p.StatusCode != http.StatusOK || proxied.Load() < 3 {
		t.Errorf("by a proxy: status %d, %d requests", p.StatusCode, proxied.Load())
	}
}

func TestSmallProviderOptions(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.NoPKCE())
	user := op.User("alice")
	user.Claims["https://example.com/team"], user.Claims["org.unit"] = "red", "sales"
	user.Claims["deep"] = map[string]any{"a.b": map[string]any{"c": 7}}
	op.SetUser("alice", user)
	r := newHarnessAt(t, storageDir(t), "http://rp.test {\noidc_rp {\n"+options(op)+`pkce off
		authorization_params {
			prompt login
		}
		forward_params login_hint ui_locales
		claims {
			team https://example.com/team
			number deep.a\.b.c
		}
	}
	respond "{http.auth.user.claims.team} {http.auth.user.claims.number} {http.auth.user.claims.org.unit} {http.oidc_rp.expires}"
}`)
	b := r.browser()
	p := b.get("/@app/auth/default/login?login_hint=al&ui_locales=fr&prompt=none&scope=admin&acr_values=1")
	u, _ := url.Parse(p.location())
	q := u.Query()
	if q.Get("login_hint") != "al" || q.Get("ui_locales") != "fr" || q.Get("prompt") != "login" || q.Get("scope") != "openid profile email" || q.Has("acr_values") || q.Has("code_challenge") {
		t.Errorf("the provider is asked with %v", q)
	}
	p = b.open(p.location())
	if !strings.HasPrefix(p.body, "red 7 sales ") {
		t.Errorf("the page shows %q", p.body)
	}
	if _, err := time.Parse(time.RFC3339, strings.Fields(p.body)[3]); err != nil {
		t.Error(err)
	}
}

func TestSymmetricSignaturesOnlyWhereTheyAreNamed(t *testing.T) {
	t.Parallel()
	client := newOP(t).Client()
	client.Secret = strings.Repeat("a long secret ", 3) // HMAC wants as many bytes as the hash has (RFC 7518 3.2)
	op := newOP(t, oidctest.Alg("HS256"), oidctest.WithClient(client))
	if p := newHarness(t, "oidc_rp {\n"+options(op)+"}").browser().open("/"); !strings.Contains(p.body, "token_invalid") {
		t.Errorf("not named: status %d: %s", p.StatusCode, p.body)
	}
	if p := newHarness(t, "oidc_rp {\n"+options(op)+"id_token_algs HS256\n}").browser().open("/"); p.StatusCode != http.StatusOK {
		t.Errorf("named: status %d: %s", p.StatusCode, p.body)
	}
}

func TestUnauthenticatedWords(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, "oidc_rp public {\n"+options(op)+"private /redirect/* {\nunauthenticated redirect\n}\nprivate /deny/* {\nunauthenticated deny\n}\nprivate /auto/*\n}")
	script := map[string]string{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
	for path, want := range map[string][2]int{"/redirect/x": {302, 302}, "/deny/x": {401, 401}, "/auto/x": {302, 401}} {
		if page, program := r.browser().get(path).StatusCode, r.browser().send("GET", path, script).StatusCode; page != want[0] || program != want[1] {
			t.Errorf("%s: a page gets %d, a script %d", path, page, program)
		}
	}
}

func TestOwnPagesTakeThePlaceOfTheBuiltInOnes(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "signed_out.html"), []byte(`{{define "content"}}Good bye from {{.Host}}{{end}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newHarness(t, "oidc_rp {\n"+options(newOP(t))+"pages "+folder+"\n}")
	if p := r.browser().get("/Special:UserLogout"); !strings.Contains(p.body, "Good bye from rp.test") || !strings.Contains(p.body, "<style nonce=") {
		t.Errorf("the page is %s", p.body)
	}
}

func TestTheGuardIsPartOfWhateverRouteItStandsIn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	op.Register(rpURL + "/@app/auth/corp/code")
	guard := "oidc_rp {\n" + options(op) + "}\n"
	app := "reverse_proxy {upstream} {\nheader_up X-User {http.auth.user.id}\n}\n"
	global := "oidc_rp {\nprovider corp {\n" + options(op) + "}\n}"
	for name, sites := range map[string]string{
		"a route": "http://rp.test {\nroute {\n" + guard + app + "}\n}",
		// Of several directives in a named route Caddy 2.11.9 keeps the first alone.
		"a named route":       "&(guarded) {\noidc_rp\n}\nhttp://rp.test {\ninvoke guarded\n" + app + "}",
		"a whole named route": "&(guarded) {\nroute {\noidc_rp\n" + app + "}\n}\nhttp://rp.test {\ninvoke guarded\n}",
		"a snippet":           "(guarded) {\noidc_rp\n" + app + "}\nhttp://rp.test {\nimport guarded\n}",
		"try_files":           "http://rp.test {\nroot /nowhere\ntry_files {path} /page\noidc_rp\n" + app + "}",
	} {
		r := newHarnessAt(t, storageDir(t), sites, global)
		if p := r.browser().open("/page?a=b"); p.body != "application sees alice" || !strings.HasSuffix(p.url, "/page?a=b") {
			t.Errorf("in %s: status %d at %s: %s", name, p.StatusCode, p.url, p.body)
		}
	}
}

func TestASiteForAnyHostIsWarnedAbout(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	for config, warned := range map[string]bool{
		":80 {\noidc_rp {\n" + options(op) + "}\n}":                                  true,
		":80 {\noidc_rp {\n" + options(op) + "base_url https://rp.test\n}\n}":        false,
		"http://rp.test {\noidc_rp {\n" + options(op) + "}\n}":                       false,
		":80 {\n@h host rp.test\nhandle @h {\noidc_rp {\n" + options(op) + "}\n}\n}": false,
	} {
		r := newHarnessAt(t, storageDir(t), config)
		if got := strings.Contains(r.logs(), "answers to any host name"); got != warned {
			t.Errorf("%s\nwarned: %v", config, got)
		}
	}
}

func TestAccessLogNamesTheUser(t *testing.T) {
	t.Parallel()
	r := newHarnessAt(t, storageDir(t), "http://rp.test {\nlog\noidc_rp {\n"+options(newOP(t))+"}\nreverse_proxy {upstream}\n}")
	signedIn(t, r)
	for line := range strings.Lines(r.logs()) {
		var entry struct {
			Logger string
			User   string `json:"user_id"`
			Status int
		}
		if json.Unmarshal([]byte(line), &entry) == nil && strings.HasPrefix(entry.Logger, "http.log.access") && entry.Status == 200 {
			if entry.User != "alice" {
				t.Errorf("user_id is %q", entry.User)
			}
			return
		}
	}
	t.Error("no line about the page")
}

// TestStreamsAndUpgradesPassTheResponder: an event stream is flushed, early
// hints come before it, and a WebSocket is upgraded.
func TestStreamsAndUpgradesPassTheResponder(t *testing.T) {
	t.Parallel()
	r := newHarness(t, "oidc_rp {\n"+options(newOP(t))+"upgrades echo\n}")
	b := signedIn(t, r)
	release := make(chan struct{})
	r.upstream.mu.Lock()
	r.upstream.answer = func(w http.ResponseWriter, q *http.Request) {
		if q.Header.Get("Upgrade") != "" {
			conn, buffer, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			line, _ := buffer.ReadString('\n')
			fmt.Fprint(conn, line)
			return
		}
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		<-release
	}
	r.upstream.mu.Unlock()
	request := func(extra string) (net.Conn, *bufio.Reader, *http.Response) {
		conn, err := tls.Dial("tcp", r.server.Listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
		fmt.Fprintf(conn, "GET /x HTTP/1.1\r\nHost: rp.test\r\n%sCookie: %s\r\n\r\n", extra, b.cookieHeader())
		reader := bufio.NewReader(conn)
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode == http.StatusEarlyHints {
			if response, err = http.ReadResponse(reader, nil); err != nil {
				t.Fatal(err)
			}
		}
		return conn, reader, response
	}
	_, _, stream := request("")
	event, err := bufio.NewReader(stream.Body).ReadString('\n')
	close(release)
	if err != nil || event != "data: 1\n" || stream.Header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("the stream has %q, %v, %v", event, err, stream.Header)
	}
	conn, reader, upgraded := request("Connection: Upgrade\r\nUpgrade: echo\r\n")
	fmt.Fprint(conn, "hello\n")
	if line, err := reader.ReadString('\n'); upgraded.StatusCode != http.StatusSwitchingProtocols || line != "hello\n" {
		t.Errorf("status %d, %q, %v", upgraded.StatusCode, line, err)
	}
}

func TestEarlyDataSpendsNothing(t *testing.T) {
	t.Parallel()
	r := newHarness(t, "oidc_rp {\n"+options(newOP(t))+"}")
	for path, want := range map[string]int{"/@app/auth/default/code?state=x&code=y": http.StatusTooEarly, "/Special:UserLogout": http.StatusTooEarly, "/@app/auth/default/login": http.StatusFound} {
		w := httptest.NewRecorder()
		request := httptest.NewRequest(http.MethodGet, rpURL+path, nil)
		request.TLS = &tls.ConnectionState{HandshakeComplete: false}
		r.server.Config.Handler.ServeHTTP(w, request)
		if w.Code != want {
			t.Errorf("%s: status %d", path, w.Code)
		}
	}
}
