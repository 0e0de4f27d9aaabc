package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// A visitor is a browser for loads: there may be ten thousand. What it keeps
// are the lines of its Cookie header, and where it was sent last. It speaks to
// the site and to zitadel, whose login it knows.
type visitor struct {
	w    *world
	page string // what was asked for last
	at   string // where the answer led

	mu      sync.Mutex
	cookies []string // name=value, as they go into the header
}

// crowd is the connections that visitors share.
func crowd(connections int) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections},
		Timeout:       busy * time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// header is the visitor's Cookie header.
func (v *visitor) header() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Join(v.cookies, "; ")
}

// take keeps and drops cookies as an answer says.
func (v *visitor) take(answer *http.Response) {
	set := answer.Cookies()
	if len(set) == 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, c := range set {
		kept := v.cookies[:0:0]
		for _, line := range v.cookies {
			if !strings.HasPrefix(line, c.Name+"=") {
				kept = append(kept, line)
			}
		}
		// The hint is for the logout alone, and the mark of a sign-in ends within a
		// minute: what is left is the session, or a login.
		if c.MaxAge >= 0 && c.Path == "/" && !strings.HasSuffix(c.Name, "_mark") {
			kept = append(kept, c.Name+"="+c.Value)
		}
		v.cookies = kept
	}
}

// load is one request of a page load; a path is one of the site's.
func (v *visitor) load(client *http.Client, method, target string, fields url.Values) (status int, body string, err error) {
	if strings.HasPrefix(target, "/") {
		target = v.w.base + target
	}
	r, err := http.NewRequest(method, target, strings.NewReader(fields.Encode()))
	if err != nil {
		return 0, "", err
	}
	pageLoad(r, "none", nil)
	site := v.w.isSite(r.URL)
	if site {
		r.Header.Set("Cookie", v.header())
	}
	answer, err := client.Do(r)
	for tries := 0; err != nil && method == "GET" && isCut(err) && tries < 2; tries++ {
		answer, err = client.Do(r) // as in traffic
	}
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, "", err
	}
	if site {
		v.take(answer)
	}
	v.page, v.at = r.URL.String(), ""
	if location := answer.Header.Get("Location"); location != "" {
		to, err := r.URL.Parse(location)
		if err != nil {
			return 0, "", err
		}
		v.at = to.String()
	}
	return answer.StatusCode, string(text), nil
}

// begin opens a private page and stops before the provider.
func (v *visitor) begin(client *http.Client, path string) error {
	status, body, err := v.load(client, "GET", path, nil)
	if err == nil && !strings.HasPrefix(v.at, v.w.op.issuer) {
		err = fmt.Errorf("status %d, to %q: no login was begun: %.200s", status, v.at, body)
	}
	return err
}

// authenticate goes on from begin and stops before it is back at the site.
func (v *visitor) authenticate(client *http.Client, user string) error {
	if _, _, err := v.load(client, "GET", v.at, nil); err != nil {
		return err
	}
	form, err := url.Parse(v.at)
	if err != nil {
		return err
	}
	fields := url.Values{"id": {form.Query().Get("authRequestID")}, "username": {user}, "password": {user + "-pw"}}
	form.RawQuery = ""
	if _, _, err := v.load(client, "POST", form.String(), fields); err != nil {
		return err
	}
	status, body, err := v.load(client, "GET", v.at, nil)
	if err == nil && !strings.HasPrefix(v.at, v.w.base+"/@app/auth/") {
		err = fmt.Errorf("status %d, to %q: the provider did not hand back: %.200s", status, v.at, body)
	}
	return err
}

// finish goes on from authenticate and ends on the page.
func (v *visitor) finish(client *http.Client, user string) error {
	status, body, err := v.load(client, "GET", v.at, nil)
	if err != nil {
		return err
	}
	if status != http.StatusSeeOther {
		return fmt.Errorf("the callback: expected status 303, seen %d: %.200s", status, body)
	}
	if !v.w.isSite(mustParse(v.at)) {
		return fmt.Errorf("the callback: expected an address of the site, seen %q", v.at)
	}
	if strings.Contains(v.at, "auth_error") {
		return fmt.Errorf("the callback: expected no error, seen %q", v.at)
	}
	return v.isFor(client, v.at, user)
}

// isFor reports whether the page knows the user.
func (v *visitor) isFor(client *http.Client, page, user string) error {
	status, body, err := v.load(client, "GET", page, nil)
	if err == nil && (status != http.StatusOK || body != "user="+user) {
		err = fmt.Errorf("%s got %d, to %q: %.200q, wanted user=%s", page, status, v.at, body, user)
	}
	return err
}

// signIn is all of it.
func (v *visitor) signIn(client *http.Client, path, user string) error {
	if err := v.begin(client, path); err != nil {
		return err
	}
	if err := v.authenticate(client, user); err != nil {
		return err
	}
	return v.finish(client, user)
}
