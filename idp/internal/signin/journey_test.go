package signin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
)

const (
	onName     = `name="username" type="text"`
	onPassword = `name="password"`
	onCode     = `name="code"`
	onRecovery = `name="recovery"`
)

func TestANameAndAPasswordSignIn(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addUser("ada", "correct horse")
	b := h.browser()
	b.begin(request.Request{LoginHint: "ada"}).expect(onName).expect(`value="ada"`).lacks(onPassword)
	b.submit("username", "ada").expect(onPassword).lacks(onCode)
	b.submit("password", "correct horse").expect("finished wiki as ada acr=pwd amr=pwd auth_time=12:00:00")

	t.Run("the session answers the next request silently", func(t *testing.T) {
		h.pass(time.Hour)
		b.begin(request.Request{ClientID: "shop"}).expect("finished shop as ada acr=pwd amr=pwd auth_time=12:00:00")
	})
	t.Run("prompt=login asks for the password alone", func(t *testing.T) {
		b.begin(request.Request{Prompt: []string{"login"}}).expect(onPassword).expect("ada")
		b.submit("password", "correct horse").expect("auth_time=13:00:00")
	})
	t.Run("prompt=select_account asks", func(t *testing.T) {
		b.begin(request.Request{Prompt: []string{"select_account"}}).expect(`name="choice"`)
		b.submit("choice", "continue").expect("finished wiki as ada")
		b.begin(request.Request{Prompt: []string{"select_account"}}).submit("choice", "other").expect(onName)
	})
}

func TestSignInsGoOnAfterMistakes(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addUser("ada", "correct horse")
	b := h.browser()
	b.begin(request.Request{}).submit("username", " ").expect("Enter your user name")
	b.submit("username", "ada").submit("password", "wrong").expect("That did not work").expect(onPassword)

	t.Run("a reload sends nothing again", func(t *testing.T) {
		before := h.hashes.Load()
		b.get(b.path).expect("That did not work").expect(onPassword)
		if after := h.hashes.Load(); after != before {
			t.Errorf("expected no further hash, seen %d", after-before)
		}
	})
	t.Run("another name can be typed", func(t *testing.T) {
		b.get(b.path + "/name").expect(onName).expect(`value="ada"`).lacks("That did not work")
		b.submit("username", "ada").expect(onPassword).lacks("That did not work")
	})
	page := *b
	b.submit("password", "correct horse").expect("finished wiki")
	t.Run("a second submit leads on to the application", func(t *testing.T) {
		again := page
		again.cookies = b.cookies
		again.submit("password", "correct horse").expect("https://wiki.example.net/")
		if again.status != http.StatusGone {
			t.Errorf("expected status 410, seen %d", again.status)
		}
	})
}

func TestARequestStaysInItsBrowser(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addUser("ada", "correct horse")
	attacker, victim := h.browser(), h.browser()
	attacker.begin(request.Request{}).expect(onName)
	path := attacker.path

	t.Run("the victim cannot go on with it", func(t *testing.T) {
		victim.get(path).expect("This page has expired")
		if victim.status != http.StatusForbidden {
			t.Errorf("expected status 403, seen %d", victim.status)
		}
		victim.do(http.MethodPost, path+"/name", url.Values{"username": {"ada"}, fieldToken: {"x"}}).expect("This page has expired")
	})
	t.Run("nor with a session", func(t *testing.T) {
		victim.begin(request.Request{ClientID: "shop"}).submit("username", "ada").submit("password", "correct horse").expect("finished shop")
		victim.get(path).expect("This page has expired")
	})
	t.Run("the attacker gets nothing of it", func(t *testing.T) {
		attacker.get(path).expect(onName)
		attacker.submit("username", "ada").expect(onPassword)
		attacker.begin(request.Request{Prompt: []string{"none"}}).expect("refused wiki: login_required")
	})
	t.Run("the form token of one browser is none in another", func(t *testing.T) {
		attacker.get(path).expect(onPassword)
		forms := hidden.FindStringSubmatch(attacker.body)[1]
		victim.begin(request.Request{Prompt: []string{"login"}}).expect(onPassword)
		victim.do(http.MethodPost, victim.path+"/password", url.Values{"password": {"correct horse"}, fieldToken: {forms}})
		if victim.status != http.StatusForbidden {
			t.Errorf("expected status 403, seen %d", victim.status)
		}
	})
}

func TestFormsComeFromOurPages(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addUser("ada", "correct horse")
	b := h.browser()
	b.begin(request.Request{}).expect(onName)
	path, token := b.path+"/name", hidden.FindStringSubmatch(b.body)[1]
	good := url.Values{"username": {"ada"}, fieldToken: {token}}
	for _, test := range []struct {
		name   string
		path   string
		form   url.Values
		change func(*http.Request)
		status int
	}{
		{"without a form token", path, url.Values{"username": {"ada"}}, nil, 403},
		{"with the form token in the query", path + "?" + good.Encode(), url.Values{}, nil, 403},
		{"from another site, as the browser says", path, good, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		{"from a sibling site", path, good, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, 403},
		{"from another origin", path, good, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 403},
		{"from our origin on plain HTTP", path, good, func(r *http.Request) { r.Header.Set("Origin", "http://login.example.com") }, 403},
		{"as JSON", path, good, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, 400},
		{"as text", path, good, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 400},
		{"from our page", path, good, func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.Header.Set("Origin", "null")
		}, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			changes := []func(*http.Request){}
			if test.change != nil {
				changes = append(changes, test.change)
			}
			b.do(http.MethodPost, test.path, test.form, changes...)
			if b.status != test.status {
				t.Errorf("expected status %d, seen %d", test.status, b.status)
			}
		})
	}
	for _, test := range []struct{ method, path, allow string }{
		{http.MethodDelete, b.path, "GET, HEAD"},
		{http.MethodGet, b.path + "/password", "POST"},
		{http.MethodPut, path, "GET, HEAD, POST"},
	} {
		b.do(test.method, test.path, nil)
		if b.status != http.StatusMethodNotAllowed {
			t.Errorf("%s %s: expected status 405, seen %d", test.method, test.path, b.status)
		}
		if got := b.header.Get("Allow"); got != test.allow {
			t.Errorf("%s %s: expected Allow %s, seen %s", test.method, test.path, test.allow, got)
		}
	}
	if b.get("/signin/x/unknown"); b.status != http.StatusNotFound {
		t.Errorf("expected status 404, seen %d", b.status)
	}
}

func TestAHeadRequestFinishesNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addUser("ada", "correct horse")
	b := h.browser()
	b.begin(request.Request{}).submit("username", "ada").submit("password", "correct horse").expect("finished")
	b.begin(request.Request{}).expect("finished")
	b.begin(request.Request{Prompt: []string{"login"}}).expect(onPassword)
	path := b.path
	b.do(http.MethodHead, path, nil)
	if b.status != http.StatusOK {
		t.Errorf("expected status 200, seen %d", b.status)
	}
	if b.body != "" {
		t.Errorf("expected no body, seen %s", b.body)
	}
	b.get(path).expect(onPassword)
}

func TestCodesAreJudgedWithThePassword(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.addToken(h.addUser("ada", "correct horse"))
	b := h.browser()
	b.begin(request.Request{}).submit("username", "ada").expect(onPassword).expect(onCode)
	b.submit("password", "correct horse", "code", "000000").expect("That did not work").expect(onPassword).expect(onCode)
	b.submit("password", "correct horse").expect("That did not work")
	b.submit("password", "wrong", "code", tokenCodes[0]).expect("That did not work")
	b.submit("password", "correct horse", "code", tokenCodes[0]).expect("finished wiki as ada acr=mfa amr=pwd,otp,mfa")

	t.Run("a code is good once", func(t *testing.T) {
		again := h.browser()
		again.begin(request.Request{}).submit("username", "ada").submit("password", "correct horse", "code", tokenCodes[0]).expect("That did not work")
		again.submit("password", "correct horse", "code", tokenCodes[1]).expect("finished")
	})
	t.Run("two factors are asked for again with prompt=login", func(t *testing.T) {
		b.begin(request.Request{Prompt: []string{"login"}}).submit("password", "correct horse", "code", tokenCodes[2]).expect("acr=mfa")
	})
}

func TestAStepUpAsksForWhatIsMissing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	u := h.addUser("ada", "correct horse")
	b := h.browser()
	b.begin(request.Request{}).submit("username", "ada").submit("password", "correct horse").expect("acr=pwd")
	before := b.cookies["__Host-oidc_idp_session"].Value
	h.addToken(u)
	h.pass(time.Hour)
	stepUp := request.Request{ACRValues: []string{sso.ACRMFA}, ACRRequired: true}
	b.begin(stepUp).expect(onCode).lacks(onPassword)
	b.submit("code", "000000").expect("This code is not right").lacks(onPassword)
	b.submit("code", tokenCodes[0]).expect("finished wiki as ada acr=mfa amr=pwd,otp,mfa auth_time=12:00:00")
	if after := b.cookies["__Host-oidc_idp_session"].Value; after == before {
		t.Error("expected another session cookie after a step up, seen the same")
	}
	b.begin(stepUp).expect("acr=mfa")
	five := 5 * time.Minute
	b.begin(request.Request{MaxAge: &five}).expect(onPassword)
	b.submit("password", "correct horse", "code", tokenCodes[1]).expect("acr=mfa amr=pwd,otp,mfa auth_time=13:00:00")
}

func TestExternalDomainsLeadAway(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	b := h.browser()
	b.begin(request.Request{}).submit("username", "unknown@partners.example")
	if got := strings.Join(h.left, "; "); got != "partners unknown@partners.example" {
		t.Errorf("expected the browser to leave with a hint, seen %q", got)
	}
	t.Run("a browser leaves by a page, which has a policy of its own", func(t *testing.T) {
		b := h.browser()
		b.begin(request.Request{}).expect(onName)
		token := hidden.FindStringSubmatch(b.body)[1]
		b.do(http.MethodPost, b.path+"/name", url.Values{"external": {"partners"}, fieldToken: {token}}, func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Mode", "navigate")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		})
		b.expect("/external")
		if b.status != http.StatusOK {
			t.Errorf("expected status 200, seen %d", b.status)
		}
	})
}
