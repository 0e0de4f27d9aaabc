package integration_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// after returns a clock that is ahead of the real one.
func after(d time.Duration) func() time.Time {
	return func() time.Time { return time.Now().Add(d) }
}

func signedIn(t *testing.T, r *harness) *browser {
	t.Helper()
	b := r.browser()
	if p := b.open("/"); p.StatusCode != http.StatusOK {
		t.Fatalf("status %d\n%s\n%s", p.StatusCode, p.body, r.logs())
	}
	return b
}

func TestSessionEndsWithItsLifetime(t *testing.T) {
	t.Parallel()
	r := newHarness(t, "oidc_rp {\n"+options(newOP(t))+"session {\nlifetime 1h\n}\n}")
	b := signedIn(t, r)
	r.at(after(59 * time.Minute))
	if p := b.get("/"); p.StatusCode != http.StatusOK {
		t.Errorf("status %d within the lifetime", p.StatusCode)
	}
	r.at(after(61 * time.Minute))
	if p := b.get("/"); p.StatusCode != http.StatusFound {
		t.Errorf("status %d after the lifetime", p.StatusCode)
	}
}

func TestIdleTimeoutCountsFromTheLastUse(t *testing.T) {
	t.Parallel()
	r := newHarness(t, "oidc_rp {\n"+options(newOP(t))+"session {\nidle_timeout 30m\n}\n}")
	b := signedIn(t, r)
	for _, minutes := range []time.Duration{20, 40, 60} {
		r.at(after(minutes * time.Minute))
		p := b.get("/")
		if p.StatusCode != http.StatusOK {
			t.Fatalf("status %d after %d minutes of use", p.StatusCode, minutes)
		}
		if len(p.Header["Set-Cookie"]) != 1 || p.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("the renewed session came with %v", p.Header)
		}
	}
	r.at(after(91 * time.Minute))
	if p := b.get("/"); p.StatusCode != http.StatusFound {
		t.Errorf("status %d after half an hour without use", p.StatusCode)
	}
}

func TestSessionSurvivesARestartWithManagedKeys(t *testing.T) {
	t.Parallel()
	op, storage := newOP(t), storageDir(t)
	site := "http://rp.test {\noidc_rp {\n" + options(op) + "}\nreverse_proxy {upstream}\n}"
	first := newHarnessAt(t, storage, site)
	b := signedIn(t, first)
	// Another storage object on the same folder is what another process has.
	second := newHarnessAt(t, storage+"/.", site)
	moveTo(b, second)
	if p := b.get("/"); p.StatusCode != http.StatusOK {
		t.Errorf("status %d on the second instance", p.StatusCode)
	}
}

func TestLogoutOnOneInstanceEndsACopiedCookieOnAnother(t *testing.T) {
	t.Parallel()
	op, storage := newOP(t), storageDir(t)
	site := "http://rp.test {\noidc_rp {\n" + options(op) + "end_session off\n}\nreverse_proxy {upstream}\n}"
	first, second := newHarnessAt(t, storage, site), newHarnessAt(t, storage+"/.", site)
	b := signedIn(t, first)
	copied := b.cookieHeader()
	use := func(r *harness) int {
		return r.raw("GET /x HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\nCookie: " + copied + "\r\n\r\n").StatusCode
	}
	if first, second := use(first), use(second); first != http.StatusOK || second != http.StatusOK {
		t.Fatalf("before the logout: %d, %d", first, second)
	}
	if p := b.open("/Special:UserLogout"); p.StatusCode != http.StatusOK || !strings.Contains(p.body, "Signed out") {
		t.Fatalf("status %d: %s", p.StatusCode, p.body)
	}
	if got := use(first); got != http.StatusUnauthorized {
		t.Errorf("the copied cookie gets %d where the logout was", got)
	}
	for end := time.Now().Add(5 * time.Second); use(second) != http.StatusUnauthorized; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the copied cookie still serves on the second instance after five seconds")
		}
	}
}

func TestANewLoginEndsTheSessionThatItReplaces(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, "oidc_rp {\n"+options(op)+"}")
	b := signedIn(t, r)
	old := b.cookieHeader()
	op.SignIn("bob")
	if p := b.open("/@app/auth/default/login?returnto=/next"); p.body != "application sees bob" {
		t.Fatalf("status %d: %s", p.StatusCode, p.body)
	}
	if p := r.raw("GET /x HTTP/1.1\r\nHost: rp.test\r\nConnection: close\r\nCookie: " + old + "\r\n\r\n"); p.StatusCode != http.StatusUnauthorized {
		t.Errorf("the replaced session gets %d", p.StatusCode)
	}
}

func TestSessionOfADisabledOrChangedProviderIsNone(t *testing.T) {
	t.Parallel()
	op, storage := newOP(t), storageDir(t)
	site := "http://rp.test {\noidc_rp {\n" + options(op) + "%s\n}\nreverse_proxy {upstream}\n}"
	b := signedIn(t, newHarnessAt(t, storage, fmt.Sprintf(site, "")))
	for name, change := range map[string]string{"disabled": "disabled", "another client": ""} {
		text := fmt.Sprintf(site, change)
		if change == "" {
			text = strings.Replace(text, "client_id rp", "client_id other", 1)
		}
		r := newHarnessAt(t, storage, text)
		moveTo(b, r)
		if p := b.send(http.MethodGet, "/", map[string]string{"Sec-Fetch-Mode": "cors"}); p.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: status %d", name, p.StatusCode)
		}
	}
}

func TestAtMostFiveLoginsAreInFlight(t *testing.T) {
	const maxLogins = 5
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, "oidc_rp {\n"+options(op)+"}")
	b := r.browser()
	var begun []*visited
	for i := range 9 {
		r.at(after(time.Duration(i) * time.Second))
		begun = append(begun, b.get(fmt.Sprintf("/tab/%d", i)))
		if got := len(b.cookies()); got > maxLogins {
			t.Fatalf("%d cookies after %d logins", got, i+1)
		}
	}
	for i := len(begun) - 1; i >= len(begun)-maxLogins; i-- {
		if p := b.open(begun[i].location()); p.StatusCode != http.StatusOK || !strings.HasSuffix(p.url, fmt.Sprintf("/tab/%d", i)) {
			t.Errorf("tab %d ended with %d at %s", i, p.StatusCode, p.url)
		}
	}
	for name := range b.cookies() {
		if strings.Contains(name, "_tx_") {
			t.Errorf("%s is left", name)
		}
	}
}

func TestTransactionCookieIsSmallWhateverTheAddress(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, "oidc_rp {\n"+options(op)+"}")
	random := func(size int) (text string) {
		for len(text) < size {
			text += strconv.FormatUint(rand.Uint64(), 36)
		}
		return text[:size]
	}
	path := random(700)
	var panels []string
	for i := range 14 {
		panels = append(panels, fmt.Sprintf("(embeddableConfig:(enhancements:(),hidePanelTitles:!f),gridData:(h:15,i:'%[1]s',w:24,x:%[2]d,y:%[3]d),id:'%[4]s',panelIndex:'%[1]s',type:lens,version:'8.11.0')",
			strings.ToLower(random(8)), i%2*24, i/2*15, strings.ToLower(random(16))))
	}
	kibana := "/app/dashboards?_g=(filters:!(),refreshInterval:(pause:!t,value:60000),time:(from:now-15m,to:now))&_a=(description:'',filters:!(),panels:!(" +
		strings.Join(panels, ",") + "),query:(language:kuery,query:'host.name:web*%20and%20http.response.status_code%20%3E=%20500'),title:'Operations',viewMode:view)"
	grafana := "/explore?schemaVersion=1&panes=" + url.QueryEscape(`{"abc":{"datasource":"PBFA97CFB590B2093","queries":[`+strings.Join([]string{
		`{"refId":"A","expr":"sum by (code) (rate(http_requests_total{job=\"api\",instance=~\"web-.*\"}[5m]))","range":true,"instant":true,"datasource":{"type":"prometheus","uid":"PBFA97CFB590B2093"},"editorMode":"code","legendFormat":"{{code}}"}`,
		`{"refId":"B","expr":"histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{job=\"api\"}[5m])))","range":true,"instant":true,"datasource":{"type":"prometheus","uid":"PBFA97CFB590B2093"},"editorMode":"code","legendFormat":"p99"}`,
	}, ",")+`],"range":{"from":"now-6h","to":"now"}}}`) + "&orgId=1"
	for _, row := range []struct {
		name, path, want string
		limit            int
	}{
		{"usual", "/page?a=b", "/page?a=b", 600},
		{"long query", "/page?" + random(3000), "/page", 1500},
		{"long path", "/" + random(3000), "/", 1500},
		{"long path and query", "/" + path + "?" + random(900), "/" + path, 1500},
		// Report A5: what is compressed fits.
		{"long and regular", "/page?" + strings.Repeat("q", 3000), "/page?" + strings.Repeat("q", 3000), 1500},
		{"Kibana", kibana, kibana, 1500},
		{"Grafana", grafana, grafana, 1500},
		{"other letters", "/caf\u00e9?x=\u00fc", "/caf%C3%A9?x=%C3%BC", 600},
		{"double slashes", "//double//slash/?x#y", rpURL + "//double//slash/?x", 600},
	} {
		b := r.browser()
		t.Logf("%s: %d bytes", row.name, len(row.path))
		p := b.open(rpURL+row.path, rpURL+"/@app/auth")
		for name, value := range b.cookies() {
			if size := len(name) + len(value); size > row.limit {
				t.Errorf("%s: %d bytes", row.name, size)
			}
		}
		if p = b.get(p.location()); p.Header.Get("Location") != row.want {
			t.Errorf("%s: leads to %.40q", row.name, p.Header.Get("Location"))
		}
	}
	if n := strings.Count(r.logs(), "does not fit a login in flight"); n != 1 {
		t.Errorf("the log says %d times that an address was too long", n)
	}
}

func TestLargeSessionIsSplitAndTooLargeOneIsRefused(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	grow := func(size int) {
		user := op.User("alice")
		user.Claims["essay"] = essay(size)
		op.SetUser("alice", user)
	}
	grow(4500)
	r := newHarness(t, "oidc_rp {\n"+options(op)+"}")
	b := signedIn(t, r)
	if got := b.cookies(); got["__Host-oidc_rp_1"] == "" {
		t.Fatalf("the session was not split: %d cookies", len(got))
	}
	if p := b.get("/x"); p.StatusCode != http.StatusOK {
		t.Errorf("status %d with a split session", p.StatusCode)
	}
	grow(20)
	b.open("/@app/auth/default/login?returnto=/small")
	if got := b.cookies(); got["__Host-oidc_rp_1"] != "" {
		t.Error("a chunk of the larger session is left")
	}
	grow(40_000)
	p := r.browser().open("/")
	if p.StatusCode != http.StatusForbidden || !strings.Contains(p.body, "session_too_large") {
		t.Errorf("status %d: %s", p.StatusCode, p.body)
	}
	if logs := r.logs(); !strings.Contains(logs, "essay (40000 bytes)") {
		t.Error("the log does not name the largest claim")
	}
}

// essay is a text that compression makes little of.
func essay(size int) string {
	text := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(text)
	return base64.RawURLEncoding.EncodeToString(text)[:size]
}

// Report A4: what Entra ID sends for 250 groups fits two cookies, and what does
// not fit is told with its size.
func TestManyGroupsFit(t *testing.T) {
	t.Parallel()
	op := newOP(t, oidctest.ClaimsInIDToken())
	join := func(count int) {
		groups, r := make([]string, count), rand.New(rand.NewPCG(1, 2))
		for i := range groups {
			groups[i] = fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", r.Uint32(), r.Uint32()&0xffff, r.Uint32()&0xfff, r.Uint32()&0xffff, r.Uint64()&0xffff_ffff_ffff)
		}
		user := op.User("alice")
		user.Claims["groups"] = groups
		op.SetUser("alice", user)
	}
	join(250)
	r := newHarness(t, "oidc_rp {\n"+options(op)+"upstream {\nheader X-Groups groups\n}\n}")
	b := signedIn(t, r)
	b.get("/again")
	header, _ := r.upstream.got()
	if got := strings.Count(header.Get("X-Groups"), ","); got != 249 {
		t.Errorf("the application sees %d groups, want 250", got+1)
	}
	join(600)
	if p := r.browser().open("/"); p.StatusCode != http.StatusForbidden || !strings.Contains(p.body, "session_too_large") {
		t.Errorf("status %d with 600 groups: %s", p.StatusCode, p.body)
	}
	if logs := r.logs(); !strings.Contains(logs, "7599 fit max_chunks 2; the largest claims, before they are compressed, are groups (") || !strings.Contains(logs, "or raise max_chunks (4 at most)") {
		t.Error("the log does not say how much fits, what is large, and what to do")
	}
}

func TestConfiguredSecretsAreRotatedByHand(t *testing.T) {
	t.Parallel()
	op, storage := newOP(t), storageDir(t)
	old, fresh := strings.Repeat("o", 40), strings.Repeat("n", 40)
	site := func(secrets string) string {
		return "http://rp.test {\noidc_rp {\n" + options(op) + "session {\nsecret " + secrets + "\n}\n}\nreverse_proxy {upstream}\n}"
	}
	b := signedIn(t, newHarnessAt(t, storage, site(old)))
	both := newHarnessAt(t, storage, site(fresh+" "+old))
	moveTo(b, both)
	if p := b.get("/"); p.StatusCode != http.StatusOK || len(p.Header["Set-Cookie"]) != 1 {
		t.Fatalf("status %d, cookies %q: a session of the old secret is sealed anew", p.StatusCode, p.Header["Set-Cookie"])
	}
	only := newHarnessAt(t, storage, site(fresh))
	moveTo(b, only)
	if p := b.get("/"); p.StatusCode != http.StatusOK || len(p.Header["Set-Cookie"]) != 0 {
		t.Errorf("status %d, cookies %q", p.StatusCode, p.Header["Set-Cookie"])
	}
}

func TestUnreadableStorageClosesPrivatePagesAndLeavesPublicOnesOpen(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, "oidc_rp public {\n"+options(op)+"private /private/*\n}")
	b := r.browser()
	if p := b.open("/private/x"); p.StatusCode != http.StatusOK {
		t.Fatalf("status %d", p.StatusCode)
	}
	breakStorage(t, r)
	r.at(after(10 * time.Minute)) // what was read last does not hold for ever
	p := b.get("/private/x")
	if p.StatusCode != http.StatusServiceUnavailable || p.Header.Get("Retry-After") == "" {
		t.Errorf("status %d on the private page", p.StatusCode)
	}
	if p := b.get("/public"); p.StatusCode != http.StatusOK || p.body != "application sees " {
		t.Errorf("status %d on the public page: %s", p.StatusCode, p.body)
	}
	mendStorage(t, r)
	r.at(after(11 * time.Minute))
	if p := b.get("/private/x"); p.StatusCode != http.StatusOK {
		t.Errorf("status %d after the storage came back", p.StatusCode)
	}
}
