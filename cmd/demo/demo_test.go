package main

import (
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	caddyfilepkg "github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// browser opens pages as a user's browser does: it keeps cookies, follows redirects and
// accepts HTML.
type browser struct {
	t      *testing.T
	client *http.Client
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, &http.Client{Jar: jar}}
}

// page is what the browser shows.
type page struct {
	url    *url.URL
	status int
	text   string
}

// open follows a link.
func (b *browser) open(address string) page {
	b.t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return b.do(req)
}

var (
	form   = regexp.MustCompile(`(?s)<form\b[^>]*action="([^"]*)"[^>]*>(.*?)</form>`)
	hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)
	onward = regexp.MustCompile(`<meta http-equiv="refresh" content="0; url=([^"]*)">`)
)

// submit sends the form of a page that contains the field.
func (b *browser) submit(from page, field, value string) page {
	b.t.Helper()
	for _, found := range form.FindAllStringSubmatch(from.text, -1) {
		if !strings.Contains(found[2], `name="`+field+`"`) {
			continue
		}
		fields := url.Values{field: {value}}
		for _, h := range hidden.FindAllStringSubmatch(found[2], -1) {
			fields.Set(h[1], html.UnescapeString(h[2]))
		}
		to, err := from.url.Parse(html.UnescapeString(found[1]))
		if err != nil {
			b.t.Fatal(err)
		}
		req, err := http.NewRequest(http.MethodPost, to.String(), strings.NewReader(fields.Encode()))
		if err != nil {
			b.t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", to.Scheme+"://"+to.Host)
		return b.do(req)
	}
	b.t.Fatalf("%s (%d) has no form with %s:\n%s", from.url, from.status, field, from.text)
	return page{}
}

// signIn enters the username and the password, each on its own page.
func (b *browser) signIn(from page, username, password string) page {
	b.t.Helper()
	return b.submit(b.submit(from, "username", username), "password", password)
}

func (b *browser) do(req *http.Request) page {
	b.t.Helper()
	req.Header.Set("Accept", "text/html,application/xhtml+xml")
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	p := page{resp.Request.URL, resp.StatusCode, string(text)}
	if next := onward.FindStringSubmatch(p.text); next != nil {
		to, err := p.url.Parse(html.UnescapeString(next[1]))
		if err != nil {
			b.t.Fatal(err)
		}
		return b.open(to.String())
	}
	return p
}

// link returns the target of a page's link.
func (b *browser) link(from page, label string) string {
	b.t.Helper()
	found := regexp.MustCompile(`href="([^"]+)">` + regexp.QuoteMeta(label) + `<`).FindStringSubmatch(from.text)
	if found == nil {
		b.t.Fatalf("%s has no link %q:\n%s", from.url, label, from.text)
	}
	to, err := from.url.Parse(html.UnescapeString(found[1]))
	if err != nil {
		b.t.Fatal(err)
	}
	return to.String()
}

// check fails the test unless a page has the address and the status, and shows all the
// texts.
func (p page) check(t *testing.T, address string, status int, texts ...string) {
	t.Helper()
	if p.url.String() != address {
		t.Errorf("expected the address %s, seen %s", address, p.url)
	}
	if p.status != status {
		t.Errorf("%s: expected status %d, seen %d", p.url, status, p.status)
	}
	for _, text := range texts {
		if !strings.Contains(p.text, text) {
			t.Errorf("%s does not show %q:\n%s", p.url, text, p.text)
		}
	}
}

// startDemo starts a demo on free ports.
func startDemo(t *testing.T) *Demo {
	t.Helper()
	d, err := Start(Options{Addr: "127.0.0.1:0", Storage: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestDemo(t *testing.T) {
	d := startDemo(t)
	b := newBrowser(t)
	home := d.URL + "/"

	t.Run("home page, unknown", func(t *testing.T) {
		p := b.open(home)
		p.check(t, home, http.StatusOK, "Hello, whoever you are")
		for _, user := range users {
			p.check(t, home, http.StatusOK, "<code>"+user.Name+"</code> / <code>"+user.Password+"</code>")
		}
	})

	t.Run("private page with a query, alice", func(t *testing.T) {
		wanted := d.URL + "/private/reports?year=2026&q=a+b"
		login := b.open(wanted)
		if !strings.HasPrefix(login.url.String(), d.ProviderURL+"/signin/") {
			t.Errorf("expected the login page at the provider, seen %s", login.url)
		}
		p := b.signIn(login, "alice", "wonderland")
		p.check(t, wanted, http.StatusOK, "Hello, Alice Adams", "alice@example.com", "admins,staff", d.ProviderURL)
		for _, secret := range []string{"Cookie", "oidc_rp"} {
			if strings.Contains(p.text, "<code>"+secret) {
				t.Errorf("the application was sent %q:\n%s", secret, p.text)
			}
		}
	})

	t.Run("home page, known", func(t *testing.T) {
		b.open(home).check(t, home, http.StatusOK, "Hello, Alice Adams", "signed in as", "<strong>alice</strong>")
	})

	t.Run("forged identity headers", func(t *testing.T) {
		req, err := http.NewRequest(http.MethodGet, d.URL+"/private", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-User", "mallory")
		req.Header.Set("X-Groups", "mallory")
		p := b.do(req)
		p.check(t, d.URL+"/private", http.StatusOK, "Hello, Alice Adams")
		if strings.Contains(p.text, "mallory") {
			t.Errorf("a forged header reached the application:\n%s", p.text)
		}
	})

	t.Run("sign out", func(t *testing.T) {
		p := b.open(b.link(b.open(home), "Sign out"))
		if p.status != http.StatusOK {
			t.Errorf("signing out: expected status 200, seen %d at %s", p.status, p.url)
		}
		if want := strings.TrimPrefix(d.URL, "http://"); p.url.Host != want {
			t.Errorf("signing out: expected to end at %s, seen %s", want, p.url)
		}
		b.open(home).check(t, home, http.StatusOK, "Hello, whoever you are")
		if again := b.open(d.URL + "/private"); !strings.Contains(again.text, `name="username"`) {
			t.Errorf("expected to be asked for the user name, seen %s\n%s", again.url, again.text)
		}
	})

	t.Run("another user", func(t *testing.T) {
		p := b.signIn(b.open(b.link(b.open(home), "Open the private page")), "bob", "buildings")
		p.check(t, d.URL+"/private", http.StatusOK, "Hello, Bob Brown", "bob@example.com")
		if strings.Contains(p.text, "admins") {
			t.Errorf("bob is in the groups of alice:\n%s", p.text)
		}
	})
}

func TestLinksOfTheHomePage(t *testing.T) {
	d := startDemo(t)
	home := d.URL + "/"
	for label, want := range map[string]struct {
		address string
		status  int
	}{
		"Sign in with the partners’ provider":         {d.URL + "/@app/auth/partners/login", http.StatusForbidden},
		"Sign in with a provider that does not exist": {d.URL + "/@app/auth/unknown/login", http.StatusNotFound},
		"An unsolicited response":                     {home + "?auth_error=login_expired", http.StatusOK},
	} {
		t.Run(label, func(t *testing.T) {
			b := newBrowser(t)
			b.open(b.link(b.open(home), label)).check(t, want.address, want.status)
		})
	}

	t.Run("a sign-in that tries to lead elsewhere ends at home", func(t *testing.T) {
		b := newBrowser(t)
		login := b.open(b.link(b.open(home), "A sign-in that tries to lead elsewhere"))
		b.signIn(login, "bob", "buildings").check(t, home, http.StatusOK, "Hello, Bob Brown")
	})

	t.Run("another name of this machine", func(t *testing.T) {
		b := newBrowser(t)
		b.open(strings.Replace(home, "127.0.0.1", "localhost", 1)+"?a=b").check(t, home+"?a=b", http.StatusOK)
	})
}

func TestRestartKeepsTheSession(t *testing.T) {
	opts := Options{Addr: "127.0.0.1:0", Storage: t.TempDir()}
	first, err := Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t)
	private := first.URL + "/private"
	b.signIn(b.open(private), "alice", "wonderland").check(t, private, http.StatusOK, "Hello, Alice Adams")
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	provider, err := url.Parse(first.ProviderURL)
	if err != nil {
		t.Fatal(err)
	}
	opts.Addr = strings.TrimPrefix(first.URL, "http://")
	if opts.ProviderPort, err = strconv.Atoi(provider.Port()); err != nil {
		t.Fatal(err)
	}
	second, err := Start(opts)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	b.open(private).check(t, private, http.StatusOK, "Hello, Alice Adams")
}

func TestProgramsGetNoLogin(t *testing.T) {
	d := startDemo(t)
	resp, err := http.Get(d.URL + "/private")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("status %d", resp.StatusCode)
	}
}

func TestCaddyfileIsFormatted(t *testing.T) {
	if string(caddyfilepkg.Format(caddyfile)) != string(caddyfile) {
		t.Error("run: caddy fmt --overwrite cmd/demo/Caddyfile")
	}
}

func TestSiteAddress(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for addr, want := range map[string]string{
		"0.0.0.0:0":           "not on loopback",
		":0":                  "not on loopback",
		"example.com:0":       "not on loopback",
		"127.0.0.1":           "not an address",
		taken.Addr().String(): "choose another address with -addr",
	} {
		if _, _, err := siteAddress(addr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one that says %q", addr, err, want)
		}
	}
	for _, addr := range []string{"127.0.0.1:0", "localhost:0", "127.0.0.2:0"} {
		host, port, err := siteAddress(addr)
		if err != nil {
			t.Errorf("%s: %v", addr, err)
		}
		if port == "0" {
			t.Errorf("%s: expected a port, seen %s", addr, port)
		}
		if host+":0" != addr {
			t.Errorf("%s: expected its host, seen %s", addr, host)
		}
	}
}

func TestNothingStaysBehind(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	d, err := Start(Options{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	newBrowser(t).open(d.URL + "/private")
	if !strings.Contains(d.welcome(), d.URL+"/private\n") {
		t.Errorf("the text in the terminal does not name the private page:\n%s", d.welcome())
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}
