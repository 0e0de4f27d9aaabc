package integration_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// The application's responses are passed on unchanged, with or without a session, even a 401,
// 403 or redirect. None of them ends a session.
//
// See docs/faults.md, row F49.
func TestWhatTheApplicationAnswersIsItsOwn(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	r := newHarness(t, protectedBy(op, "public /open"))
	b := signedIn(t, r)
	for _, row := range []struct {
		status int
		header map[string]string
	}{
		{http.StatusUnauthorized, map[string]string{"WWW-Authenticate": `Basic realm="the application's"`}},
		{http.StatusUnauthorized, map[string]string{"WWW-Authenticate": `Bearer error="invalid_token"`}},
		{http.StatusUnauthorized, nil},
		{http.StatusForbidden, nil},
		{http.StatusTemporaryRedirect, map[string]string{"Location": "https://elsewhere.example/?a=b"}},
		{http.StatusFound, map[string]string{"Location": "/@app/auth/default/login"}},
		{http.StatusInternalServerError, nil},
		{http.StatusServiceUnavailable, map[string]string{"Retry-After": "120"}},
	} {
		r.upstream.mu.Lock()
		r.upstream.answer = func(w http.ResponseWriter, _ *http.Request) {
			for name, value := range row.header {
				w.Header().Set(name, value)
			}
			w.WriteHeader(row.status)
			_, _ = fmt.Fprint(w, "the application's words")
		}
		r.upstream.mu.Unlock()
		for _, path := range []string{"/page", "/open"} {
			p := b.get(path)
			what := fmt.Sprint(row.status, " at ", path)
			check(t, p, what).status(row.status).body("the application's words").setsCookies(0)
			for _, name := range []string{"WWW-Authenticate", "Location", "Retry-After"} {
				equal(t, what+": "+name, p.Header.Get(name), row.header[name])
			}
		}
		check(t, r.browser().get("/open"), "an anonymous user").status(row.status).body("the application's words").setsCookies(0)
	}
	equal(t, "the number of logins", op.Hits(oidctest.Authorize), 1)
	r.upstream.mu.Lock()
	r.upstream.answer = nil
	r.upstream.mu.Unlock()
	check(t, b.get("/page"), "afterwards").status(http.StatusOK).body("application sees alice")
}

// The application hangs. Other requests are served meanwhile. When the client disconnects, the
// request to the application is canceled.
//
// See docs/faults.md, rows F44 and F49.
func TestTheApplicationHangs(t *testing.T) {
	t.Parallel()
	r := newHarness(t, protectedBy(newOP(t)))
	b, other := signedIn(t, r), signedIn(t, r)
	asked, gone := make(chan struct{}), make(chan struct{})
	r.upstream.mu.Lock()
	r.upstream.answer = func(w http.ResponseWriter, request *http.Request) {
		if request.URL.Path != "/hangs" {
			return
		}
		close(asked)
		<-request.Context().Done()
		close(gone)
	}
	r.upstream.mu.Unlock()
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, rpURL+"/hangs", nil)
	succeeds(required{t}, "the request", err)
	request.Header.Set("Cookie", b.cookieHeader())
	left := make(chan error, 1)
	go func() {
		response, err := b.client.Do(request)
		if err == nil {
			response.Body.Close()
		}
		left <- err
	}()
	<-asked
	check(t, other.get("/page"), "another user").status(http.StatusOK)
	leave()
	differs(t, "the error of the client that left", <-left, nil)
	select {
	case <-gone:
	case <-time.After(patience):
		t.Error("expected the request to the application to end with the client, seen that it goes on")
	}
	check(t, b.get("/page"), "afterwards").status(http.StatusOK)
}

// A browser disconnects while the provider's metadata is being fetched. The metadata is kept, so
// the next page load needs no other request.
//
// See docs/faults.md, row F44.
func TestABrowserLeavesWhileTheProviderIsAsked(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	asking, answer := make(chan struct{}), make(chan struct{})
	op.Lie(func(l *oidctest.Faults) {
		l.At(oidctest.Discovery).Hold = func(*http.Request) {
			close(asking)
			<-answer
		}
	})
	r := newHarness(t, protectedBy(op))
	ctx, leave := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, rpURL+"/page", nil)
	succeeds(required{t}, "the request", err)
	for name, value := range pageLoadHeader {
		request.Header.Set(name, value)
	}
	left := make(chan error, 1)
	b := r.browser()
	go func() {
		response, err := b.client.Do(request)
		if err == nil {
			response.Body.Close()
		}
		left <- err
	}()
	<-asking
	leave()
	differs(t, "the error of the browser that left", <-left, nil)
	close(answer)
	r.signsIn()
	asked(t, op, oidctest.Discovery, 1)
}

// A client secret is replaced while users sign in. The provider accepts both secrets for a
// while, the file changes, and then the provider withdraws the old one. A reload happens in
// between.
//
// See docs/faults.md, row F39.
func TestAClientSecretIsReplaced(t *testing.T) {
	t.Parallel()
	op, storage := newOP(t), storageDir(t)
	file := filepath.Join(t.TempDir(), "secret")
	old, fresh := op.Client().Secret, "another secret of the client"
	write := func(secret string) {
		succeeds(required{t}, "the file of the secret", os.WriteFile(file, []byte(secret), 0o600))
	}
	write(old)
	site := fmt.Sprintf(`
http://rp.test {
	oidc_rp {
		issuer %s
		client_id %s
		client_secret {file.%s}
	}
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
}
`, op.Issuer(), op.Client().ID, file)
	r := newHarnessAt(t, storage, site)
	half := r.browser()
	callback := half.open("/half", rpURL+"/@app/auth/default/code").location()
	r.signsIn()
	op.SetClient(func(c *oidctest.Client) { c.Secret, c.OldSecrets = fresh, []string{old} })
	r.signsIn()
	write(fresh)
	r.signsIn()
	reloaded := newHarnessAt(t, storage, site)
	moveTo(half, reloaded)
	op.SetClient(func(c *oidctest.Client) { c.OldSecrets = nil })
	check(t, half.open(callback), "a login that was begun before").status(http.StatusOK).endsAt("/half")
	reloaded.signsIn()
	r.signsIn()
}

// The sessions of many users end in the same second. Each user gets a redirect, without a
// request to the provider. When they return with their codes, there is one token request for
// each of them, none for metadata and at most one for keys.
//
// See docs/faults.md, row F48.
func TestManySessionsEndInOneSecond(t *testing.T) {
	t.Parallel()
	const users = 300
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now))
	r := newHarness(t, protectedBy(op, `
		session {
			lifetime 30m
		}`))
	r.at(clock.now)
	browsers := make([]*browser, users)
	for i := range browsers {
		browsers[i] = signedIn(t, r)
	}
	clock.advance(30*time.Minute + time.Second)
	metadata, keys, tokens := op.Hits(oidctest.Discovery), op.Hits(oidctest.JWKS), op.Hits(oidctest.Token)
	visits := make([]*visited, users)
	each := func(do func(i int, b *browser)) {
		next := make(chan int)
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for i := range next {
					do(i, browsers[i])
				}
			})
		}
		for i := range browsers {
			next <- i
		}
		close(next)
		all.Wait()
	}
	each(func(i int, b *browser) { visits[i] = b.get("/page") })
	for i, p := range visits {
		check(t, p, fmt.Sprint("user ", i)).status(http.StatusFound).leadsInto(op.URL(oidctest.Authorize))
	}
	asked(t, op, oidctest.Discovery, metadata)
	asked(t, op, oidctest.Token, tokens)
	each(func(i int, b *browser) { visits[i] = b.open(visits[i].location()) })
	for i, p := range visits {
		check(t, p, fmt.Sprint("user ", i)).status(http.StatusOK).body("application sees alice")
	}
	asked(t, op, oidctest.Discovery, metadata)
	asked(t, op, oidctest.Token, tokens+users)
	atMost(t, "the number of requests for the keys", op.Hits(oidctest.JWKS)-keys, 1)
	equal(t, "the log has an error", strings.Contains(r.logs(), `"level":"error"`), false)
}
