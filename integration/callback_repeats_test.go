package integration_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// A repeated authorization response gets the redirect of the first one, with one token request
// in all.
func TestAnAnswerThatComesAgainLeadsWhereItLedFirst(t *testing.T) {
	eachRepeat(t, func(t *testing.T, s *repeat) {
		for _, what := range []string{"the first", "the second", "the third"} {
			s.signsIn(what, s.here, s.bring(s.here))
		}
		s.once()
	})
}

// Concurrent requests with the same response get one session.
func TestAnswersAtOnceLeadToOneSession(t *testing.T) {
	eachRepeat(t, func(t *testing.T, s *repeat) {
		s.op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Token).Delay = 300 * time.Millisecond })
		s.atOnce(8, func(int) (*harness, string) { return s.here, s.answer })
	})
}

// Concurrent requests at two nodes get one session as well.
func TestAnswersAtOnceOnTwoNodesLeadToOneSession(t *testing.T) {
	t.Parallel()
	for _, kind := range clockKinds {
		if kind.name == "memory" {
			continue // other nodes do not have it
		}
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			s := newRepeat(t, `
session {
	`+kind.session+`
	lifetime 12h
}
`)
			s.op.Lie(func(l *oidctest.Faults) { l.At(oidctest.Token).Delay = 300 * time.Millisecond })
			s.atOnce(6, func(i int) (*harness, string) { return []*harness{s.here, s.there}[i%2], s.answer })
			s.signsIn("later on the other node", s.there, s.bring(s.there))
			s.once()
		})
	}
}

func (s *repeat) atOnce(n int, where func(i int) (*harness, string)) {
	s.t.Helper()
	answers := make([]*visited, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			r, address := where(i)
			answers[i] = s.bringAt(r, address)
		})
	}
	all.Wait()
	for i, p := range answers {
		r, _ := where(i)
		s.signsIn(fmt.Sprintf("number %d", i), r, p)
	}
	s.once()
}

// Nodes that share a secret but no storage do not know of each other's logins. The session shows
// that the response was used. Without the session, the provider refuses the code.
func TestAnAnswerAtANodeWithAnotherStorage(t *testing.T) {
	t.Parallel()
	op := newOP(t)
	site := `
oidc_rp {
	` + options(op) + `
	session {
		secret 0123456789abcdef0123456789abcdef
	}
}
`
	s := &repeat{t: t, op: op, here: newHarness(t, site), there: newHarness(t, site)}
	s.begin()
	p := s.bring(s.here)
	s.signsIn("the first", s.here, p)
	before := s.cookies
	for _, c := range p.Cookies() {
		if c.Name == "__Host-oidc_rp" {
			s.cookies += "; " + c.Name + "=" + c.Value
		}
	}
	check(t, s.bring(s.there), "with the session").status(http.StatusSeeOther).leadsTo("/page?q=1")
	s.once()
	s.cookies = before
	check(t, s.bring(s.there), "without the session").refused(errorcode.TokenExchangeFailed)
	op.TakeViolations() // it received the code twice
}

// A preload behind a CDN once sent one state with several codes.
func TestOfSeveralCodesForOneLoginTheFirstCounts(t *testing.T) {
	eachRepeat(t, func(t *testing.T, s *repeat) {
		s.signsIn("the first", s.here, s.bring(s.here))
		for _, code := range []string{"a", "b", "c"} {
			address, _ := url.Parse(s.answer)
			query := address.Query()
			query.Set("code", code)
			address.RawQuery = query.Encode()
			s.signsIn("code "+code, s.here, s.bringAt(s.here, address.String()))
		}
		s.once()
	})
}

// A page reload while the provider is slow cancels the first request.
func TestAReloadWhileTheProviderIsSlowGetsIn(t *testing.T) {
	eachRepeat(t, func(t *testing.T, s *repeat) {
		asked := make(chan struct{}, 9)
		s.op.Lie(func(l *oidctest.Faults) {
			l.At(oidctest.Token).Hold = func(*http.Request) { asked <- struct{}{} }
			l.At(oidctest.Token).Delay = 300 * time.Millisecond
		})
		ctx, cancel := context.WithCancel(t.Context())
		request, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.answer, nil)
		request.Header.Set("Cookie", s.cookies)
		go func() {
			<-asked
			cancel()
		}()
		b := s.here.browser()
		b.client.Jar = nil
		if response, err := b.client.Do(request); err == nil {
			response.Body.Close()
			t.Fatal("the first request was answered before it could be ended")
		}
		s.signsIn("the reload", s.here, s.bring(s.here))
		s.once()
	})
}

// A repeated response does not restore a session after a logout.
func TestAnAnswerThatComesAgainAfterTheLogoutOpensNothing(t *testing.T) {
	eachRepeat(t, func(t *testing.T, s *repeat) {
		p := s.bring(s.here)
		s.signsIn("the first", s.here, p)
		b := s.here.browser()
		u, _ := url.Parse(rpURL)
		b.jar.SetCookies(u, p.Cookies())
		b.get("/Special:UserLogout")
		p = s.bring(s.here)
		check(t, p).refused(errorcode.LoginExpired)
		lacks(t, "the cookies", fmt.Sprint(p.Header["Set-Cookie"]), "__Host-oidc_rp=")
		s.once()
	})
}

// A response can be repeated for one minute, and only in the browser that began the login.
func TestAnAnswerCountsAgainForAMinuteAndForItsOwnBrowserAlone(t *testing.T) {
	eachRepeat(t, func(t *testing.T, s *repeat) {
		clock := stop(t)
		s.here.at(clock.now)
		s.signsIn("the first", s.here, s.bring(s.here))
		check(t, s.here.browser().get(s.answer), "without the transaction").refused(errorcode.LoginExpired)
		clock.advance(61 * time.Second)
		check(t, s.bring(s.here), "after a minute").refused(errorcode.LoginExpired)
		s.once()
	})
}
