package broker

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// This file keeps logins in progress, from Begin until the browser returns. Each is
// a ticket under the hash of its state, and belongs to the browser that has the
// cookie with its secret. The row has no secrets: nonce and verifier are derived
// from the browser's.

const (
	// loginLasts is how long a user may take at the external provider.
	loginLasts = 15 * time.Minute
	// skew is how far clocks may differ.
	skew = time.Minute

	ticketLogin = "external_login"
	cookieLogin = "oidc_idp_external_"
)

// login is a login in progress.
type login struct {
	state  string // sent through the external provider
	secret string // the browser's secret; empty when a SAML response is posted

	External  string         `json:"external"`
	RequestID string         `json:"request"` // the request that it was begun for
	Browser   []byte         `json:"browser"` // the hash of the secret
	Began     time.Time      `json:"began"`
	Hint      string         `json:"-"`
	Prompt    string         `json:"-"` // select_account or empty
	Locales   []string       `json:"-"`
	ACRs      []string       `json:"-"` // the requested acr values of the external provider
	MaxAge    *time.Duration `json:"max_age,omitempty"`
	// Fresh reports whether the user has to authenticate again at the external
	// provider.
	Fresh bool `json:"fresh,omitempty"`
	// MessageID is that of the SAML request.
	MessageID string `json:"message,omitempty"`
}

func newLogin(e *external, req *request.Request, hint string, now time.Time) (*login, error) {
	l := &login{
		state: rand.Text(), secret: rand.Text(),
		External: e.ID, RequestID: req.ID, Began: now, Hint: hint, MaxAge: req.MaxAge,
		Fresh:   req.Asks("login") || req.MaxAge != nil && *req.MaxAge == 0,
		Locales: req.UILocales, ACRs: e.askedACRs(req.ACRValues),
	}
	if req.Asks("none") {
		return nil, failed(Unproved, errors.New("a request that must not show anything cannot lead to an external provider"))
	}
	if req.Asks("select_account") {
		l.Prompt = "select_account"
	}
	hash := store.HashOf(l.secret)
	l.Browser = hash[:]
	return l, nil
}

// derive returns a value derived from the browser's secret.
func (l *login) derive(purpose string) string {
	mac := hmac.New(sha256.New, []byte(l.secret))
	mac.Write([]byte(purpose))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// cookieOf returns the name of the cookie of a login. It does not reveal the state.
func cookieOf(state string) string {
	hash := store.HashOf("cookie of " + state)
	return cookieLogin + base64.RawURLEncoding.EncodeToString(hash[:9])
}

// keep stores the ticket and sets the browser's cookie.
func (b *Broker) keep(w http.ResponseWriter, r *http.Request, l *login) error {
	data, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encode a login: %w", err)
	}
	ticket := store.Ticket{Hash: store.HashOf(l.state), Kind: ticketLogin, Data: data, Created: l.Began, Expires: l.Began.Add(loginLasts)}
	if err := b.Store.Update(r.Context(), func(tx store.Tx) error { return tx.AddTicket(ticket) }); err != nil {
		return fmt.Errorf("keep a login: %w", err)
	}
	b.dropOldest(w, r)
	b.Cookies.Set(w, cookieOf(l.state), l.secret, loginLasts)
	return nil
}

// maxLogins is the maximum number of login cookies in a browser.
const maxLogins = 8

// dropOldest deletes the oldest login cookies to make room for one more. Browsers
// send older cookies first (RFC 6265, section 5.4).
func (b *Broker) dropOldest(w http.ResponseWriter, r *http.Request) {
	var names []string
	for _, sent := range r.Cookies() {
		if id, ok := strings.CutPrefix(sent.Name, b.Cookies.Name(cookieLogin)); ok && !slices.Contains(names, cookieLogin+id) {
			names = append(names, cookieLogin+id)
		}
	}
	for i := 0; i <= len(names)-maxLogins; i++ {
		b.Cookies.Set(w, names[i], "", 0)
	}
}

var (
	errNoLogin      = errors.New("no login in progress has this state: it is over, or was never started")
	errOtherBrowser = errors.New("this browser has not begun the login, or keeps no cookies")
	errMixUp        = errors.New("the login was begun at another external provider")
)

// find returns the login with a state, of any browser.
func (b *Broker) find(tx store.Tx, e *external, state string) (*login, error) {
	if state == "" {
		return nil, failed(Stale, errNoLogin)
	}
	ticket, err := tx.Ticket(ticketLogin, store.HashOf(state), b.Now())
	if errors.Is(err, store.ErrNotFound) {
		return nil, failed(Stale, errNoLogin)
	}
	if err != nil {
		return nil, err
	}
	l := &login{state: state}
	if err := json.Unmarshal(ticket.Data, l); err != nil {
		return nil, fmt.Errorf("decode a login: %w", err)
	}
	if l.External != e.ID {
		// The response came to another provider's address (RFC 9700, section 4.4).
		return nil, failed(Invalid, errMixUp)
	}
	return l, nil
}

// isOf reports whether a login belongs to the browser of a request, and reads the
// secret from its cookie. Without a cookie it does not, since no secret is empty.
func (l *login) isOf(r *http.Request, b *Broker) bool {
	l.secret = b.Cookies.Get(r, cookieOf(l.state))
	hash := store.HashOf(l.secret)
	return subtle.ConstantTimeCompare(hash[:], l.Browser) == 1
}

// take removes and returns the login with a state, which must be of this browser
// and external provider. Only one caller gets it.
func (b *Broker) take(w http.ResponseWriter, r *http.Request, e *external, state string) (l *login, err error) {
	err = b.Store.Update(r.Context(), func(tx store.Tx) error {
		if l, err = b.find(tx, e, state); err != nil {
			return err
		}
		if !l.isOf(r, b) {
			return failed(Stale, errOtherBrowser)
		}
		_, err := tx.TakeTicket(ticketLogin, store.HashOf(state), b.Now())
		if errors.Is(err, store.ErrNotFound) {
			return failed(Stale, errNoLogin)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	b.Cookies.Set(w, cookieOf(state), "", 0)
	return l, nil
}

// checkTime checks when the user authenticated at the external provider against
// what the request demands. authTime is zero if the provider does not say.
func (l *login) checkTime(authTime, now time.Time) error {
	wanted := l.Fresh || l.MaxAge != nil
	switch {
	case !wanted:
		return nil
	case authTime.IsZero():
		return failed(Unproved, errors.New("the external provider does not say when the user signed in, which max_age or prompt=login asks for"))
	case authTime.After(now.Add(skew)):
		return failed(Unproved, errors.New("the user signed in in the future, by the external provider's clock"))
	case l.Fresh && authTime.Before(l.Began.Add(-skew)):
		return failed(Unproved, errors.New("the external provider did not ask the user to sign in again"))
	case l.MaxAge != nil && !l.Fresh && now.Sub(authTime) > *l.MaxAge+skew:
		return failed(Unproved, errors.New("the sign-in at the external provider is longer ago than max_age"))
	}
	return nil
}
