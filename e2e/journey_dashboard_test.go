package e2e

import (
	"fmt"
	"html"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/e2e/dashboard"
)

// The test runs a site with two providers, sessions in Redis, and a real Prometheus.
// Users come and go, programs send requests, and a provider and Redis are down for a
// while. Each query of the dashboard returns something, and each panel is drawn. With
// E2E_DASHBOARD the run takes five minutes instead of one, and writes the picture to that
// file.
func TestEveryPanelOfTheDashboardShowsSomething(t *testing.T) {
	t.Parallel()
	span := dashboard.Span{Scrape: time.Second}
	file := os.Getenv("E2E_DASHBOARD")
	if file != "" {
		span.Scrape = 5 * time.Second
	}
	text, err := os.ReadFile("../deploy/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	panels, err := dashboard.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	o := startOffice(t)
	prometheus := o.startPrometheus(span.Scrape)
	eventually(t, 30*time.Second, "Prometheus has scraped", func() bool {
		response, err := http.Get(prometheus + "/-/ready")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
	span.From = time.Now()
	o.day(span.Scrape / 4)
	span.To = time.Now()

	answers, err := panels.Ask(prometheus, span)
	if err != nil {
		t.Fatal(err)
	}
	svg, err := panels.Draw(answers, span)
	if err != nil {
		t.Fatal(err)
	}
	for _, panel := range panels.Panels {
		if !strings.Contains(svg, ">"+html.EscapeString(panel.Title)+"<") {
			t.Errorf("%s: expected the panel in the picture, seen none", panel.Title)
		}
		for _, target := range panel.Targets {
			if !showsSomething(answers[target.Expr]) {
				t.Errorf("%s: expected values above zero, seen none of %s", panel.Title, target.Expr)
			}
		}
	}
	if file != "" {
		if err := os.WriteFile(file, []byte(svg), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func showsSomething(series []dashboard.Series) bool {
	for _, s := range series {
		for _, point := range s.Points {
			if point.Value > 0 {
				return true
			}
		}
	}
	return false
}

// An office is a site with everything that the dashboard has panels for.
type office struct {
	*world
	partners *world // the same site, with the second provider
	away     bool   // whether the second provider is down
	redis    *redisServer
	key      accessKey
	guests   []*browser // signed-in users, longest first
	waiting  []*page    // callbacks that browsers have not opened yet
	sockets  []*websocket.Conn
	newcomer int
}

func startOffice(t *testing.T) *office {
	t.Helper()
	w := newWorld(t, oidcProvider, site{})
	w.caddy.program, w.caddy.level = storesProgram, "WARN"
	serveWebSockets(w)
	second := *w
	second.op = newProvider(t, oidcProvider, w.base)
	o := &office{world: w, partners: &second, redis: newRedis(t, "--appendonly", "yes")}
	for _, op := range []*provider{w.op, second.op} {
		op.env = append(op.env, "RP_IDS=corp partners", "AT_TTL=10")
		op.start(t)
	}
	o.redis.start()
	o.key = w.newAccessKey("backup")
	keys := filepath.Join(t.TempDir(), "keys.txt")
	writeLines(t, keys, o.key.line)
	w.startCaddy(site{client: "-", secret: "-", options: fmt.Sprintf(`
		provider corp {
			issuer %s
			client_id rp-bcl
			client_secret {env.OIDC_CLIENT_SECRET}
			scopes openid profile email groups offline_access
		}
		provider partners {
			issuer %s
			client_id rp
			client_secret {env.OIDC_CLIENT_SECRET}
			scopes openid profile email groups offline_access
		}
		default_provider corp
		session {
			store redis %s
		}
		known_users list alice bob carol dave partners/frank partners/grace
		application {
			access_keys %s
		}
		upstream {
			access_token
		}
		private /admin {
			require group admins
		}
		private /payroll {
			require user carol
		}`, w.op.issuer, second.op.issuer, o.redis.url(), keys)})
	return o
}

// day runs the events of a day in 240 steps.
func (o *office) day(step time.Duration) {
	const steps = 240
	random := rand.New(rand.NewPCG(1, 2)) // the same in every run
	events := map[int]func(){
		90:  o.partnersGoAway,
		140: func() { o.away = false; o.partners.op.start(o.t) },
		175: o.redis.stop,
		200: o.redis.start,
	}
	habits := []struct {
		every, after int // average steps between two occurrences, and the first step
		do           func()
	}{
		{2, 0, func() { o.signIn(o.world, "corp", o.next("alice", "bob", "carol", "dave")) }},
		{4, 0, func() { o.signIn(o.partners, "partners", o.next("frank", "grace")) }},
		{4, 30, o.signOut},
		{8, 30, o.signOutAtTheProvider},
		{24, 30, func() { o.revoke("dave") }},
		{8, 0, func() { o.signIn(o.world, "corp", "mallory") }}, // a user whom the site does not let in
		{8, 0, o.cancel},
		{12, 0, func() { o.newBrowser().open("/@app/auth/corp/code?code=stale&state=stale") }},
		{6, 0, func() { o.newBrowser().open("/page") }}, // and does not come back
		{2, 0, func() { o.newBrowser().script("/page") }},
		{3, 0, func() { o.visit("/admin") }},
		{5, 0, func() { o.visit("/payroll") }},
		{2, 0, func() { o.call(o.key.key) }},
		{6, 0, func() { o.call(o.key.key + "x") }},
		{10, 20, o.openSocket},
	}
	for i := range steps {
		began := time.Now()
		if event := events[i]; event != nil {
			event()
		}
		busy := 1 - 0.7*math.Cos(2*math.Pi*float64(i)/120) // there are two rush hours
		for _, habit := range habits {
			if i >= habit.after && random.Float64()*float64(habit.every) < busy {
				habit.do()
			}
		}
		for range 1 + int(4*busy) {
			o.visit("/page")
		}
		time.Sleep(time.Until(began.Add(step)))
	}
}

// next returns the names in turn.
func (o *office) next(names ...string) string {
	o.newcomer++
	return names[o.newcomer%len(names)]
}

// enter opens a login with a new browser. It returns the provider's login form, or the
// page where the site leads instead.
func (o *office) enter(w *world, id string) *page {
	o.t.Helper()
	b := w.newBrowser()
	b.holdAt = func(to *url.URL) bool { return o.away && to.Host == mustParse(o.partners.op.issuer).Host }
	return b.open("/@app/auth/" + id + "/login?returnto=/page")
}

func (o *office) signIn(w *world, id, user string) {
	o.t.Helper()
	p := o.enter(w, id)
	if p.asksPassword() {
		p = p.signIn(user)
	}
	if p.status == http.StatusOK && w.isSite(p.url) {
		o.guests = append(o.guests, p.b)
	}
}

// cancel cancels a sign-in at the provider.
func (o *office) cancel() {
	o.t.Helper()
	p := o.enter(o.world, "corp")
	if links := p.links("cancel"); len(links) == 1 {
		p.follow(links[0])
	}
}

// partnersGoAway stops the second provider while some of its users are on their way back,
// so that their codes cannot be redeemed.
func (o *office) partnersGoAway() {
	o.t.Helper()
	var late []*page
	for range 6 {
		p := o.enter(o.partners, "partners")
		hold := p.b.holdAt
		p.b.holdAt = func(to *url.URL) bool { return o.isSite(to) }
		if p.asksPassword() {
			p = p.signIn("frank")
		}
		p.b.holdAt = hold
		late = append(late, p)
	}
	o.partners.op.stop(o.t)
	o.away = true
	o.waiting = late
}

// visit sends a request of one of the signed-in users, in turn. A user whose session has
// ended is removed.
func (o *office) visit(path string) {
	o.t.Helper()
	if len(o.waiting) > 0 { // a browser that was on its way back opens its callback
		p := o.waiting[0]
		o.waiting = o.waiting[1:]
		p.b.load(http.MethodGet, p.url.String(), nil, p)
	}
	if len(o.guests) == 0 {
		return
	}
	b := o.guests[0]
	o.guests = o.guests[1:]
	if b.script(path).status != http.StatusUnauthorized {
		o.guests = append(o.guests, b)
	}
}

func (o *office) signOut() {
	o.t.Helper()
	if len(o.guests) == 0 {
		return
	}
	p := o.guests[0].open(logoutPath)
	o.guests = o.guests[1:]
	if p.status == http.StatusOK && len(p.forms()) == 1 {
		p.send(p.form(), "logout", "yes")
	}
}

// signOutAtTheProvider makes the provider end the session by a back-channel logout.
func (o *office) signOutAtTheProvider() {
	o.t.Helper()
	i := slices.IndexFunc(o.guests, func(b *browser) bool { return b.w == o.world })
	if i >= 0 {
		o.guests[i].leaveProvider()
	}
}

// revoke ends a user's sessions, as an operator does.
func (o *office) revoke(user string) {
	o.t.Helper()
	address := fmt.Sprintf("http://127.0.0.1:%d/oidc_rp/revoke", o.caddy.admin)
	response, err := http.Post(address, "application/json", strings.NewReader(fmt.Sprintf(`{"subject": %q}`, user)))
	if err != nil {
		o.t.Fatal(err)
	}
	_ = response.Body.Close()
}

// call sends a program's request.
func (o *office) call(key string) {
	o.t.Helper()
	o.newBrowser().fetch(http.MethodGet, "/page", "Authorization", "Bearer "+key)
}

// openSocket opens a WebSocket of a user. There are at most five; it closes the oldest.
func (o *office) openSocket() {
	o.t.Helper()
	if len(o.sockets) == 5 {
		_ = o.sockets[0].Close()
		o.sockets = o.sockets[1:]
	}
	if len(o.guests) == 0 {
		return
	}
	config, err := websocket.NewConfig(strings.Replace(o.base, "http", "ws", 1)+"/socket", o.base)
	if err != nil {
		o.t.Fatal(err)
	}
	config.Header.Set("Cookie", o.guests[len(o.guests)-1].cookieHeader())
	if conn, err := websocket.DialConfig(config); err == nil { // fails while Redis is down
		o.sockets = append(o.sockets, conn)
		o.t.Cleanup(func() { _ = conn.Close() })
	}
}
