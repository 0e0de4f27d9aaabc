package main

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// A browser loads pages like a user's browser: it keeps cookies, follows redirects one at
// a time, submits forms that a script would submit, and loads the frame of a
// front-channel logout. It runs no other scripts.
type browser struct {
	http  *http.Client // follows no redirects
	jar   *jar
	site  string            // the origin of the tested site
	stop  func(string) bool // do not follow redirects to this address
	check func(*page) error // for every response of the site
}

// A page is the result of a page load.
type page struct {
	url     *url.URL
	status  int
	header  http.Header
	body    string
	stopped string   // the redirect that was not followed
	visited []string // all requested addresses, without their queries
	frames  []frame
}

// A frame is a frame that was loaded in the page.
type frame struct {
	address string
	status  int
}

func newBrowser(client *http.Client, site string) *browser {
	return &browser{http: client, jar: newJar(), site: site}
}

// open enters an address in the address bar. A path is relative to the site.
func (b *browser) open(ctx context.Context, address string) (*page, error) {
	if strings.HasPrefix(address, "/") {
		address = b.site + address
	}
	return b.load(ctx, http.MethodGet, address, nil)
}

const maxHops = 25

func (b *browser) load(ctx context.Context, method, address string, fields url.Values) (*page, error) {
	p := &page{}
	crossSite := false
	for range maxHops {
		to, err := p.resolve(address)
		if err != nil {
			return p, err
		}
		if p.url != nil {
			if b.stop != nil && b.stop(to.String()) {
				p.stopped = to.String()
				return p, nil
			}
			crossSite = crossSite || p.url.Hostname() != to.Hostname()
		}
		if err := b.request(ctx, p, method, to, fields, crossSite); err != nil {
			return p, err
		}
		location := p.header.Get("Location")
		f, submits := p.submitted()
		switch {
		case p.status >= 300 && p.status < 400 && location != "":
			address = location
			if p.status < 307 {
				method, fields = http.MethodGet, nil
			}
		case submits:
			method, address, fields = f.method, f.action, f.fields
		case strings.Contains(p.body, "createElement('iframe')"):
			next, err := b.frontchannel(ctx, p)
			if err != nil || next == "" {
				return p, err
			}
			address, method, fields = next, http.MethodGet, nil
		default:
			return p, nil
		}
	}
	return p, fmt.Errorf("a loop of more than %d redirects, the last at %s", maxHops, p.visited[len(p.visited)-1])
}

func (p *page) resolve(address string) (*url.URL, error) {
	if p.url == nil {
		return url.Parse(address)
	}
	return p.url.Parse(address)
}

// request sends one request of a page load and stores the response in the page.
func (b *browser) request(ctx context.Context, p *page, method string, to *url.URL, fields url.Values, crossSite bool) error {
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(fields.Encode())
	}
	r, err := http.NewRequestWithContext(ctx, method, to.String(), body)
	if err != nil {
		return err
	}
	h := r.Header
	h.Set("User-Agent", userAgent)
	h.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	h.Set("Sec-Fetch-Mode", "navigate")
	h.Set("Sec-Fetch-Dest", "document")
	switch {
	case p.url == nil:
		h.Set("Sec-Fetch-Site", "none")
	case crossSite:
		h.Set("Sec-Fetch-Site", "cross-site")
	default:
		h.Set("Sec-Fetch-Site", "same-origin")
	}
	if body != nil {
		h.Set("Content-Type", "application/x-www-form-urlencoded")
		h.Set("Origin", "null")
		if p.header.Get("Referrer-Policy") != "no-referrer" {
			h.Set("Origin", origin(p.url))
		}
	}
	return b.send(r, p, crossSite, true)
}

const userAgent = "Mozilla/5.0 (conformance driver of caddy-oidc-rp)"

// send sends a request with the matching cookies.
func (b *browser) send(r *http.Request, p *page, crossSite, topLevel bool) error {
	b.jar.add(r, crossSite, topLevel)
	answer, err := b.http.Do(r)
	if err != nil {
		return withoutQuery(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 4<<20))
	if err != nil {
		return fmt.Errorf("reading the response of %s: %w", r.URL.Path, err)
	}
	b.jar.set(r.URL, answer.Cookies())
	p.url, p.status, p.header, p.body = r.URL, answer.StatusCode, answer.Header, string(text)
	p.visited = append(p.visited, origin(r.URL)+r.URL.Path)
	if b.check != nil && origin(r.URL) == b.site {
		return b.check(p)
	}
	return nil
}

// withoutQuery removes the query from the address in an error, because codes and tokens
// must not be printed.
func withoutQuery(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		e.URL, _, _ = strings.Cut(e.URL, "?")
	}
	return err
}

// program requests a page like a script or a program. Such a request begins no login, and
// without a session the answer is 401.
func (b *browser) program(ctx context.Context, path string) (*page, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, b.site+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Sec-Fetch-Mode", "cors")
	r.Header.Set("Sec-Fetch-Dest", "empty")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	p := &page{}
	return p, b.send(r, p, false, false)
}

// A form is submitted by a script, as in the responses of providers with form_post.
type form struct {
	method, action string
	fields         url.Values
}

var (
	formTag  = regexp.MustCompile(`(?is)<form\b([^>]*)>(.*?)</form>`)
	inputTag = regexp.MustCompile(`(?is)<input\b([^>]*)>`)
)

// submitted returns the form that the page submits by itself.
func (p *page) submitted() (f form, found bool) {
	if !strings.Contains(p.body, "document.forms[0].submit()") {
		return f, false
	}
	m := formTag.FindStringSubmatch(p.body)
	if m == nil {
		return f, false
	}
	f = form{strings.ToUpper(attribute(m[1], "method")), attribute(m[1], "action"), url.Values{}}
	for _, input := range inputTag.FindAllStringSubmatch(m[2], -1) {
		if name := attribute(input[1], "name"); name != "" {
			f.fields.Add(name, attribute(input[1], "value"))
		}
	}
	return f, true
}

func attribute(tag, name string) string {
	m := regexp.MustCompile(`(?is)(?:^|\s)` + name + `\s*=\s*(?:"([^"]*)"|'([^']*)')`).FindStringSubmatch(tag)
	if m == nil {
		return ""
	}
	return html.UnescapeString(m[1] + m[2])
}

var (
	frameSource = regexp.MustCompile(`iframe\.src\s*=\s*'([^']*)'`)
	frameLoaded = regexp.MustCompile(`let url\s*=\s*'([^']*)'`)
	frameNext   = regexp.MustCompile(`window\.location\.href\s*=\s*'([^']*)'`)
)

// frontchannel does what the scripts in the suite's page for a front-channel logout do:
// it loads the frame, reports that the frame has loaded, and returns the next page. The
// suite escapes the frame's address as HTML, which scripts don't decode, so a real
// browser requests "amp;sid". frontchannel loads the frame with both addresses, the
// literal and the decoded one.
func (b *browser) frontchannel(ctx context.Context, p *page) (next string, err error) {
	source, loaded := frameSource.FindStringSubmatch(p.body), frameLoaded.FindStringSubmatch(p.body)
	if source == nil || loaded == nil {
		return "", errors.New("the suite's page for a front-channel logout has another form than is known")
	}
	addresses := []string{unquote(source[1])}
	if meant := unquote(html.UnescapeString(source[1])); meant != addresses[0] {
		addresses = append(addresses, meant)
	}
	for _, address := range addresses {
		status, err := b.frame(ctx, p, address)
		if err != nil {
			return "", err
		}
		p.frames = append(p.frames, frame{address, status})
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, html.UnescapeString(loaded[1])+"?loaded=true", nil)
	if err != nil {
		return "", err
	}
	if err := b.send(r, &page{}, false, false); err != nil {
		return "", err
	}
	if m := frameNext.FindStringSubmatch(p.body); m != nil {
		return html.UnescapeString(m[1]), nil
	}
	return "", nil
}

var escaped = regexp.MustCompile(`\\(.)`)

// unquote returns the value of a string literal in a script. It handles only escapes of
// characters that stand for themselves.
func unquote(text string) string { return escaped.ReplaceAllString(text, "$1") }

// asQuery escapes what browsers escape in a query, and leaves most unusual characters
// alone.
func asQuery(query string) string {
	var b strings.Builder
	for _, c := range []byte(query) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"#<>'`, c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// frame loads an address in a frame of the page.
func (b *browser) frame(ctx context.Context, p *page, address string) (int, error) {
	before, query, _ := strings.Cut(address, "?")
	to, err := p.resolve(before)
	if err != nil {
		return 0, err
	}
	to.RawQuery = asQuery(query)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return 0, err
	}
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("Accept", "text/html")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "iframe")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	f := &page{}
	if err := b.send(r, f, p.url.Hostname() != to.Hostname(), false); err != nil {
		return 0, err
	}
	if policy := f.header.Get("Content-Security-Policy"); f.status == http.StatusOK &&
		(strings.Contains(policy, "frame-ancestors 'none'") || f.header.Get("X-Frame-Options") != "") {
		return 0, errors.New("the page for a front-channel logout refuses to be framed")
	}
	return f.status, nil
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }
