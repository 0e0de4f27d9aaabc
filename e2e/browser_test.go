package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A browser is a client with a cookie jar. It follows redirects one at a time, records
// each one, and sends the headers of a navigation.
type browser struct {
	t       testing.TB
	w       *world
	jar     *cookiejar.Jar
	http    *http.Client
	cookies map[string]*http.Cookie // as the relying party last set them, with attributes
	holdAt  func(*url.URL) bool     // stop before this request, like a slow user
}

// A hop is one request of a page load.
type hop struct {
	method, url string
	status      int
	header      http.Header
}

func (w *world) newBrowser() *browser {
	jar, _ := cookiejar.New(nil)
	transport := &http.Transport{
		// Every host name in the tests is this machine; connect nowhere else.
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			if host != "127.0.0.1" && host != "localhost" && !strings.HasSuffix(host, ".localhost") && !strings.HasSuffix(host, ".test") {
				return nil, fmt.Errorf("%s is none of the tests' names", host)
			}
			return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
		TLSClientConfig:   &tls.Config{RootCAs: w.roots(), MinVersion: tls.VersionTLS12},
		DisableKeepAlives: true, // a restarted Caddy must not leave dead connections behind
	}
	return &browser{t: w.t, w: w, jar: jar, cookies: map[string]*http.Cookie{}, http: &http.Client{
		Transport: transport, Timeout: busy * 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// open enters an address in the address bar. A path is relative to the site.
func (b *browser) open(target string) *page {
	b.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.w.base + target
	}
	return b.load("GET", target, nil, nil)
}

// follow clicks the link with this href.
func (p *page) follow(href string) *page {
	p.b.t.Helper()
	return p.b.load("GET", href, nil, p)
}

// send fills the fields (name, value, …) of the form and submits it.
func (p *page) send(f form, fields ...string) *page {
	p.b.t.Helper()
	for i := 0; i+1 < len(fields); i += 2 {
		f.fields.Set(fields[i], fields[i+1])
	}
	return p.b.load(f.method, f.action.String(), f.fields, p)
}

// load navigates. from is the page that started the navigation, nil if the user did.
func (b *browser) load(method, target string, fields url.Values, from *page) *page {
	b.t.Helper()
	p := &page{b: b}
	relation := "same-origin" // Sec-Fetch-Site, for the whole chain of redirects
	if from != nil {
		p.url = from.url
	}
	for {
		to, err := url.Parse(target)
		if err == nil && p.url != nil {
			to, err = p.url.Parse(target)
		}
		if err != nil {
			b.t.Fatalf("%q is no address: %v%s", target, err, p)
		}
		p.url = to
		if b.holdAt != nil && b.holdAt(to) {
			p.status = 0
			return p
		}
		var body io.Reader
		if method == "POST" {
			body = strings.NewReader(fields.Encode())
		} else if fields != nil {
			to.RawQuery, fields = fields.Encode(), nil
		}
		r, err := http.NewRequest(method, to.String(), body)
		if err != nil {
			b.t.Fatal(err)
		}
		relation = worse(relation, from, to)
		pageLoad(r, relation, from)
		answer := b.do(p, r)
		switch location := answer.Header.Get("Location"); {
		case answer.StatusCode >= 300 && answer.StatusCode < 400 && location != "":
			if len(p.hops) > 20 {
				b.t.Fatalf("a loop:%s", p)
			}
			target = location
			if answer.StatusCode == 303 || method == "POST" && answer.StatusCode < 307 {
				method, fields = "GET", nil
			}
		case strings.Contains(p.body, "document.forms[0].submit()"): // the page submits its form
			f := p.form()
			return b.load(f.method, f.action.String(), f.fields, p)
		default:
			return p
		}
	}
}

// worse returns the Sec-Fetch-Site value of a navigation after one more step.
func worse(so string, from *page, to *url.URL) string {
	switch {
	case from == nil:
		return "none"
	case so == "cross-site" || from.url.Scheme != to.Scheme || from.url.Hostname() != to.Hostname():
		return "cross-site"
	case so == "same-site" || from.url.Host != to.Host:
		return "same-site" // different port
	}
	return so
}

// pageLoad sets the headers that browsers send with a navigation.
func pageLoad(r *http.Request, relation string, from *page) {
	h := r.Header
	h.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) e2e")
	h.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	h.Set("Sec-Fetch-Mode", "navigate")
	h.Set("Sec-Fetch-Dest", "document")
	h.Set("Sec-Fetch-Site", relation)
	h.Set("Sec-Fetch-User", "?1")
	h.Set("Upgrade-Insecure-Requests", "1")
	silent := from == nil || from.header.Get("Referrer-Policy") == "no-referrer"
	if !silent {
		h.Set("Referer", from.url.Scheme+"://"+from.url.Host+"/")
	}
	if r.Method == "POST" {
		h.Set("Content-Type", "application/x-www-form-urlencoded")
		h.Set("Origin", "null") // what a page with the policy no-referrer sends, even to its own site
		if !silent {
			h.Set("Origin", from.url.Scheme+"://"+from.url.Host)
		}
	}
}

// do sends one request with the matching cookies and records the response.
func (b *browser) do(p *page, r *http.Request) *http.Response {
	b.t.Helper()
	lax := r.Method == "GET" || r.Header.Get("Sec-Fetch-Site") != "cross-site"
	for _, c := range b.jar.Cookies(r.URL) {
		set := b.cookies[c.Name]
		if lax || set != nil && set.SameSite == http.SameSiteNoneMode {
			r.AddCookie(c)
		}
	}
	answer, err := b.http.Do(r)
	if r.Method == "GET" && isCut(err) {
		// While it reloads, Caddy may close a connection that it has just accepted;
		// browsers then retry. A panic would show in the log.
		answer, err = b.http.Do(r)
	}
	if err != nil {
		b.t.Fatalf("%s %s: %v%s", r.Method, r.URL, err, p)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatalf("%s %s: %v%s", r.Method, r.URL, err, p)
	}
	b.jar.SetCookies(r.URL, answer.Cookies())
	p.url, p.status, p.header, p.body = r.URL, answer.StatusCode, answer.Header, string(text)
	p.hops = append(p.hops, hop{r.Method, r.URL.String(), answer.StatusCode, answer.Header})
	if b.w.isSite(r.URL) {
		b.w.secrets.watch(r.URL, answer)
		for _, c := range answer.Cookies() {
			b.cookies[c.Name] = c
		}
		b.w.checkAnswer(p)
	}
	return answer
}

// cookie returns the value that the browser would send to the site's root, or "".
func (b *browser) cookie(name string) string {
	site, _ := url.Parse(b.w.base + "/")
	for _, c := range b.jar.Cookies(site) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// copyCookies copies another browser's cookies for the site's root, as a thief would.
func (b *browser) copyCookies(other *browser) {
	site, _ := url.Parse(b.w.base + "/")
	b.jar.SetCookies(site, other.jar.Cookies(site))
}

// fetch sends a request that is not a navigation, with these headers (name, value, …) and
// the browser's cookies. It does not follow redirects.
func (b *browser) fetch(method, path string, headers ...string) *page {
	b.t.Helper()
	r, err := http.NewRequest(method, b.w.base+path, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	p := &page{b: b}
	b.do(p, r)
	return p
}

// script sends the request of a script in a page.
func (b *browser) script(path string) *page {
	b.t.Helper()
	return b.fetch("GET", path, "Accept", "application/json", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "Sec-Fetch-Site", "same-origin")
}

// forget removes a cookie, as if it had expired.
func (b *browser) forget(name string) {
	site, _ := url.Parse(b.w.base + "/")
	b.jar.SetCookies(site, []*http.Cookie{{Name: name, Path: "/", MaxAge: -1}})
}

// rawFetch sends a request with the path byte for byte, which client libraries don't
// allow. It returns the status.
func (b *browser) rawFetch(path string) int {
	b.t.Helper()
	conn, err := net.Dial("tcp", mustParse(b.w.base).Host)
	if err != nil {
		b.t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(busy * 10 * time.Second))
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json\r\nConnection: close\r\n\r\n", path, mustParse(b.w.base).Host)
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		b.t.Fatalf("%q: %v", path, err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}
