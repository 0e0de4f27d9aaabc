package broker

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/crewjam/saml"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func toWiki(c *Config) { c.SAML.IDPInitiated = "wiki" }

// send posts an unsolicited response and opens the next page.
func (s *site) send(p *samlIDP, relay string, lie samlLie) (status int) {
	s.t.Helper()
	location, status := s.post(p.initiate(s.broker.SAMLEntityID("partners"), relay, lie))
	if location == "" {
		return status
	}
	client := *s.browser
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s.get(&client, location).StatusCode
}

// agree posts the form of the confirmation page.
func (s *site) agree(browser *http.Client, offer *Offer) { s.choose(browser, offer, "continue") }

// choose posts the form of the confirmation page with a button, and returns the address of
// the redirect.
func (s *site) choose(browser *http.Client, offer *Offer, choice string) (location string) {
	s.t.Helper()
	client := *browser
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response, err := client.PostForm(s.server.URL+offer.Action, url.Values{"token": {offer.Token}, "choice": {choice}})
	if err != nil {
		s.t.Fatal(err)
	}
	response.Body.Close()
	return response.Header.Get("Location")
}

func (s *site) lastOffer() *Offer {
	s.t.Helper()
	s.signIn.mu.Lock()
	defer s.signIn.mu.Unlock()
	if len(s.signIn.offers) == 0 {
		return nil
	}
	return s.signIn.offers[len(s.signIn.offers)-1]
}

func TestAnUnsolicitedResponseAsksFirst(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, toWiki)
	s.send(p, "https://evil.test/", samlLie{})
	offer := s.lastOffer()
	if offer == nil {
		t.Fatalf("expected a question, seen %s: %s", s.signIn.lastFailure(), s.signIn.lastCause())
	}
	if s.signIn.lastAnswer() != nil {
		t.Error("expected no user before the answer, seen one")
	}
	if seen := s.store.countUsers(); seen != 0 {
		t.Errorf("expected no account before the answer, seen %d", seen)
	}
	if offer.Name != "alice-id" || offer.Title != "partners" {
		t.Errorf("expected whom it is about, seen %q of %q", offer.Name, offer.Title)
	}
	if strings.Contains(offer.Action, "evil") {
		t.Errorf("expected that the relay state means nothing, seen %s", offer.Action)
	}
	s.agree(s.browser, offer)
	answer := s.signIn.lastAnswer()
	if answer == nil {
		t.Fatalf("expected a user, seen %s: %s", s.signIn.lastFailure(), s.signIn.lastCause())
	}
	if seen := s.signIn.begun[0]; seen.Kind != KindInitiate || seen.ClientID != "wiki" {
		t.Errorf("expected a request that leads to the client, seen %s for %q", seen.Kind, seen.ClientID)
	}
	s.agree(s.browser, offer)
	if seen := len(s.signIn.answers); seen != 1 {
		t.Errorf("expected that the question is answered once, seen %d answers", seen)
	}
}

func TestAUserNeedNotAgree(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, toWiki)
	s.send(p, "", samlLie{})
	want := "https://wiki.test/initiate?iss=" + url.QueryEscape(s.server.URL)
	if seen := s.choose(s.browser, s.lastOffer(), "other"); seen != want {
		t.Errorf("expected to go on as anyone, at %s, seen %q", want, seen)
	}
	if s.signIn.lastAnswer() != nil {
		t.Error("expected no user, seen one")
	}
}

func TestAnUnsolicitedResponseNeedsTheOption(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, nil)
	if status := s.send(p, "", samlLie{}); status != http.StatusBadRequest {
		t.Errorf("expected 400, seen %d", status)
	}
	if s.lastOffer() != nil {
		t.Error("expected no question, seen one")
	}
}

// A response during a login must answer its request, even where unsolicited responses are
// accepted. An unsolicited response must not answer any request.
func TestTheTwoParsersOfResponses(t *testing.T) {
	t.Parallel()
	answering := func(id string) samlLie {
		return samlLie{
			response:  func(r *saml.Response) { r.InResponseTo = id },
			assertion: func(a *saml.Assertion) { a.Subject.SubjectConfirmations[0].SubjectConfirmationData.InResponseTo = id },
		}
	}
	t.Run("An unsolicited response with the relay state of a login", func(t *testing.T) {
		t.Parallel()
		p := newSAMLIDP(t)
		s := samlSite(t, p, toWiki)
		_, form := p.answer(s.leave(), samlLie{})
		s.send(p, form.Get("RelayState"), samlLie{})
		if s.lastOffer() != nil || s.signIn.lastAnswer() != nil {
			t.Error("expected nothing, seen a question or a user")
		}
	})
	t.Run("An answer to a request without its relay state", func(t *testing.T) {
		t.Parallel()
		p := newSAMLIDP(t)
		s := samlSite(t, p, toWiki)
		acs, form := p.answer(s.leave(), samlLie{})
		form.Del("RelayState")
		if location, _ := s.post(acs, form); location != "" {
			t.Error("expected to be refused, seen an answer")
		}
	})
	t.Run("An unsolicited response that claims to answer a request", func(t *testing.T) {
		t.Parallel()
		p := newSAMLIDP(t)
		s := samlSite(t, p, toWiki)
		if status := s.send(p, "", answering("id-1")); status != http.StatusBadRequest {
			t.Errorf("expected 400, seen %d", status)
		}
	})
}

func TestAUserWhoIsSignedInIsLedOn(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, toWiki)
	s.add(local(), store.User{ID: "u-other", Kind: store.Person, Name: "other"})
	s.signIn.current = &store.User{ID: "u-local"}
	s.send(p, "", samlLie{})
	if offer := s.lastOffer(); offer == nil || offer.Replaces == nil || offer.Replaces.ID != "u-local" {
		t.Fatalf("another user: expected a question that names the user who is signed in, seen %v", offer)
	}
	identity := store.Identity{External: "partners", Issuer: p.server.URL + "/metadata", Subject: p.subject(s, "alice-id"), UserID: "u-local"}
	if err := s.store.Update(t.Context(), func(tx store.Tx) error { return tx.PutIdentity(identity) }); err != nil {
		t.Fatal(err)
	}
	s.signIn.current = &store.User{ID: "u-other"}
	s.send(p, "", samlLie{})
	if offer := s.lastOffer(); offer.Replaces == nil || offer.Replaces.ID != "u-other" {
		t.Fatalf("another user than the one it is linked to: expected a question that names the user who is signed in, seen %v", offer)
	}
	s.signIn.current = &store.User{ID: "u-local"}
	location, _ := s.post(p.initiate(s.broker.SAMLEntityID("partners"), "", samlLie{}))
	client := *s.browser
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	response := s.get(&client, location)
	want := "https://wiki.test/initiate?iss=" + url.QueryEscape(s.server.URL)
	if seen := response.Header.Get("Location"); seen != want {
		t.Errorf("the same user: expected %s, seen %q", want, seen)
	}
	if seen := len(s.signIn.offers); seen != 2 {
		t.Errorf("the same user: expected no third question, seen %d", seen)
	}
}

// Only the browser that shows the confirmation page can confirm, and only for a limited
// time.
func TestTheAnswerComesFromTheBrowserThatWasAsked(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, toWiki)
	s.send(p, "", samlLie{})
	offer := s.lastOffer()
	s.agree(newBrowser(t), offer)
	if seen := s.signIn.lastFailure(); seen != Stale {
		t.Errorf("without the cookie: expected %s, seen %q", Stale, seen)
	}
	other, asked := newBrowser(t), s.browser
	s.browser = other
	s.send(p, "", samlLie{})
	s.browser = asked
	s.signIn.reset()
	s.agree(other, offer)
	if seen := s.signIn.lastFailure(); seen != Stale {
		t.Errorf("a browser that was asked another question: expected %s, seen %q", Stale, seen)
	}
	s.now = func() time.Time { return time.Now().Add(offerLasts + time.Second) }
	s.agree(s.browser, offer)
	if seen := s.signIn.lastAnswer(); seen != nil {
		t.Error("too late: expected no user, seen one")
	}
}

// The confirmation of a user of one provider is refused at the address of another provider.
func TestTheAnswerIsAboutOneProvider(t *testing.T) {
	t.Parallel()
	p, other := newSAMLIDP(t), newSAMLIDP(t)
	s := newSite(t, func(string) []Config {
		one := Config{ID: "partners", Create: true, SAML: &SAMLConfig{Metadata: p.server.URL + "/metadata", IDPInitiated: "wiki"}}
		two := Config{ID: "other", Create: true, SAML: &SAMLConfig{Metadata: other.server.URL + "/metadata", IDPInitiated: "wiki"}}
		return []Config{one, two}
	})
	s.haveKeys("partners")
	s.haveKeys("other")
	s.send(p, "", samlLie{})
	offer := *s.lastOffer()
	offer.Action = strings.Replace(offer.Action, "/partners/", "/other/", 1)
	s.agree(s.browser, &offer)
	if seen := s.signIn.lastFailure(); seen != Invalid || s.signIn.lastAnswer() != nil {
		t.Errorf("expected %s, seen %q", Invalid, seen)
	}
	s.agree(s.browser, s.lastOffer())
	if s.signIn.lastAnswer() == nil {
		t.Errorf("expected that the answer counts at its own address, seen %s", s.signIn.lastCause())
	}
}

func TestAnInitiatedSignInLeadsToItsApplication(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, toWiki)
	for client, want := range map[string]string{
		"wiki": "https://wiki.test/initiate?iss=" + url.QueryEscape(s.server.URL), "other": s.server.URL + "/account",
	} {
		w := newRecorder()
		s.broker.Initiator().Finish(w, nil, &request.Request{ClientID: client}, nil, nil)
		if seen := w.Header().Get("Location"); seen != want {
			t.Errorf("%s: expected %s, seen %s", client, want, seen)
		}
	}
}
