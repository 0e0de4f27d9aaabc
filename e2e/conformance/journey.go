package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// An attempt is one run of one module, with its own Caddy.
type attempt struct {
	suite    *suite
	instance *instance
	issuer   string
	site     *site
	browser  *browser
	http     *http.Client
	limit    time.Duration

	page  *page // the browser's last page
	probe *page // the program's last response
}

// A step is something that a user, a program, or the driver does, or a condition that
// must hold afterwards.
type step func(context.Context, *attempt) error

var (
	errLate = errors.New("not in time")
	errOver = errors.New("the module has ended before it asked for anything")
)

const (
	private    = "/private"
	logoutPath = "/Special:UserLogout"
	endpoints  = "/@app/auth/default/"
)

// These steps do what a module waits for.

// signIn opens a private page.
func signIn(ctx context.Context, a *attempt) (err error) {
	a.page, err = a.browser.open(ctx, private)
	return err
}

// signInTwice signs in with two browsers, one after another.
func signInTwice(ctx context.Context, a *attempt) error {
	if err := then(signIn, signedIn)(ctx, a); err != nil {
		return fmt.Errorf("the first sign-in: %w", err)
	}
	a.browser.jar = newJar()
	return signIn(ctx, a)
}

// begin opens a private page and stops before the request to the provider.
func begin(ctx context.Context, a *attempt) error {
	a.browser.stop = func(address string) bool { return strings.HasPrefix(address, a.issuer) }
	return signIn(ctx, a)
}

// signInAgainWithoutQuestions follows a login link with a combination that the provider
// cannot satisfy: prompt=none and a new authentication.
func signInAgainWithoutQuestions(ctx context.Context, a *attempt) (err error) {
	a.page, err = a.browser.open(ctx, endpoints+"login?returnto="+private+"&max_age=0&prompt=none")
	return err
}

// signOut signs in, and then signs out at the site.
func signOut(ctx context.Context, a *attempt) (err error) {
	if err := then(signIn, signedIn)(ctx, a); err != nil {
		return err
	}
	a.page, err = a.browser.open(ctx, logoutPath)
	return err
}

// signOutAtProvider signs in, and then begins a logout at the provider.
func signOutAtProvider(ctx context.Context, a *attempt) error {
	if err := then(signIn, signedIn)(ctx, a); err != nil {
		return err
	}
	_, _, hint := a.site.app.seen()
	if hint == "" {
		return errors.New("the site has passed no ID token on, which the logout needs as a hint")
	}
	var metadata struct {
		EndSession string `json:"end_session_endpoint"`
	}
	if err := a.fetch(ctx, a.issuer+".well-known/openid-configuration", &metadata); err != nil {
		return err
	}
	query := url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {a.browser.site + endpoints + "signedout"}, "state": {"driver"}}
	var err error
	a.page, err = a.browser.open(ctx, metadata.EndSession+"?"+query.Encode())
	return err
}

// openListed signs in, and then opens the page that the suite lists for the user: a
// logout that begins at the provider.
func openListed(ctx context.Context, a *attempt) error {
	if err := then(signIn, signedIn)(ctx, a); err != nil {
		return err
	}
	return openTheListed(ctx, a)
}

// openTheListed waits for the page that the suite lists and opens it.
func openTheListed(ctx context.Context, a *attempt) error {
	var pages []string
	err := eventually(ctx, a.limit, a.suite.poll, func() (bool, error) {
		var err error
		if pages, err = a.suite.listed(ctx, a.instance.ID); err != nil || len(pages) > 0 {
			return true, err
		}
		now, err := a.suite.info(ctx, a.instance.ID)
		if err == nil && now.ended() {
			err = errOver
		}
		return false, err
	})
	if err != nil {
		return fmt.Errorf("the suite lists no page to open: %w", err)
	}
	if err := a.suite.visited(ctx, a.instance.ID, pages[0]); err != nil {
		return err
	}
	a.page, err = a.browser.open(ctx, pages[0])
	return err
}

// keepUsing signs in, and then sends requests of a script until the suite has seen what
// it waits for, or the session has ended.
func keepUsing(ctx context.Context, a *attempt) error {
	if err := then(signIn, signedIn)(ctx, a); err != nil {
		return err
	}
	err := eventually(ctx, a.limit, a.suite.poll, func() (bool, error) {
		now, err := a.suite.info(ctx, a.instance.ID)
		if err != nil {
			return false, err
		}
		if now.ended() { // another request could cause another refresh, which fails the module
			return true, nil
		}
		a.probe, err = a.browser.program(ctx, private)
		return err == nil && a.probe.status == http.StatusUnauthorized, err
	})
	if errors.Is(err, errLate) {
		return nil // the module's state tells the reason
	}
	return err
}

// These steps check our side, whatever the suite's result is.

// signedIn holds if the browser got the private page as a user.
func signedIn(_ context.Context, a *attempt) error {
	if a.page.status != http.StatusOK {
		return fmt.Errorf("expected the private page, seen %s", a.page)
	}
	if user, found := strings.CutPrefix(a.page.body, greeting); !found || user == "" {
		return fmt.Errorf("expected the private page with the name of a user, seen %s", a.page)
	}
	return nil
}

// used holds if the last request of a script got the private page.
func used(_ context.Context, a *attempt) error {
	if a.probe == nil {
		return errors.New("expected a request after the sign-in, seen none")
	}
	if a.probe.status != http.StatusOK {
		return fmt.Errorf("expected the private page after a refresh, seen %s", a.probe)
	}
	return nil
}

// refused holds if the login ended with an error page with this code, without a session,
// and without a request to the application.
func refused(code string) step {
	return func(ctx context.Context, a *attempt) error {
		if a.page.status != http.StatusForbidden {
			return fmt.Errorf("expected an error page with 403, seen %s", a.page)
		}
		if seen := a.page.code(); seen != code {
			return fmt.Errorf("error code: expected %s, seen %q", code, seen)
		}
		return neverSignedIn(ctx, a)
	}
}

// unavailable holds if no login could begin.
func unavailable(ctx context.Context, a *attempt) error {
	if a.page.status != http.StatusServiceUnavailable {
		return fmt.Errorf("expected a page with 503, seen %s", a.page)
	}
	if len(a.page.visited) != 1 {
		return fmt.Errorf("expected no redirect, seen %s", strings.Join(a.page.visited, " → "))
	}
	if requests, _, _ := a.site.app.seen(); requests > 0 {
		return fmt.Errorf("requests to the application: expected 0, seen %d", requests)
	}
	return nil
}

// ledToProvider holds if a page load without a session leads to the authorization
// endpoint.
func ledToProvider(_ context.Context, a *attempt) error {
	if !strings.HasPrefix(a.page.stopped, a.issuer) {
		return fmt.Errorf("expected a redirect to the provider, seen %s", a.page)
	}
	if requests, _, _ := a.site.app.seen(); requests > 0 {
		return fmt.Errorf("requests to the application: expected 0, seen %d", requests)
	}
	return nil
}

// neverSignedIn holds if there is no session, and the application never got a request.
func neverSignedIn(ctx context.Context, a *attempt) error {
	if err := noSession(ctx, a); err != nil {
		return err
	}
	if requests, _, _ := a.site.app.seen(); requests > 0 {
		return fmt.Errorf("requests to the application: expected 0, seen %d", requests)
	}
	return nil
}

// noSession holds if a script's request gets 401. It begins no login, so the suite does
// not notice it.
func noSession(ctx context.Context, a *attempt) (err error) {
	if a.probe, err = a.browser.program(ctx, private); err != nil {
		return err
	}
	if a.probe.status != http.StatusUnauthorized {
		return fmt.Errorf("expected no session and 401, seen %s", a.probe)
	}
	return nil
}

// signedOut holds if the logout ended on the site's own page and the session has ended.
func signedOut(ctx context.Context, a *attempt) error {
	if a.page.status != http.StatusOK || origin(a.page.url) != a.browser.site {
		return fmt.Errorf("expected the site's page after the logout, seen %s", a.page)
	}
	return noSession(ctx, a)
}

// framed holds if the frame of a front-channel logout has loaded and the session has
// ended.
func framed(ctx context.Context, a *attempt) error {
	for _, f := range a.page.frames {
		if f.status == http.StatusOK {
			return noSession(ctx, a)
		}
	}
	return fmt.Errorf("expected a frame that loads, seen %d frames in %s", len(a.page.frames), a.page)
}

// stillSignedIn holds if an invalid logout has left the session alone.
func stillSignedIn(ctx context.Context, a *attempt) (err error) {
	if a.probe, err = a.browser.program(ctx, private); err != nil {
		return err
	}
	if a.probe.status != http.StatusOK {
		return fmt.Errorf("expected the session to go on, seen %s", a.probe)
	}
	return nil
}

// guarded holds if the application got no request without a user. It applies to every
// module, because the whole site is private.
func guarded(_ context.Context, a *attempt) error {
	if _, nameless, _ := a.site.app.seen(); nameless > 0 {
		return fmt.Errorf("requests without a user to the application: expected 0, seen %d", nameless)
	}
	return nil
}

// then runs one step after another.
func then(steps ...step) step {
	return func(ctx context.Context, a *attempt) error {
		for _, s := range steps {
			if err := s(ctx, a); err != nil {
				return err
			}
		}
		return nil
	}
}

// fetch reads a JSON document from the provider.
func (a *attempt) fetch(ctx context.Context, address string, out any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	answer, err := a.http.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %d", address, answer.StatusCode)
	}
	return json.NewDecoder(answer.Body).Decode(out)
}
