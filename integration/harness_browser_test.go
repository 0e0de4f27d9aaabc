package integration_test

import (
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

	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

// browser is an HTTP client that sends the headers of a browser. It has a cookie jar and does
// not follow redirects on its own.
type browser struct {
	t      *testing.T
	client *http.Client
	jar    *cookiejar.Jar
	// languages is the user's Accept-Language.
	languages string
}

// visited is a response with its body and the address of the request.
type visited struct {
	*http.Response
	body string
	url  string
}

// reader returns a browser with an Accept-Language.
func (r *harness) reader(languages string) *browser {
	b := r.browser()
	b.languages = languages
	return b
}

func (r *harness) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		r.t.Fatal(err)
	}
	address := r.server.Listener.Addr().String()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, target string) (net.Conn, error) {
			if host, _, _ := net.SplitHostPort(target); strings.HasSuffix(host, ".test") {
				target = address
			}
			return new(net.Dialer).DialContext(ctx, network, target)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	r.t.Cleanup(transport.CloseIdleConnections)
	return &browser{r.t, &http.Client{
		Jar: jar, Transport: transport, Timeout: 4 * patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, jar, ""}
}

// pageLoadHeader is the header of a browser when a user opens a page.
var pageLoadHeader = map[string]string{
	"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-Site": "none",
}

// send makes one request, by default as a navigation. An empty header value removes that header.
func (b *browser) send(method, address string, header map[string]string) *visited {
	b.t.Helper()
	return b.do(method, address, "", header)
}

// post sends a form.
func (b *browser) post(address, form string, header map[string]string) *visited {
	b.t.Helper()
	return b.do(http.MethodPost, address, form, header)
}

func (b *browser) do(method, address, form string, header map[string]string) *visited {
	b.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = rpURL + address
	}
	request, err := http.NewRequest(method, address, strings.NewReader(form))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if b.languages != "" {
		request.Header.Set("Accept-Language", b.languages)
	}
	for _, set := range []map[string]string{pageLoadHeader, header} {
		for name, value := range set {
			request.Header.Del(name)
			if value != "" {
				request.Header.Set(name, value)
			}
		}
	}
	response, err := b.client.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return &visited{response, string(body), address}
}

func (b *browser) get(address string) *visited {
	b.t.Helper()
	return b.send(http.MethodGet, address, nil)
}

// open opens a page and follows redirects. It stops before a redirect whose address contains one
// of the stop texts.
func (b *browser) open(address string, stop ...string) *visited {
	b.t.Helper()
	for range 12 {
		p := b.get(address)
		location := p.location()
		if location == "" {
			return p
		}
		for _, part := range stop {
			if strings.Contains(location, part) {
				return p
			}
		}
		address = location
	}
	b.t.Fatal("a redirect loop")
	return nil
}

// location returns the address of a redirect, as a browser resolves it.
func (p *visited) location() string {
	location := p.Header.Get("Location")
	if location == "" {
		return ""
	}
	base, err := url.Parse(p.url)
	if err != nil {
		return location
	}
	u, err := base.Parse(location)
	if err != nil {
		return location
	}
	return u.String()
}

// cookies returns the browser's cookies for the site.
func (b *browser) cookies() map[string]string {
	u, _ := url.Parse(rpURL + "/Special:UserLogout")
	all := make(map[string]string)
	for _, c := range b.jar.Cookies(u) {
		all[c.Name] = c.Value
	}
	return all
}

// cookieHeader returns the Cookie header that the browser sends to the site.
func (b *browser) cookieHeader() string {
	var pairs []string
	for name, value := range b.cookies() {
		pairs = append(pairs, name+"="+value)
	}
	return strings.Join(pairs, "; ")
}

func with(header map[string]string, more ...string) map[string]string {
	all := make(map[string]string)
	for name, value := range header {
		all[name] = value
	}
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

func escape(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02X", c)
	}
	return b.String()
}

const initiatePath = "/@app/auth/default/initiate"

// fromPortal is the header of a request that a page of another site causes.
var fromPortal = map[string]string{"Sec-Fetch-Site": "cross-site", "Origin": "https://portal.test"}
