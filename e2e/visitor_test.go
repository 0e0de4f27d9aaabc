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

// A visitor is a browser for loads, of which there may be ten thousand. It keeps only its
// cookies and the last redirect. It can use the site and zitadel's login.
type visitor struct {
	w    *world
	page string // the last request's URL
	at   string // where the answer redirected

	mu      sync.Mutex
	cookies []string // name=value, as in the header
}

// crowd returns a client whose connections many visitors share.
func crowd(connections int) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections},
		Timeout:       busy * time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// header returns the visitor's Cookie header.
func (v *visitor) header() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return strings.Join(v.cookies, "; ")
}

// take stores and deletes cookies as the answer says.
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
		// Keep only the session or a pending login. The hint is only for the logout, and
		// the mark of a sign-in expires within a minute.
		if c.MaxAge >= 0 && c.Path == "/" && !strings.HasSuffix(c.Name, "_mark") {
			kept = append(kept, c.Name+"="+c.Value)
		}
		v.cookies = kept
	}
}

// load sends one request of a page load. A path is relative to the site.
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
		answer, err = client.Do(r) // retry, as in traffic
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

// authenticate continues after begin and stops before the callback.
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

// finish continues after authenticate and ends on the page.
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

// isFor fails unless the page is for the user.
func (v *visitor) isFor(client *http.Client, page, user string) error {
	status, body, err := v.load(client, "GET", page, nil)
	if err == nil && (status != http.StatusOK || body != "user="+user) {
		err = fmt.Errorf("%s got %d, to %q: %.200q, wanted user=%s", page, status, v.at, body, user)
	}
	return err
}

// signIn runs begin, authenticate, and finish.
func (v *visitor) signIn(client *http.Client, path, user string) error {
	if err := v.begin(client, path); err != nil {
		return err
	}
	if err := v.authenticate(client, user); err != nil {
		return err
	}
	return v.finish(client, user)
}
