package integration_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

const (
	authURL = "https://auth.one.test"
	appURL  = "https://app.two.test"
	wikiURL = "https://wiki.three.test"
)

// federation is a login host and two sites on other domains, on some nodes.
type federation struct {
	t       *testing.T
	op      *oidctest.Provider
	clock   *stopped
	storage string
	// Options of the login host, of the first site, and of all session blocks.
	host, app, session string
	nodes              []*harness
}

// newFederation returns a federation without nodes. more has options of the login host.
func newFederation(t *testing.T, more ...string) *federation {
	t.Helper()
	f := &federation{t: t, clock: stop(t), storage: storageDir(t), host: strings.Join(more, "\n")}
	f.op = oidctest.New(t, oidctest.Now(f.clock.now))
	f.op.Register(authURL + "/@app/auth/default/code")
	f.op.SignIn("alice")
	return f
}

// start adds nodes.
func (f *federation) start(nodes int) *federation {
	f.t.Helper()
	for range nodes {
		f.another(f.sites())
	}
	return f
}

// sites returns the Caddyfile of all sites.
func (f *federation) sites() string { return f.loginHost() + f.targets() }

func (f *federation) block(lines string) string {
	if f.session != "" {
		lines += "\nsession {\n" + f.session + "\n}"
	}
	return `
	oidc_rp {
		` + options(f.op) + `
		timeout 1m
		` + lines + `
	}
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
`
}

func (f *federation) loginHost() string {
	return `
http://auth.one.test {
	` + f.block("login_for app.two.test *.three.test\n"+f.host) + `
}
`
}

func (f *federation) targets() string {
	return fmt.Sprintf(`
http://app.two.test {
	%s
}
http://wiki.three.test {
	%s
}
`, f.block("login_at "+authURL+"\n"+f.app), f.block("login_at "+authURL))
}

// another adds a node.
func (f *federation) another(sites string) *harness {
	f.t.Helper()
	r := newHarnessAt(f.t, f.storage+strings.Repeat("/.", len(f.nodes)), strings.ReplaceAll(sites, "{node}", fmt.Sprint(len(f.nodes))))
	r.at(f.clock.now)
	f.nodes = append(f.nodes, r)
	return r
}

func (f *federation) browser() *browser { return f.nodes[0].browser() }

// goOn opens a page, follows redirects and agrees to new sites.
func (f *federation) goOn(b *browser, address string, stop ...string) *visited {
	f.t.Helper()
	p := b.open(address, stop...)
	if strings.Contains(p.body, `name="confirmation"`) && strings.Contains(p.body, "Continue to") {
		p = b.agree(p)
		if location := p.location(); location != "" && !stops(location, stop) {
			p = b.open(location, stop...)
		}
	}
	return p
}

func stops(location string, stop []string) bool {
	for _, part := range stop {
		if strings.Contains(location, part) {
			return true
		}
	}
	return false
}

var formAction = regexp.MustCompile(`<form method="post" action="([^"]*)"`)

// agree clicks the button on the login host's page that asks about a new site.
func (b *browser) agree(p *visited) *visited {
	b.t.Helper()
	action := formAction.FindStringSubmatch(p.body)
	if action == nil {
		b.t.Fatalf("expected a form, seen %d: %s", p.StatusCode, p.body)
	}
	form := make(url.Values)
	for _, field := range formField.FindAllStringSubmatch(p.body, -1) {
		form.Set(field[1], strings.ReplaceAll(field[2], "&#43;", "+"))
	}
	return b.post(authURL+action[1], form.Encode(), map[string]string{"Origin": "null", "Sec-Fetch-Site": "same-origin"})
}

// signIn signs a user in at a site.
func (f *federation) signIn(who string) *browser {
	f.t.Helper()
	f.op.SignIn(who)
	b := f.browser()
	check(required{f.t}, f.goOn(b, appURL+"/page?q=1")).status(http.StatusOK).at(appURL + "/page?q=1").body("application sees " + who)
	return b
}

// ticket begins a login at a site and returns the address of the handover with its ticket.
func (f *federation) ticket(b *browser) string {
	f.t.Helper()
	p := f.goOn(b, appURL+"/page?q=1", "/handover?ticket=")
	location := p.location()
	contains(required{f.t}, "the redirect", location, "/handover?ticket=")
	return location
}

// cookieOf returns the Cookie header that a browser sends to a site.
func (b *browser) cookieOf(site string) string {
	u, _ := url.Parse(site + "/Special:UserLogout")
	var pairs []string
	for _, c := range b.jar.Cookies(u) {
		pairs = append(pairs, c.Name+"="+c.Value)
	}
	return strings.Join(pairs, "; ")
}

// status returns the status for a program with a browser's cookies, at a site of a node.
func (f *federation) status(b *browser, node int, site string) int {
	f.t.Helper()
	other := f.nodes[node].browser()
	other.client.Jar = nil
	return other.send(http.MethodGet, site+"/x", with(program, "Cookie", b.cookieOf(site))).StatusCode
}

// ends expects that a browser's session at a site soon ends on all nodes.
func (f *federation) ends(what string, b *browser, site string) {
	f.t.Helper()
	for node := range f.nodes {
		for end := time.Now().Add(patience); f.status(b, node, site) != http.StatusUnauthorized; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				f.t.Errorf("%s: expected no session at %s on node %d within %s, seen one\n%s", what, site, node, patience, f.nodes[node].logs())
				break
			}
		}
	}
}

// lives expects that a browser's session at a site exists on all nodes.
func (f *federation) lives(what string, b *browser, site string) {
	f.t.Helper()
	for node := range f.nodes {
		equal(f.t, fmt.Sprintf("%s: the status at %s on node %d", what, site, node), f.status(b, node, site), http.StatusOK)
	}
}
