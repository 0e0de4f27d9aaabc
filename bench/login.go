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

// witness is a testing.TB for running oidctest outside of a test. It collects
// errors, and end runs the cleanup functions.
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

// end ends the provider. The error contains the relying party's violations, if
// there were any.
func (w *witness) end() error {
	for _, f := range w.cleanup {
		f()
	}
	if len(w.failed) > 0 {
		return fmt.Errorf("%d faults, the first: %s", len(w.failed), w.failed[0])
	}
	return nil
}

// newProvider starts the provider, with a user for each file in testdata.
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

// navigation has the header fields, besides Host and Cookie, that Firefox sends for an
// address that the user typed. The number of fields matters: Go's maps are faster with
// at most eight entries, and all browsers send more.
const navigation = "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\n" +
	"Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\nSec-Fetch-User: ?1\r\nPriority: u=0, i\r\n"

// browser is the browser of a user who signs in.
type browser struct {
	w    *world
	http *http.Client
}

func (w *world) newBrowser() *browser {
	jar, _ := cookiejar.New(nil) // cannot fail without options
	return &browser{w, &http.Client{Jar: jar, Transport: w.transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// get requests a page of the site, checks the status, and returns the Location
// header.
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

// signIn makes a complete login: page, provider, code endpoint. It returns the
// Cookie header of the session, with unrelated cookies around it.
func (b *browser) signIn(origin, path string) (cookies string, err error) {
	asked, err := b.get(origin+path, http.StatusFound)
	if err != nil {
		return "", err
	}
	asked, _, _ = strings.Cut(asked, "#") // browsers do not send fragments
	// The provider is called directly, because its connections are not to be
	// measured.
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
			continue // the mark of a sign-in lasts only a minute
		}
		parts = append(parts, c.Name+"="+c.Value)
	}
	return strings.Join(append(parts, "lang=en"), "; "), nil
}
