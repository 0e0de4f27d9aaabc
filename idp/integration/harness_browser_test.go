package integration_test

import (
	"context"
	"crypto/tls"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// browser is a client with a cookie jar that sends the headers of a browser.
type browser struct {
	t      *testing.T
	client *http.Client
	jar    *cookiejar.Jar

	// The page that it shows.
	address *url.URL
	status  int
	header  http.Header
	body    string
}

func (h *harness) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	return &browser{t: h.t, jar: jar, client: &http.Client{
		Jar: jar, Transport: h.transport(), Timeout: 2 * time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// transport sends requests for all test hosts to a harness.
func (h *harness) transport() *http.Transport {
	at := h.server.Listener.Addr().String()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, target string) (net.Conn, error) {
			if host, _, _ := net.SplitHostPort(target); strings.HasSuffix(host, ".test") {
				target = at
			}
			return new(net.Dialer).DialContext(ctx, network, target)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	h.t.Cleanup(transport.CloseIdleConnections)
	return transport
}

// get opens an address and follows redirects.
func (b *browser) get(address string) *browser {
	b.t.Helper()
	return b.load(http.MethodGet, address, nil)
}

// load sends a request as for a page load and follows redirects.
func (b *browser) load(method, address string, form url.Values) *browser {
	b.t.Helper()
	for range 20 {
		b.send(method, address, form)
		location := b.header.Get("Location")
		if refresh := refreshTag.FindStringSubmatch(b.body); location == "" && refresh != nil {
			location = html.UnescapeString(refresh[1])
		}
		if location == "" {
			return b
		}
		to, err := b.address.Parse(location)
		if err != nil {
			b.t.Fatal(err)
		}
		method, address, form = http.MethodGet, to.String(), nil
	}
	b.t.Fatal("a redirect loop")
	return nil
}

// send sends one request.
func (b *browser) send(method, address string, form url.Values) {
	b.t.Helper()
	var body io.Reader = http.NoBody
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, address, body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", "none")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	response, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.address, b.status, b.header, b.body = r.URL, response.StatusCode, response.Header, string(text)
}

var (
	formTag  = regexp.MustCompile(`(?s)<form\b([^>]*)>(.*?)</form>`)
	inputTag = regexp.MustCompile(`<(?:input|button)\b([^>]*)>`)
	// refreshTag matches an immediate redirect in a page.
	refreshTag = regexp.MustCompile(`<meta http-equiv="refresh" content="0; url=([^"]*)">`)
	attr       = regexp.MustCompile(`([a-z-]+)="([^"]*)"`)
)

func attributes(tag string) map[string]string {
	all := make(map[string]string)
	for _, m := range attr.FindAllStringSubmatch(tag, -1) {
		all[m[1]] = html.UnescapeString(m[2])
	}
	return all
}

// submit fills in and sends the first form of the page that has all these fields.
func (b *browser) submit(fields ...string) *browser {
	b.t.Helper()
	for _, form := range formTag.FindAllStringSubmatch(b.body, -1) {
		values, names := url.Values{}, make(map[string]bool)
		for _, input := range inputTag.FindAllStringSubmatch(form[2], -1) {
			field := attributes(input[1])
			names[field["name"]] = true
			if field["type"] == "hidden" {
				values.Set(field["name"], field["value"])
			}
		}
		fits := true
		for i := 0; i < len(fields); i += 2 {
			fits = fits && names[fields[i]]
			values.Set(fields[i], fields[i+1])
		}
		if !fits {
			continue
		}
		to, err := b.address.Parse(attributes(form[1])["action"])
		if err != nil {
			b.t.Fatal(err)
		}
		return b.load(http.MethodPost, to.String(), values)
	}
	b.t.Fatalf("%s has no form with %q:\n%s", b.address, fields, b.body)
	return nil
}

// post sends a form like a program, not like a browser.
func (b *browser) post(address string, form url.Values, header http.Header) (status int, body string) {
	b.t.Helper()
	return b.do(http.MethodPost, address, strings.NewReader(form.Encode()), header, "application/x-www-form-urlencoded")
}

// program requests a page with an access key.
func (b *browser) program(address, key string) (status int, body string) {
	b.t.Helper()
	return b.do(http.MethodGet, address, http.NoBody, http.Header{"Authorization": {"Bearer " + key}}, "")
}

func (b *browser) do(method, address string, body io.Reader, header http.Header, contentType string) (status int, text string) {
	b.t.Helper()
	r, err := http.NewRequest(method, address, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if header != nil {
		r.Header = header
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	response, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response.StatusCode, string(data)
}

// moveTo connects the browser to another node, as a load balancer can.
func (b *browser) moveTo(h *harness) { b.client.Transport = h.transport() }

// expect fails unless the page contains a text.
func (b *browser) expect(text string) *browser {
	b.t.Helper()
	if !strings.Contains(b.body, text) {
		b.t.Fatalf("%s (status %d): expected %q, seen\n%s", b.address, b.status, text, b.body)
	}
	return b
}

// at fails unless the address of the page has a prefix.
func (b *browser) at(address string) *browser {
	b.t.Helper()
	if seen := b.address.Scheme + "://" + b.address.Host + b.address.Path; !strings.HasPrefix(seen, address) {
		b.t.Fatalf("expected to be at %s, seen %s (status %d):\n%s", address, seen, b.status, b.body)
	}
	return b
}

// signIn enters the user name and the password.
func (b *browser) signIn(name string) *browser {
	b.t.Helper()
	return b.submit("username", name).submit("password", password)
}
