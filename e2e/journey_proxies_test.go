package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// snippet returns a configuration in docs/other-proxies.md: the n-th in a language below
// a heading.
func snippet(t *testing.T, headline, language string, n int) string {
	t.Helper()
	text, err := os.ReadFile("../docs/other-proxies.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## "+headline+"\n")
	if !found {
		t.Fatalf("docs/other-proxies.md has no headline %q", headline)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	blocks := regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(section, -1)
	if len(blocks) <= n {
		t.Fatalf("docs/other-proxies.md: expected %d configurations in %s under %q, seen %d", n+1, language, headline, len(blocks))
	}
	return blocks[n][1]
}

// replaced replaces texts, and fails if one of them does not occur.
func replaced(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("expected %q in\n%s", pairs[i], text)
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	return text
}

// startChecked starts a world whose Caddy answers the checks of another proxy, with the
// first Caddyfile below a heading, and returns Caddy's port. The proxy gets the site's
// address. address is the site's address in the Caddyfile.
func startChecked(t *testing.T, headline, address string) (w *world, port int) {
	t.Helper()
	w = newWorld(t, zitadel, site{})
	w.op.start(t)
	w.proxied = true
	port = freePort(t)
	global, text, found := strings.Cut(strings.TrimPrefix(snippet(t, headline, "caddyfile", 0), "{\n"), "\n}\n")
	if !found {
		t.Fatal("the Caddyfile has no global options")
	}
	text = regexp.MustCompile(`issuer \S+\s+client_id \S+\s+client_secret \S+\n`).ReplaceAllLiteralString(text, fmt.Sprintf(`issuer %s
		client_id rp
		client_secret {env.OIDC_CLIENT_SECRET}
		%s
		deny user bob
`, w.op.issuer, habits[zitadel].options))
	text = replaced(t, text, "hosts app.example.com", "hosts 127.0.0.1", address+" {", fmt.Sprintf("%s {\n\tbind 127.0.0.1\n\tlog", replaced(t, address, "8080", fmt.Sprint(port))))
	text = strings.ReplaceAll(text, "http://app.example.com:", "http://127.0.0.1:")
	w.startCaddyWith(site{global: replaced(t, global, "10.0.0.5/32", "127.0.0.1/32")}, text)
	echoWebSockets(w)
	return w, port
}

// echoWebSockets lets the application accept WebSockets and send the user's name on each.
func echoWebSockets(w *world) {
	pages := w.app.server.Config.Handler
	w.app.server.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			pages.ServeHTTP(rw, r)
			return
		}
		conn, _, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfor %s\n", r.Header.Get("X-User"))
		_, _ = io.Copy(io.Discard, conn)
	})
}

// opened sends an upgrade request. It returns the status and the first line after the
// response's header.
func opened(t *testing.T, w *world, cookies, upgrade, origin string) (status int, line string) {
	t.Helper()
	conn, err := net.Dial("tcp", mustParse(w.base).Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(busy * 10 * time.Second))
	fmt.Fprintf(conn, "GET /socket HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-Fetch-Mode: websocket\r\nOrigin: %s\r\nCookie: %s\r\n\r\n",
		mustParse(w.base).Host, upgrade, origin, cookies)
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode == http.StatusSwitchingProtocols {
		line, _ = reader.ReadString('\n')
		return answer.StatusCode, strings.TrimSpace(line)
	}
	body, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body)
}

// jarHeader returns the Cookie header of a browser at the site.
func jarHeader(b *browser) string {
	var all []string
	for _, c := range b.jar.Cookies(mustParse(b.w.base)) {
		all = append(all, c.Name+"="+c.Value)
	}
	return strings.Join(all, "; ")
}

// journeyThroughProxy does what a user and an attacker do at a site behind another proxy.
func journeyThroughProxy(t *testing.T, w *world) {
	b := w.newBrowser()
	login := b.open(oddPath).asks(w)
	if w.app.hits() != 0 {
		t.Errorf("expected no anonymous request to the application, seen %d", w.app.hits())
	}
	login.signIn("alice").isFor("alice", oddPath)

	send := func(path string, header http.Header, cookies string) (int, string, http.Header) {
		t.Helper()
		r, err := http.NewRequest("GET", w.base, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.URL.Opaque = path
		if header != nil {
			r.Header = header
		}
		if cookies != "" {
			r.Header.Set("Cookie", cookies)
		}
		answer, err := b.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body), answer.Header
	}
	got := func(body string) http.Header {
		t.Helper()
		var s seen
		if err := json.Unmarshal([]byte(body), &s); err != nil {
			t.Fatalf("expected the application's page: %v: %.300s", err, body)
		}
		return s.Headers
	}

	// Identity headers and original-URL headers from clients do not reach the
	// application.
	forged := func() http.Header {
		return http.Header{
			"X-User": {"admin"}, "X-Email": {"admin@example.com"}, "X-Original-Url": {"/admin"}, "X-Rewrite-Url": {"/admin"}, "X-Http-Method-Override": {"DELETE"},
			"X-Original-Uri": {"/assets/x"}, "X-Original-Method": {"GET"}, "X-Forwarded-Uri": {"/assets/x"}, "X-Forwarded-Method": {"GET"}, "X-Forwarded-Host": {"evil.example"},
		}
	}
	for name, cookies := range map[string]string{"": "", "alice": jarHeader(b)} {
		status, body, _ := send("/assets/x", forged(), cookies)
		if status != http.StatusOK {
			t.Fatalf("a public page: expected status 200, seen %d: %.300s", status, body)
		}
		header := got(body)
		if header.Get("X-User") != name {
			t.Errorf("a public page: expected the user %q, seen %q", name, header.Get("X-User"))
		}
		for _, gone := range []string{"X-Original-Url", "X-Rewrite-Url", "X-Http-Method-Override"} {
			if value := header.Get(gone); value != "" {
				t.Errorf("a public page: expected no %s, seen %q", gone, value)
			}
		}
		if strings.Contains(header.Get("X-Email"), "admin") {
			t.Errorf("a public page: the application sees the e-mail address %q", header.Get("X-Email"))
		}
	}

	// No spelling of a path and no header opens a private page.
	before := w.app.hits()
	for _, path := range []string{"/x", "/assets/../x", "/assets/%2e%2e/x", "/assets/..%2fx", "/assets/..;/x", "/./x", "/assets/%252e%252e/x"} {
		status, body, header := send(path, forged(), "")
		if status != http.StatusUnauthorized {
			t.Errorf("%s: expected status 401, seen %d: %.300s", path, status, body)
		}
		if header.Get("Location") != "" {
			t.Errorf("%s: expected no Location for a program, seen %s", path, header.Get("Location"))
		}
		if !strings.Contains(body, "login_url") && !strings.Contains(body, "sign") {
			t.Errorf("%s: expected the response of the guard, seen %.300s", path, body)
		}
	}
	if w.app.hits() != before {
		t.Errorf("expected no further request to the application, seen %d", w.app.hits()-before)
	}
	status, body, header := send("/@app/auth/check", http.Header{}, jarHeader(b))
	if status == http.StatusOK || header.Get("X-User") != "" {
		t.Errorf("the endpoint check, from outside: expected no answer, seen %d, X-User %q: %.300s", status, header.Get("X-User"), body)
	}

	// A WebSocket belongs to its user and opens only from the site itself.
	if status, line := opened(t, w, jarHeader(b), "websocket", w.base); status != http.StatusSwitchingProtocols || line != "for alice" {
		t.Errorf("a WebSocket: expected one for alice, seen %d %q", status, line)
	}
	if status, line := opened(t, w, jarHeader(b), "websocket", "https://evil.example"); status != http.StatusForbidden {
		t.Errorf("a WebSocket from another site: expected status 403, seen %d %q", status, line)
	}
	if status, line := opened(t, w, "", "websocket", w.base); status != http.StatusUnauthorized {
		t.Errorf("a WebSocket without a session: expected status 401, seen %d %q", status, line)
	}
	if status, line := opened(t, w, jarHeader(b), "h2c", w.base); status == http.StatusSwitchingProtocols || strings.Contains(line, `"Upgrade"`) {
		t.Errorf("an upgrade to h2c: expected none at the application, seen %d %q", status, line)
	}

	// A user whom a rule refuses sees their username.
	bob := w.newBrowser()
	bob.open("/x").asks(w).signIn("bob").is(http.StatusForbidden, "bob")

	b.open(logoutPath).signOut()
	b.open("/x").asks(w)
}

func TestBehindNginx(t *testing.T) {
	t.Parallel()
	w, port := startChecked(t, "nginx", "http://app.example.com:8080")
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx"
		needFile(t, program)
	}
	dir := t.TempDir()
	text := replaced(t, snippet(t, "nginx", "nginx", 0), "listen 443 ssl;", "listen "+mustParse(w.base).Host+";", "10.0.0.2:8080", fmt.Sprintf("127.0.0.1:%d", port), "127.0.0.1:3000", w.app.addr())
	text = regexp.MustCompile(`(?m)^\s*ssl_certificate.*$`).ReplaceAllString(text, "")
	user := ""
	if os.Geteuid() == 0 {
		user = "user root;"
	}
	config := fmt.Sprintf(`%s
daemon off;
master_process off;
error_log stderr;
pid %[2]s/pid;
events {}
http {
	access_log off;
	client_body_temp_path %[2]s/body;
	proxy_temp_path %[2]s/proxy;
	fastcgi_temp_path %[2]s/fastcgi;
	uwsgi_temp_path %[2]s/uwsgi;
	scgi_temp_path %[2]s/scgi;
%s
}
`, user, dir, text)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	nginx := spawn(t, "nginx", nil, program, "-e", "stderr", "-p", dir, "-c", file)
	awaitProxy(t, w, nginx)
	journeyThroughProxy(t, w)
}

func TestBehindAnotherCaddy(t *testing.T) {
	t.Parallel()
	w, port := startChecked(t, "Caddy", "http://app.example.com:8080")
	front := newNode(t, t.TempDir())
	front.balances = true
	front.start(front.caddyfile("", replaced(t, snippet(t, "Caddy", "caddyfile", 1),
		"app.example.com {", w.base+" {\n\tbind 127.0.0.1", "10.0.0.2:8080", fmt.Sprintf("127.0.0.1:%d", port), "127.0.0.1:3000", w.app.addr())))
	awaitProxy(t, w, front.process)
	journeyThroughProxy(t, w)
}

// TestBehindTraefik imitates Traefik, as its documentation and source describe it, with
// the configuration in docs/other-proxies.md. Traefik itself is too large to build here.
func TestBehindTraefik(t *testing.T) {
	t.Parallel()
	w, port := startChecked(t, "Traefik", ":8080")
	traefik := &http.Server{Handler: newTraefik(t, replaced(t, snippet(t, "Traefik", "yaml", 0), "10.0.0.2:8080", fmt.Sprintf("127.0.0.1:%d", port), "127.0.0.1:3000", w.app.addr()))}
	listener, err := net.Listen("tcp", mustParse(w.base).Host)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = traefik.Serve(listener) }()
	t.Cleanup(func() { _ = traefik.Close() })
	journeyThroughProxy(t, w)
}

// traefik is the part of a configured Traefik that the test needs.
type traefik struct {
	refused      *regexp.Regexp // values of Upgrade that no router accepts
	address      string         // of forwardAuth
	copied       []string       // authResponseHeaders
	removed      []string       // customRequestHeaders without a value
	prefix       string         // of the sign-in router
	path, except string
	app, caddy   *httputil.ReverseProxy
	client       http.Client
}

// newTraefik reads what it needs from a dynamic configuration.
func newTraefik(t *testing.T, config string) *traefik {
	t.Helper()
	find := func(pattern string) []string {
		t.Helper()
		found := regexp.MustCompile(pattern).FindStringSubmatch(config)
		if found == nil {
			t.Fatalf("expected %s in\n%s", pattern, config)
		}
		return found[1:]
	}
	proxyTo := func(address string) *httputil.ReverseProxy {
		target, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host, r.Out.URL.RawQuery = r.In.Host, r.In.URL.RawQuery // passHostHeader
			r.SetXForwarded()
		}}
	}
	signIn := find("rule: Host\\(.*?\\) && \\(PathPrefix\\(`(.*?)`\\) \\|\\| Path\\(`(.*?)`\\)\\) && !Path\\(`(.*?)`\\)\\n")
	servers := regexp.MustCompile(`- url: (\S+)`).FindAllStringSubmatch(config, -1)
	if len(servers) != 2 {
		t.Fatalf("expected two servers, seen %v", servers)
	}
	p := &traefik{
		refused: regexp.MustCompile(find("!HeaderRegexp\\(`Upgrade`, `(.*?)`\\)\\n")[0]), address: find(`address: (\S+)`)[0], copied: strings.Split(find(`authResponseHeaders: \[(.*)\]`)[0], ", "),
		prefix: signIn[0], path: signIn[1], except: signIn[2], app: proxyTo(servers[0][1]), caddy: proxyTo(servers[1][1]),
		client: http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}
	for _, line := range regexp.MustCompile(`(?m)^ +(\S+): ""$`).FindAllStringSubmatch(config, -1) {
		p.removed = append(p.removed, line[1])
	}
	if !strings.Contains(config, "middlewares: [remove, check]") {
		t.Fatal("the configuration has other middlewares")
	}
	return p
}

func (p *traefik) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for name := range r.Header { // the entry point trusts no client
		if strings.HasPrefix(name, "X-Forwarded-") {
			r.Header.Del(name)
		}
	}
	switch {
	case (strings.HasPrefix(r.URL.Path, p.prefix) || r.URL.Path == p.path) && r.URL.Path != p.except:
		p.caddy.ServeHTTP(w, r)
		return
	case slices.ContainsFunc(r.Header["Upgrade"], p.refused.MatchString):
		http.NotFound(w, r)
		return
	}
	for _, name := range p.removed {
		r.Header.Del(name)
	}
	ask, err := http.NewRequestWithContext(r.Context(), http.MethodGet, p.address, nil)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	ask.Header = r.Header.Clone()
	for _, name := range []string{"Connection", "Keep-Alive", "Te", "Trailers", "Transfer-Encoding", "Upgrade", "Proxy-Authorization"} {
		ask.Header.Del(name)
	}
	client, _, _ := net.SplitHostPort(r.RemoteAddr)
	for name, value := range map[string]string{"For": client, "Method": r.Method, "Proto": "http", "Host": r.Host, "Uri": r.URL.RequestURI()} {
		ask.Header.Set("X-Forwarded-"+name, value)
	}
	answer, err := p.client.Do(ask)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		maps.Copy(w.Header(), answer.Header)
		w.WriteHeader(answer.StatusCode)
		_, _ = io.Copy(w, answer.Body)
		return
	}
	for _, name := range p.copied {
		r.Header.Del(name)
		if values := answer.Header[http.CanonicalHeaderKey(name)]; len(values) > 0 {
			r.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	p.app.ServeHTTP(w, r)
}

// awaitProxy waits until a proxy serves the site.
func awaitProxy(t *testing.T, w *world, proxy *process) {
	t.Helper()
	eventually(t, 30*time.Second, "the proxy serves", func() bool {
		if !proxy.running() {
			t.Fatalf("the proxy has ended:\n%s", proxy.log.tail(20))
		}
		conn, err := net.Dial("tcp", mustParse(w.base).Host)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}
