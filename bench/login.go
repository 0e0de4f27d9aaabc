package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

//go:embed testdata/*.json
var recorded embed.FS

// witness lets the tests' provider run in a program: it fails by what it
// keeps, and what it would clean up is ended by end.
type witness struct {
	testing.TB
	failed  []string
	cleanup []func()
}

func (w *witness) Helper()                   {}
func (w *witness) Name() string              { return "bench" }
func (w *witness) TempDir() string           { return os.TempDir() }
func (w *witness) Cleanup(f func())          { w.cleanup = append(w.cleanup, f) }
func (w *witness) Errorf(f string, a ...any) { w.failed = append(w.failed, fmt.Sprintf(f, a...)) }
func (w *witness) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (w *witness) Fatal(a ...any)            { panic(fmt.Sprint(a...)) }

// end ends the provider; the error is what the relying party did wrong in its
// eyes.
func (w *witness) end() error {
	for _, f := range w.cleanup {
		f()
	}
	if len(w.failed) > 0 {
		return fmt.Errorf("%d faults, the first: %s", len(w.failed), w.failed[0])
	}
	return nil
}

// newProvider starts the provider, with a user for each file of claims.
func newProvider() (*oidctest.Provider, *witness, error) {
	w := new(witness)
	p := oidctest.New(w, oidctest.Unrecorded(), oidctest.ClaimsInIDToken())
	files, err := recorded.ReadDir("testdata")
	if err != nil {
		return nil, nil, err
	}
	for _, file := range files {
		text, err := recorded.ReadFile("testdata/" + file.Name())
		if err != nil {
			return nil, nil, err
		}
		claims := make(map[string]any)
		if err := json.Unmarshal(text, &claims); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file.Name(), err)
		}
		subject, _ := claims["sub"].(string)
		delete(claims, "sub")
		p.SetUser(file.Name(), oidctest.User{Subject: subject, Claims: claims})
	}
	return p, w, nil
}

// navigation is what Firefox sends for a page that was typed, beside Host and Cookie. It
// is all of it: a header with more than eight lines costs a step more, since Go's maps
// have room for eight in one group, and no browser sends as few.
const navigation = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\n" +
	"Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\nSec-Fetch-User: ?1\r\nPriority: u=0, i\r\n"

// browser is one person's, who signs in.
type browser struct {
	w    *world
	http *http.Client
}

func (w *world) newBrowser() *browser {
	jar, _ := cookiejar.New(nil) // fails for no options
	return &browser{w, &http.Client{Jar: jar, Transport: w.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// get asks the site for a page and returns where the answer leads.
func (b *browser) get(address string, want int) (location string, err error) {
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	for line := range strings.SplitSeq(strings.TrimSpace(navigation), "\r\n") {
		name, value, _ := strings.Cut(line, ": ")
		request.Header.Set(name, value)
	}
	response, err := b.http.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return "", err
	}
	if response.StatusCode != want {
		return "", fmt.Errorf("%s answers %s, and not %d", request.URL.Path, response.Status, want)
	}
	return response.Header.Get("Location"), nil
}

// signIn goes the whole way of a login: the page, the provider, the code
// endpoint. It returns the Cookie header of the session, with cookies of others
// around it.
func (b *browser) signIn(origin, path string) (cookies string, err error) {
	asked, err := b.get(origin+path, http.StatusFound)
	if err != nil {
		return "", err
	}
	asked, _, _ = strings.Cut(asked, "#") // which no browser sends
	// The provider's page costs no connection: it is not what is measured.
	answer := httptest.NewRecorder()
	b.w.provider.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, asked, nil))
	if answer.Code != http.StatusSeeOther {
		return "", fmt.Errorf("the provider answers %d: %s", answer.Code, answer.Body)
	}
	back, err := b.get(answer.Header().Get("Location"), http.StatusSeeOther)
	if err != nil {
		return "", err
	}
	if back != path && back != origin+path {
		return "", fmt.Errorf("the login leads to %s", back)
	}
	u, err := url.Parse(origin + path)
	if err != nil {
		return "", err
	}
	parts := []string{"theme=dark"}
	for _, c := range b.http.Jar.Cookies(u) {
		if strings.HasSuffix(c.Name, "_mark") {
			continue // the mark of a sign-in lasts a minute
		}
		parts = append(parts, c.Name+"="+c.Value)
	}
	return strings.Join(append(parts, "lang=en"), "; "), nil
}
