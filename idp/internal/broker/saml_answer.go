package broker

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/query"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// This file handles responses. A browser posts them cross-site, and so without our
// SameSite=Lax cookies. The verified response is stored for a minute, and the
// browser is redirected to an address of this site, to which it sends its cookies.
// Only there it is known whether this browser began the login.

const (
	ticketAnswer = "saml_answer"
	ticketOffer  = "saml_offer"
	cookieOffer  = "oidc_idp_offer"

	answerLasts = time.Minute
	offerLasts  = 5 * time.Minute
)

// answer is a verified response that waits for its browser.
type answer struct {
	External  string     `json:"external"`
	RequestID string     `json:"request,omitempty"` // empty if it is unsolicited
	Cookie    string     `json:"cookie,omitempty"`  // the name of the cookie of the login
	Browser   []byte     `json:"browser,omitempty"` // the hash of its secret
	Assertion *Assertion `json:"assertion"`
}

// serveResponse serves the assertion consumer service. If RelayState names a login
// in progress, the response is parsed as one to our request, and otherwise as an
// unsolicited one, if those are accepted.
func (p *samlProvider) serveResponse(w http.ResponseWriter, r *http.Request) {
	secret, err := p.take(w, r)
	if err != nil {
		p.b.fail(w, r, p.external, "", err)
		return
	}
	w.Header().Set("Location", p.address("continue")+"?"+url.Values{"answer": {secret}}.Encode())
	w.WriteHeader(http.StatusSeeOther)
}

// take verifies a response and stores its content. It returns the secret for open.
func (p *samlProvider) take(w http.ResponseWriter, r *http.Request) (secret string, err error) {
	got, err := readPosted(w, r)
	if err != nil {
		return "", err
	}
	var l *login
	err = p.b.Store.View(r.Context(), func(tx store.Tx) error {
		l, err = p.b.find(tx, p.external, got.relay)
		return err
	})
	var failure *Failure
	if errors.As(err, &failure) && failure.Kind == Stale && p.external.SAML.IDPInitiated != "" {
		return p.takeUnsolicited(r, got.document)
	}
	if err != nil {
		return "", err
	}
	if l.MessageID == "" { // an unsolicited response must not pass for one to our request
		return "", errors.New("the login has made no SAML request")
	}
	v, err := p.verify(r.Context(), got.document, l.MessageID)
	if err != nil {
		return "", err
	}
	assertion, err := p.read(v, l)
	if err != nil {
		return "", err
	}
	return p.keepAnswer(r, &answer{
		External: p.external.ID, RequestID: l.RequestID, Cookie: cookieOf(l.state), Browser: l.Browser, Assertion: assertion,
	}, l.state)
}

func (p *samlProvider) takeUnsolicited(r *http.Request, document []byte) (secret string, err error) {
	v, err := p.verify(r.Context(), document, "")
	if err != nil {
		return "", err
	}
	assertion, err := p.read(v, nil)
	if err != nil {
		return "", err
	}
	return p.keepAnswer(r, &answer{External: p.external.ID, Assertion: assertion}, "")
}

// keepAnswer removes the login with a state, if there is one, and stores an answer.
func (p *samlProvider) keepAnswer(r *http.Request, a *answer, state string) (secret string, err error) {
	secret = rand.Text()
	ticket, err := p.ticket(ticketAnswer, secret, a, answerLasts)
	if err != nil {
		return "", err
	}
	err = p.b.Store.Update(r.Context(), func(tx store.Tx) error {
		if state != "" {
			_, err := tx.TakeTicket(ticketLogin, store.HashOf(state), p.b.Now())
			if errors.Is(err, store.ErrNotFound) {
				return failed(Stale, errNoLogin)
			}
			if err != nil {
				return err
			}
		}
		return tx.AddTicket(ticket)
	})
	return secret, err
}

func (p *samlProvider) ticket(kind, secret string, a *answer, lasts time.Duration) (store.Ticket, error) {
	data, err := json.Marshal(a)
	if err != nil {
		return store.Ticket{}, fmt.Errorf("encode an answer: %w", err)
	}
	now := p.b.Now()
	return store.Ticket{Hash: store.HashOf(secret), Kind: kind, Data: data, Created: now, Expires: now.Add(lasts)}, nil
}

// open removes and returns a stored answer, if accept accepts it.
func (p *samlProvider) open(r *http.Request, kind, secret string, accept func(*answer) error) (a *answer, err error) {
	if secret == "" {
		return nil, failed(Stale, errNoLogin)
	}
	err = p.b.Store.Update(r.Context(), func(tx store.Tx) error {
		ticket, err := tx.Ticket(kind, store.HashOf(secret), p.b.Now())
		if errors.Is(err, store.ErrNotFound) {
			return failed(Stale, errNoLogin)
		}
		if err != nil {
			return err
		}
		a = new(answer)
		if err := json.Unmarshal(ticket.Data, a); err != nil {
			return fmt.Errorf("decode an answer: %w", err)
		}
		if a.External != p.external.ID {
			return errMixUp
		}
		if err := accept(a); err != nil {
			return err
		}
		_, err = tx.TakeTicket(kind, store.HashOf(secret), p.b.Now())
		return err
	})
	return a, err
}

// isOf reports whether an answer belongs to the browser that sends a cookie. Without a
// cookie it does not, since no secret is empty.
func (a *answer) isOf(cookie string) bool {
	hash := store.HashOf(cookie)
	return subtle.ConstantTimeCompare(hash[:], a.Browser) == 1
}

// serveAnswer serves the address to which the browser sends its cookies.
func (p *samlProvider) serveAnswer(w http.ResponseWriter, r *http.Request) {
	secret := query.Only(r.URL.RawQuery, "answer").Get("answer")
	a, err := p.open(r, ticketAnswer, secret, func(a *answer) error {
		if a.Cookie != "" && !a.isOf(p.b.Cookies.Get(r, a.Cookie)) {
			return failed(Stale, errOtherBrowser)
		}
		return nil
	})
	switch {
	case err != nil:
		p.b.fail(w, r, p.external, "", err)
	case a.Cookie == "":
		p.offer(w, r, a)
	default:
		p.b.Cookies.Set(w, a.Cookie, "", 0)
		p.b.deliver(w, r, p.external, a.RequestID, a.Assertion)
	}
}

// offer asks the user of an unsolicited response, unless the same user is already
// signed in.
func (p *samlProvider) offer(w http.ResponseWriter, r *http.Request, a *answer) {
	current, err := p.b.SignIn.Current(r)
	if err == nil && current != nil {
		var same bool
		if same, err = p.b.isLinkedTo(r, a.Assertion, current.ID); err == nil && same {
			p.b.log(r, slog.LevelInfo, "external_initiated", "an external provider sent a user who is signed in", p.external, slog.String("user", current.ID))
			p.b.initiate(w, r, p.external.SAML.IDPInitiated)
			return
		}
	}
	if err != nil {
		p.b.fail(w, r, p.external, "", failed(kindOfStore(err), err))
		return
	}
	token, browser := rand.Text(), rand.Text()
	hash := store.HashOf(browser)
	a.Browser = hash[:]
	ticket, err := p.ticket(ticketOffer, token, a, offerLasts)
	if err == nil {
		err = p.b.Store.Update(r.Context(), func(tx store.Tx) error { return tx.AddTicket(ticket) })
	}
	if err != nil {
		p.b.fail(w, r, p.external, "", failed(kindOfStore(err), err))
		return
	}
	p.b.Cookies.Set(w, cookieOffer, browser, offerLasts)
	p.b.SignIn.Ask(w, r, &Offer{
		External: p.external.ID, Title: p.external.title(), Name: a.Assertion.Name, Replaces: current,
		Action: "/saml/" + p.external.ID + "/continue", Token: token,
	})
}

// isLinkedTo reports whether an external account is linked to a user.
func (b *Broker) isLinkedTo(r *http.Request, a *Assertion, userID string) (linked bool, err error) {
	err = b.Store.View(r.Context(), func(tx store.Tx) error {
		id, err := tx.Identity(a.External, a.Issuer, a.Subject)
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		linked = err == nil && id.UserID == userID
		return err
	})
	return linked, err
}

// maxAgreed is the maximum size in bytes of the form of the page that asks.
const maxAgreed = 4 << 10

// serveAgreed processes the form of the page that asks. It is sent from this site,
// with the cookie of the browser that was asked.
func (p *samlProvider) serveAgreed(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxAgreed)
	if err := r.ParseForm(); err != nil {
		p.b.fail(w, r, p.external, "", errors.New("the body is not a form"))
		return
	}
	a, err := p.open(r, ticketOffer, r.PostForm.Get("token"), func(a *answer) error {
		if !a.isOf(p.b.Cookies.Get(r, cookieOffer)) {
			return failed(Stale, errOtherBrowser)
		}
		return nil
	})
	if err != nil {
		p.b.fail(w, r, p.external, "", err)
		return
	}
	p.b.Cookies.Set(w, cookieOffer, "", 0)
	if r.PostForm.Get("choice") != "continue" {
		p.b.initiate(w, r, p.external.SAML.IDPInitiated)
		return
	}
	answer, err := p.b.resolve(r.Context(), p.external, a.Assertion)
	if err != nil {
		p.b.fail(w, r, p.external, "", failed(kindOfStore(err), err))
		return
	}
	p.b.report(r, p.external, answer)
	p.b.SignIn.Begin(w, r, &request.Request{Kind: KindInitiate, ClientID: p.external.SAML.IDPInitiated}, answer)
}
