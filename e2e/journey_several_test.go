package e2e

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// atOneSite are three providers at one site, none of them the default one. They are
// independent implementations and say the same about their users: alice is in the groups
// admins and staff and has the address alice@example.test, bob is only in staff.
var atOneSite = []struct {
	id, kind, name string
	domain         string // the email domain that the chooser assigns to it
	endSession     string // path below the issuer
	options        string
}{
	{"a", oidcProvider, "Corporate account", "example.test", "/session/end", ""},
	{"b", keycloak, "Partners", "partners.test", "/protocol/openid-connect/logout", `
			groups {
				admins admins
				staff members
			}`},
	{"op", zitadel, "Guests", "guests.test", "/end_session", ""},
}

const severalRules = `
		upstream {
			header X-Groups groups
			header X-Claimed {http.auth.user.claims.email}
			header X-Kind {http.oidc_rp.kind}
		}
		private /admins/any {
			require group admins
		}
		private /admins/any-but-of-a {
			require group admins
			require provider a
		}
		private /admins/a {
			require group a/admins
			require provider a
		}
		private /admins/b {
			require group admins
			require provider b
		}
		private /admins/op {
			require group op/admins
			require provider op
		}
		private /admins/of-a-at-op {
			require group a/admins
			require provider op
		}
		private /staff {
			require group staff
		}
		private /staff/all {
			require group a/staff members op/staff
		}
		private /user {
			require user alice
		}
		private /user/b {
			require user b/alice
		}
		private /domain {
			require email_domain example.test
		}
		private /clients/a {
			require user a/client%2Fbatch
		}
		private /clients/b {
			require user b/client%2Fbatch
			require provider b
		}`

// A several is a world with three providers.
type several struct {
	*world
	at map[string]*world // by provider ID: the same world, with that provider
}

// startSeveral starts the providers and Caddy.
func startSeveral(t *testing.T) *several {
	t.Helper()
	w := newWorld(t, oidcProvider, site{})
	s := &several{w, map[string]*world{}}
	var options strings.Builder
	for _, p := range atOneSite {
		at := *w
		if p.id != "a" {
			at.op = newProvider(t, p.kind, w.base)
			records(t, p.kind)
		}
		at.op.env = append(at.op.env, "RESOURCES="+w.base, "AT_JWT=1")
		at.op.start(t)
		t.Cleanup(func() { // while the provider runs
			for _, token := range at.op.handedOut(t) {
				w.secrets.add(token.Name, token.Value)
			}
		})
		s.at[p.id] = &at
		fmt.Fprintf(&options, `
		provider %s {
			name %q
			issuer %s
			client_id rp
			client_secret {env.OIDC_CLIENT_SECRET}
			domains %s
			%s%s
		}`, p.id, p.name, at.op.issuer, p.domain, scopeGroups, p.options)
	}
	fmt.Fprintf(&options, `
		application {
			bearer jwt {
				audience %s rp
				typ any
			}
		}`, w.base)
	w.startCaddy(site{client: "-", secret: "-", options: options.String() + severalRules})
	return s
}

// within returns s for a subtest.
func (s *several) within(t *testing.T) *several {
	here := &several{at: map[string]*world{}}
	for id, w := range s.at {
		at := *w
		at.t = t
		here.at[id] = &at
	}
	here.world = here.at["a"]
	return here
}

// choose clicks a provider in the chooser.
func (s *several) choose(p *page, id string) *page {
	p.b.t.Helper()
	name := ""
	for _, provider := range atOneSite {
		if provider.id == id {
			name = provider.name
		}
	}
	links := p.is(200).links(name)
	if len(links) != 1 {
		p.b.t.Fatalf("expected one link to %s, seen %q:%s", name, links, p)
	}
	p.b.w = s.at[id]
	return p.follow(links[0])
}

// signInAt signs in through the chooser, whether or not someone is signed in.
func (s *several) signInAt(b *browser, id, user, path string) *page {
	b.t.Helper()
	p := s.choose(b.open("/@app/auth/?returnto="+url.QueryEscape(path)), id)
	if p.asksPassword() {
		p = p.asks(s.at[id]).signIn(user)
	}
	p.isFor(id+"/"+user, path)
	return p
}

// ended returns how often each provider was asked to end a session.
func (s *several) ended() map[string]int {
	counts := map[string]int{}
	for _, p := range atOneSite {
		counts[p.id] = s.at[p.id].op.hits(s.t, p.endSession)
	}
	return counts
}

// Three providers serve one site. Users and programs of one provider are never those of
// another, and events at one do not affect the others.
func TestSeveralProvidersAtOneSite(t *testing.T) {
	t.Parallel()
	s := startSeveral(t)
	for _, part := range []struct {
		name string
		test func(*several)
	}{
		{"a private page leads to the chooser", (*several).leadsToTheChooser},
		{"users of the same names do not mix", (*several).doesNotMix},
		{"an address leads to its provider", (*several).findsByAddress},
		{"a logout ends the session at its provider alone", (*several).endsAtOneAlone},
		{"another provider's sign-in replaces the session", (*several).replaces},
		{"no token of a sign-in lets a program in", (*several).refusesOtherTokens},
		{"clients of the same name are two", (*several).tellsClientsApart},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(s.within(t)) })
	}
}

func (s *several) leadsToTheChooser() {
	b := s.newBrowser()
	p := b.open("/page?x=1&y=%2F").is(200, "Choose how to sign in")
	if got, want := p.url.Path, "/@app/auth/"; got != want {
		s.t.Errorf("expected the chooser at %s, seen %s", want, got)
	}
	policy := p.header.Get("Content-Security-Policy")
	for _, provider := range atOneSite {
		if got := len(p.links(provider.name)); got != 1 {
			s.t.Errorf("%s: expected one link, seen %d:%s", provider.name, got, p)
		}
		if origin := s.at[provider.id].op.origin(); !strings.Contains(policy, origin) {
			s.t.Errorf("expected %s in the policy, seen %q", origin, policy)
		}
	}
	for _, provider := range atOneSite {
		b := s.newBrowser()
		seen := s.choose(b.open("/page?x=1&y=%2F"), provider.id).asks(s.at[provider.id]).signIn("alice").isFor(provider.id+"/alice", "/page?x=1&y=%2F")
		if got := seen.Headers.Get("X-Provider"); got != provider.id {
			s.t.Errorf("expected the provider %s, seen %q", provider.id, got)
		}
	}
	if got := b.script("/page").status; got != 401 {
		s.t.Errorf("expected status 401 for a script, seen %d", got)
	}
}

func (s *several) doesNotMix() {
	want := map[string]struct{ groups, email, enters string }{
		"a/alice":  {"a/admins,a/staff", "alice@example.test", "/admins/a /staff/all /domain"},
		"b/alice":  {"admins,members", "", "/admins/any /admins/b /staff/all /user/b"},
		"op/alice": {"op/admins,op/staff", "", "/admins/op /staff/all"},
		"a/bob":    {"a/staff", "", "/staff/all"},
		"b/bob":    {"members", "", "/staff/all"},
		"op/bob":   {"op/staff", "", "/staff/all"},
	}
	for _, provider := range atOneSite {
		for _, user := range []string{"alice", "bob"} {
			id := provider.id + "/" + user
			b := s.newBrowser()
			seen := s.signInAt(b, provider.id, user, "/page").upstreamSaw().Headers
			groups := strings.Split(seen.Get("X-Groups"), ",")
			slices.Sort(groups)
			if got := strings.Join(groups, ","); got != want[id].groups {
				s.t.Errorf("%s: expected the groups %q, seen %q", id, want[id].groups, got)
			}
			if got := seen.Get("X-Claimed"); got != user+"@example.test" {
				s.t.Errorf("%s: expected that the provider says %s@example.test, seen %q", id, user, got)
			}
			if got := seen.Get("X-Email"); got != want[id].email {
				s.t.Errorf("%s: expected the address %q, seen %q", id, want[id].email, got)
			}
			var enters []string
			reached := s.app.hits()
			for _, path := range []string{
				"/admins/any", "/admins/any-but-of-a", "/admins/a", "/admins/b", "/admins/op", "/admins/of-a-at-op",
				"/staff", "/staff/all", "/user", "/user/b", "/domain", "/clients/a", "/clients/b",
			} {
				switch status := b.script(path).status; status {
				case 200:
					enters = append(enters, path)
				case 403:
				default:
					s.t.Errorf("%s of %s: expected status 200 or 403, seen %d", path, id, status)
				}
			}
			if got := strings.Join(enters, " "); got != want[id].enters {
				s.t.Errorf("%s: expected to enter %s, seen %s", id, want[id].enters, got)
			}
			if got := s.app.hits() - reached; got != len(enters) {
				s.t.Errorf("%s: expected %d requests at the application, seen %d", id, len(enters), got)
			}
		}
	}
}

func (s *several) findsByAddress() {
	b := s.newBrowser()
	for _, provider := range atOneSite {
		p := b.open("/page?x=1")
		b.w = s.at[provider.id]
		address := "alice@" + provider.domain
		p = p.send(p.form(), "login_hint", address).asks(b.w)
		if got := p.authorization().Get("login_hint"); got != address {
			s.t.Errorf("%s: expected the login_hint %s, seen %q", provider.name, address, got)
		}
		for _, f := range p.forms() {
			// zitadel's example ignores the login_hint.
			if field := habits[provider.kind].field; f.fields.Has("password") && provider.kind != zitadel && f.fields.Get(field) != address {
				s.t.Errorf("%s: expected the address in its form, seen %q", provider.name, f.fields.Get(field))
			}
		}
		p.signIn("alice").isFor(provider.id+"/alice", "/page?x=1")
		b.open(logoutPath).signOut()
		if links := b.open("/page?x=1").links("Continue with " + provider.name); len(links) != 1 {
			s.t.Errorf("%s: expected that the choice is remembered, seen %d links", provider.name, len(links))
		}
	}
	for _, unknown := range []string{"alice", "alice@elsewhere.test", "alice@sub.example.test", "alice@example.test@elsewhere.test"} {
		p := b.open("/page?x=1")
		p = p.send(p.form(), "login_hint", unknown).is(200, "please choose")
		for _, provider := range atOneSite {
			if got := len(p.links(provider.name)); got != 1 {
				s.t.Errorf("%s: expected one link to %s, seen %d", unknown, provider.name, got)
			}
		}
	}
}

func (s *several) endsAtOneAlone() {
	remembers := map[string]bool{"a": true, "b": true} // zitadel's example asks every time
	for i, last := range atOneSite {
		b := s.newBrowser()
		for n := range atOneSite {
			s.signInAt(b, atOneSite[(i+1+n)%len(atOneSite)].id, "alice", "/page")
		}
		others := map[string]*browser{}
		for _, provider := range atOneSite {
			others[provider.id] = s.newBrowser()
			s.signInAt(others[provider.id], provider.id, "alice", "/page")
		}
		thief := s.newBrowser()
		thief.copyCookies(b)
		thief.script("/page").isFor(last.id+"/alice", "/page")

		before := s.ended()
		left := b.open(logoutPath)
		asked := left.endSession()
		if got, want := asked.Get("post_logout_redirect_uri"), s.base+"/@app/auth/"+last.id+"/signedout"; got != want {
			s.t.Errorf("post_logout_redirect_uri: expected %s, seen %s", want, got)
		}
		left.signOut()
		for id, count := range s.ended() {
			if asked := count > before[id]; asked != (id == last.id) {
				s.t.Errorf("logout from %s: expected that %s alone is asked, seen %d requests at %s", last.id, last.id, count-before[id], id)
			}
		}
		if got := thief.script("/page").status; got != 401 {
			s.t.Errorf("logout from %s: expected status 401 for the copied cookie, seen %d", last.id, got)
		}
		for id, other := range others {
			other.script("/page").isFor(id+"/alice", "/page")
		}
		for _, provider := range atOneSite {
			p := s.choose(b.open("/page"), provider.id)
			asks := provider.id == last.id || !remembers[provider.id]
			if got := p.asksPassword(); got != asks {
				s.t.Errorf("after the logout from %s: expected that %s asks for a password is %t, seen %t:%s", last.id, provider.id, asks, got, p)
			}
			if !p.asksPassword() {
				p.isFor(provider.id+"/alice", "/page")
				b.forget("oidc_rp") // without a logout
			}
		}
	}
}

func (s *several) replaces() {
	b, other := s.newBrowser(), s.newBrowser()
	s.signInAt(b, "a", "alice", "/page")
	s.signInAt(other, "a", "alice", "/page")
	was := "a/alice"
	for _, next := range []struct{ id, user string }{{"b", "alice"}, {"op", "alice"}, {"b", "alice"}, {"a", "alice"}} {
		thief := s.newBrowser()
		thief.copyCookies(b)
		thief.script("/before").isFor(was, "/before")
		b.open("/@app/auth/").is(200, "<strong>"+was+"</strong>")
		is := next.id + "/" + next.user
		s.signInAt(b, next.id, next.user, "/page")
		b.script("/after").isFor(is, "/after")
		if got := thief.script("/before").status; got != 401 {
			s.t.Errorf("from %s to %s: expected status 401 for the cookie before, seen %d", was, is, got)
		}
		was = is
	}
	other.script("/page").isFor("a/alice", "/page")
}
