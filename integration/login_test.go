package integration_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

func TestPrivatePageLeadsThroughTheLoginBackToItself(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	b := r.browser()
	p := b.open("/reports?year=2026&q=a%20b")
	check(required{t}, p).status(http.StatusOK).body("application sees alice")
	if !strings.HasSuffix(p.url, "/reports?year=2026&q=a%20b") {
		t.Errorf("came back to %s", p.url)
	}
	header, _ := r.upstream.got()
	if got := header["Cookie"]; got != nil {
		t.Errorf("our cookies reached the application: %q", got)
	}
	equal(t, "Cache-Control", p.Header.Get("Cache-Control"), "private, no-cache")
	if r.upstream.count() != 1 {
		t.Errorf("the application was asked %d times", r.upstream.count())
	}
	t.Log(b.cookies())
}

func TestOneBegunLoginIsOneTokenRequest(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	b := r.browser()
	u, err := url.Parse(b.get("/x").location())
	if err != nil {
		t.Fatal(err)
	}
	cookies, state := b.cookieHeader(), u.Query().Get("state")
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			r.rawGet(fmt.Sprintf("/@app/auth/default/code?state=%s&code=garbage%d&iss=%s", state, i, url.QueryEscape(op.Issuer())), "Cookie: "+cookies)
		})
	}
	all.Wait()
	if got := op.Hits(oidctest.Token); got != 1 {
		t.Errorf("%d token requests", got)
	}
	op.TakeViolations() // the code was never issued
}

func TestPlantedTransactionsHideNone(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	b := r.browser()
	p := b.open("/x", rpURL+"/@app/auth/default/code")
	u, _ := url.Parse(p.location())
	var planted strings.Builder
	for i := range 60 {
		fmt.Fprintf(&planted, "__Host-oidc_rp_tx_junk%04d=x; ", i)
	}
	got := r.rawGet(u.RequestURI(), "Cookie: "+planted.String()+b.cookieHeader())
	check(t, got).status(http.StatusSeeOther).leadsTo("/x")
}

func TestAtMostFiveLoginsAreInFlight(t *testing.T) {
	const maxLogins = 5
	t.Parallel()
	stop(t)
	op := newOP(t)
	r := newHarness(t, protectedBy(op))
	b := r.browser()
	var begun []*visited
	for i := range 9 {
		r.ahead(time.Duration(i) * time.Second)
		begun = append(begun, b.get(fmt.Sprintf("/tab/%d", i)))
		if got := len(b.cookies()); got > maxLogins {
			t.Fatalf("%d cookies after %d logins", got, i+1)
		}
	}
	for i := len(begun) - 1; i >= len(begun)-maxLogins; i-- {
		check(t, b.open(begun[i].location())).status(http.StatusOK).endsAt(fmt.Sprintf("/tab/%d", i))
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
	r := newHarness(t, protectedBy(op))
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
		// Long return addresses fit if they can be compressed.
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
	if n := strings.Count(r.logs(), "does not fit into a login in progress"); n != 1 {
		t.Errorf("the log says %d times that an address was too long", n)
	}
}
