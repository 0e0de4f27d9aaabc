package provider

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/builtin"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

const bye = "https://wiki.example.net/bye"

// isSignedIn reports whether a browser has a session.
func (n *node) isSignedIn(b browser) bool {
	n.t.Helper()
	session, _, err := n.sso.Current(b.request(http.MethodGet, issuer+"/", ""))
	if err != nil {
		n.t.Fatal(err)
	}
	return session != nil
}

func TestTheIDTokenOfTheSessionEndsItAtOnce(t *testing.T) {
	t.Parallel()
	n, b := newNode(t), browser{}
	got := n.redeemWiki(n.code(b, wikiRequest()))
	n.clock.add(2 * idTokenLifetime) // an expired ID token is accepted
	q := url.Values{"id_token_hint": {got.ID}, "post_logout_redirect_uri": {bye}, "state": {"s 2"}}
	w := b.visit(n, http.MethodGet, issuer+"/end_session?"+q.Encode(), "")
	if to := w.Header().Get("Location"); w.Code != http.StatusSeeOther || to != bye+"?state=s+2" {
		t.Errorf("expected to be sent to the client with the state, seen %d %q", w.Code, to)
	}
	if n.isSignedIn(b) {
		t.Errorf("expected the session to be over")
	}
	refreshed := n.tokens(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {got.Refresh}}, basic("wiki", wikiKey))
	if refreshed.Error != "invalid_grant" {
		t.Errorf("expected the grants of the session to be revoked, seen %+v", refreshed)
	}
	w = b.visit(n, http.MethodGet, issuer+"/end_session?"+q.Encode(), "")
	if to := w.Header().Get("Location"); to != bye+"?state=s+2" {
		t.Errorf("expected the same again, seen %d %q", w.Code, to)
	}
}

// Without the ID token of the session, a logout asks the user first: it neither ends the
// session nor redirects.
func TestOtherLogoutsAskFirst(t *testing.T) {
	t.Parallel()
	n, b, other := newNode(t), browser{}, browser{}
	n.redeemWiki(n.code(b, wikiRequest()))
	sameUser := n.redeemWiki(n.code(other, wikiRequest())).ID
	n.authenticate = func(*request.Request) sso.Authentication {
		return sso.Authentication{User: &store.User{ID: "u-bob"}, Time: n.clock.Now()}
	}
	otherUser := n.redeemWiki(n.code(browser{}, wikiRequest())).ID
	for name, q := range map[string]url.Values{
		"nothing":                               {},
		"a client id":                           {"client_id": {"wiki"}, "post_logout_redirect_uri": {bye}, "state": {"x"}},
		"an ID token of another session":        {"id_token_hint": {sameUser}, "post_logout_redirect_uri": {bye}},
		"an ID token of another user":           {"id_token_hint": {otherUser}},
		"a guessed token for the form by GET":   {"csrf": {"x"}, "choice": {"signout"}},
		"the hint of another session, repeated": {"id_token_hint": {sameUser}, "client_id": {"wiki"}, "choice": {"signout"}},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			target, body := issuer+"/end_session?"+q.Encode(), ""
			if method == http.MethodPost {
				target, body = issuer+"/end_session", q.Encode()
			}
			w := b.visit(n, method, target, body)
			if w.Header().Get("X-Page") != "sign_out" || w.Header().Get("Location") != "" {
				t.Errorf("%s, %s: expected a page that asks, seen %d %v", name, method, w.Code, w.Header())
			}
		}
	}
	if !n.isSignedIn(b) {
		t.Errorf("expected the session to go on")
	}
}

func TestWrongLogoutsAreRefused(t *testing.T) {
	t.Parallel()
	n, b := newNode(t), browser{}
	own := n.redeemWiki(n.code(b, wikiRequest())).ID
	program := n.tokens(url.Values{"grant_type": {"client_credentials"}}, basic("wiki", wikiKey)).Access
	hint := url.Values{"id_token_hint": {own}}
	for name, q := range map[string]string{
		"an address without a client":    url.Values{"post_logout_redirect_uri": {bye}}.Encode(),
		"an unknown client":              url.Values{"client_id": {"unknown"}}.Encode(),
		"another client's address":       with(cloneValues(hint), "post_logout_redirect_uri", "https://other.example.net/bye").Encode(),
		"a redirect URI":                 with(cloneValues(hint), "post_logout_redirect_uri", callback).Encode(),
		"a longer address":               with(cloneValues(hint), "post_logout_redirect_uri", bye+"/x").Encode(),
		"an address with a query":        with(cloneValues(hint), "post_logout_redirect_uri", bye+"?x").Encode(),
		"an address in upper case":       with(cloneValues(hint), "post_logout_redirect_uri", "https://WIKI.example.net/bye").Encode(),
		"an encoded address":             with(cloneValues(hint), "post_logout_redirect_uri", "https://wiki.example.net/%62ye").Encode(),
		"a hint of another client":       with(cloneValues(hint), "client_id", "other").Encode(),
		"a hint that is no token":        url.Values{"id_token_hint": {"x"}}.Encode(),
		"a hint with another signature":  url.Values{"id_token_hint": {own[:len(own)-6] + "AAAAAA"}}.Encode(),
		"an access token for a hint":     url.Values{"id_token_hint": {program}}.Encode(),
		"a parameter twice":              hint.Encode() + "&id_token_hint=" + own,
		"an address twice":               hint.Encode() + "&post_logout_redirect_uri=" + bye + "&post_logout_redirect_uri=" + bye,
		"a client id and its own target": url.Values{"client_id": {"other"}, "post_logout_redirect_uri": {bye}}.Encode(),
	} {
		w := b.visit(n, http.MethodGet, issuer+"/end_session?"+q, "")
		if w.Header().Get("X-Page") != "error" || w.Code != http.StatusBadRequest || w.Header().Get("Location") != "" {
			t.Errorf("%s: expected an error page, seen %d %v", name, w.Code, w.Header())
		}
	}
	if !n.isSignedIn(b) {
		t.Errorf("expected the session to go on")
	}
}

func TestTheButtonEndsTheSession(t *testing.T) {
	t.Parallel()
	n, b, other := newNode(t), browser{}, browser{}
	n.code(b, wikiRequest())
	n.code(other, wikiRequest())
	q := url.Values{"client_id": {"wiki"}, "post_logout_redirect_uri": {bye}, "state": {"x"}}
	form := func(b browser) url.Values {
		t.Helper()
		return hiddenOf(t, b.visit(n, http.MethodGet, issuer+"/end_session?"+q.Encode(), ""))
	}
	stay := form(b)
	stay.Set("choice", "stay")
	if w := b.visit(n, http.MethodPost, issuer+"/end_session", stay.Encode()); w.Header().Get("Location") != "/account" || !n.isSignedIn(b) {
		t.Errorf("expected to stay signed in, seen %d %v", w.Code, w.Header())
	}
	foreign := form(other)
	foreign.Set("choice", "signout")
	if w := b.visit(n, http.MethodPost, issuer+"/end_session", foreign.Encode()); w.Header().Get("X-Page") != "sign_out" || !n.isSignedIn(b) {
		t.Errorf("expected the form of another session to be worth nothing, seen %d %v", w.Code, w.Header())
	}
	own := form(b)
	own.Set("choice", "signout")
	w := b.visit(n, http.MethodPost, issuer+"/end_session", own.Encode())
	if w.Header().Get("Location") != bye+"?state=x" || n.isSignedIn(b) {
		t.Errorf("expected to be signed out and sent to the client, seen %d %v", w.Code, w.Header())
	}
	if len(b) != 0 {
		t.Errorf("expected the cookie to be removed, seen %v", b)
	}
	if w := b.visit(n, http.MethodGet, issuer+"/end_session", ""); w.Header().Get("X-Page") != "signed_out" {
		t.Errorf("expected the page of a user who is signed out, seen %v", w.Header())
	}
}

// Browsers send a logout form of another site without the cookie. The redirect to the same
// request brings the cookie.
func TestALogoutFormOfAnotherSiteIsRepeated(t *testing.T) {
	t.Parallel()
	n, b := newNode(t), browser{}
	form := url.Values{"id_token_hint": {n.redeemWiki(n.code(b, wikiRequest())).ID}, "post_logout_redirect_uri": {bye}}
	w := browser{}.visit(n, http.MethodPost, issuer+"/end_session", form.Encode())
	target := w.Header().Get("Location")
	if w.Code != http.StatusSeeOther || !strings.HasPrefix(target, issuer+"/end_session?") {
		t.Fatalf("expected the same request again, seen %d %q", w.Code, target)
	}
	if w = b.visit(n, http.MethodGet, target, ""); w.Header().Get("Location") != bye || n.isSignedIn(b) {
		t.Errorf("expected to be signed out, seen %d %v", w.Code, w.Header())
	}
}

// application is a relying party with back-channel logout.
type application struct {
	*httptest.Server
	status atomic.Int32
	tokens chan string
}

func newApplication(t testing.TB) *application {
	a := &application{tokens: make(chan string, 16)}
	a.status.Store(http.StatusOK)
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/logout" {
			a.tokens <- r.PostFormValue("logout_token")
		}
		if status := int(a.status.Load()); status == http.StatusFound {
			http.Redirect(w, r, "/elsewhere", status)
		} else {
			w.WriteHeader(status)
		}
	}))
	t.Cleanup(a.Close)
	return a
}

// next returns the next logout token.
func (a *application) next(t testing.TB) string {
	t.Helper()
	select {
	case token := <-a.tokens:
		return token
	case <-time.After(time.Minute):
		t.Fatal("expected a logout token, seen none")
		return ""
	}
}

// pending returns the deliveries in the database.
func (n *node) pending() (due []store.Delivery) {
	n.t.Helper()
	soon, errLooked := n.clock.Now().Add(61*time.Minute), errors.New("only looked")
	err := n.db.Update(n.t.Context(), func(tx store.Tx) (err error) {
		if due, err = tx.ClaimDeliveries(soon, soon, 100); err != nil {
			return err
		}
		return errLooked
	})
	if !errors.Is(err, errLooked) {
		n.t.Fatal(err)
	}
	return due
}

// withBackchannel returns a node whose client wiki has back-channel logout.
func withBackchannel(t testing.TB, a *application) *node {
	n := newNode(t)
	n.back.configured["wiki"].BackchannelLogoutURI = a.URL + "/logout"
	return n
}

func TestApplicationsGetLogoutTokens(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	n, b := withBackchannel(t, a), browser{}
	given := n.redeemWiki(n.code(b, wikiRequest()))
	_, id := claims(t, given.ID)
	if given.Session != id["sid"] {
		t.Errorf("expected session_state %v, seen %q", id["sid"], given.Session)
	}
	if without := newNode(t); without.redeemWiki(without.code(browser{}, wikiRequest())).Session != "" {
		t.Error("expected no session_state for a client without a back channel, seen one")
	}
	if err := n.sso.End(t.Context(), id["sid"].(string)); err != nil {
		t.Fatal(err)
	}
	header, body := claims(t, a.next(t))
	now := float64(n.clock.Now().Unix())
	if header["typ"] != "logout+jwt" || header["alg"] != "RS256" {
		t.Errorf("expected a logout+jwt with the client's algorithm, seen %v", header)
	}
	if body["iss"] != issuer || body["aud"] != "wiki" || body["sub"] != "u-ada" || body["sid"] != id["sid"] || body["jti"] == nil {
		t.Errorf("expected the session, seen %v", body)
	}
	if body["iat"] != now || body["exp"] != now+120 || body["nonce"] != nil {
		t.Errorf("expected two minutes and no nonce, seen %v", body)
	}
	events, _ := body["events"].(map[string]any)
	if _, ok := events[logoutEvent].(map[string]any); !ok {
		t.Errorf("expected the event, seen %v", body["events"])
	}
	n.eventually(func() bool { return len(n.pending()) == 0 }, "the delivery to be done")
}

// eventually waits for the result of a background task.
func (n *node) eventually(done func() bool, what string) {
	n.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if done() {
			return
		}
	}
	n.t.Errorf("expected %s, seen %s", what, n.log)
}

// A failed delivery is repeated after a pause, by any node.
func TestLogoutsAreRepeated(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int32{"an error": http.StatusInternalServerError, "a redirect": http.StatusFound, "a refusal": http.StatusBadRequest} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApplication(t)
			n := withBackchannel(t, a)
			other := nodeOn(t, n.db, n.clock)
			other.back.configured["wiki"].BackchannelLogoutURI = a.URL + "/logout"
			_, id := claims(t, n.redeemWiki(n.code(browser{}, wikiRequest())).ID)
			a.status.Store(status)
			if err := n.sso.End(t.Context(), id["sid"].(string)); err != nil {
				t.Fatal(err)
			}
			a.next(t)
			n.eventually(n.hasFailed, "a failure to be written down")
			deliver(t, other)
			if len(a.tokens) != 0 {
				t.Errorf("expected a pause, seen an attempt")
			}
			n.clock.add(20 * time.Second)
			deliver(t, other)
			if len(a.tokens) != 1 {
				t.Errorf("expected another attempt, seen %d", len(a.tokens))
			}
			deliver(t, n)
			if len(a.tokens) != 1 {
				t.Errorf("expected the nodes to share the attempts, seen %d", len(a.tokens))
			}
			n.clock.add(40 * time.Second)
			a.status.Store(http.StatusNoContent)
			deliver(t, n)
			if len(a.tokens) != 2 || len(n.pending()) != 0 {
				t.Errorf("expected it to be done, seen %d attempts, %d deliveries", len(a.tokens), len(n.pending()))
			}
		})
	}
}

func deliver(t testing.TB, n *node) {
	t.Helper()
	if err := n.back.Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// hasFailed reports whether the only delivery was attempted once.
func (n *node) hasFailed() bool {
	due := n.pending()
	return len(due) == 1 && due[0].Attempts == 1
}

func TestLogoutsAreGivenUpAfterADay(t *testing.T) {
	t.Parallel()
	a := newApplication(t)
	n := withBackchannel(t, a)
	_, id := claims(t, n.redeemWiki(n.code(browser{}, wikiRequest())).ID)
	a.status.Store(http.StatusInternalServerError)
	if err := n.sso.End(t.Context(), id["sid"].(string)); err != nil {
		t.Fatal(err)
	}
	a.next(t)
	n.eventually(n.hasFailed, "a failure to be written down")
	attempts := 1
	for ; attempts < 100 && len(n.pending()) > 0; attempts++ {
		n.clock.add(time.Hour)
		deliver(t, n)
		for len(a.tokens) > 0 {
			<-a.tokens
		}
	}
	if attempts < 20 || attempts > 40 {
		t.Errorf("expected about thirty attempts in a day, seen %d", attempts)
	}
	if !strings.Contains(n.log.String(), "backchannel_logout_given_up") {
		t.Errorf("expected a log line, seen none")
	}
}

func TestApplicationsInThisCaddyHearOfLogoutsAtOnce(t *testing.T) {
	t.Parallel()
	n, b := newNode(t), browser{}
	var ended []string
	failures := 1
	registration := n.register(builtin.Client{
		ID: "site", Allows: func(uri string) bool { return uri == "https://site.example.com/oidc/code" },
		Ended: func(_ context.Context, sub, sid string) error {
			ended = append(ended, sub+" "+sid)
			if failures++; failures == 2 {
				return context.DeadlineExceeded
			}
			return nil
		},
	})
	_, id := claims(t, n.signInTo(registration, b).ID)
	sid := id["sid"].(string)
	if err := n.sso.End(t.Context(), sid); err != nil {
		t.Fatal(err)
	}
	if len(ended) != 1 || ended[0] != "u-ada "+sid {
		t.Fatalf("expected to hear of the session before End returns, seen %v", ended)
	}
	n.clock.add(time.Minute)
	deliver(t, n)
	if len(ended) != 2 || len(n.pending()) != 0 {
		t.Errorf("expected another attempt after a failure, seen %v, %d deliveries", ended, len(n.pending()))
	}
	if err := n.sso.EndAll(t.Context(), "u-ada", ""); err != nil {
		t.Fatal(err)
	}
	if len(ended) != 3 || ended[2] != "u-ada " {
		t.Errorf("expected to hear of all sessions of the user, seen %v", ended)
	}
}

// A delivery to an application that does not respond ends with its context, and does not
// delay other applications.
func TestAnApplicationThatHangsIsNotWaitedForForever(t *testing.T) {
	t.Parallel()
	hangs, works := site(), site()
	hangs.Ended = func(context.Context, string, string) error { select {} }
	var ended atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	works.Ended = func(context.Context, string, string) error { ended.Add(1); cancel(); return nil }
	client := builtinParty([]*builtin.Client{&hangs, &works})
	if err := endHere(ctx, client, store.Delivery{UserID: "u-ada"}); !errors.Is(err, context.Canceled) {
		t.Errorf("expected an error, so that it is attempted again, seen %v", err)
	}
	if ended.Load() != 1 {
		t.Errorf("expected the other one to have heard of it, seen %d", ended.Load())
	}
}
