package request

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
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

const (
	// Lifetime is how long a user has to sign in.
	Lifetime = time.Hour
	// cookieLasts is longer than Lifetime, to tell a browser that returns later what has
	// happened to the request.
	cookieLasts = 24 * time.Hour
)

// ErrOtherBrowser is returned for a request that another browser has begun, or if the
// browser has not kept its cookie.
var ErrOtherBrowser = errors.New("this browser has not begun the request")

// OverError is returned for a request that this browser has begun and that is over.
type OverError struct {
	// Answered reports whether the user has signed in or canceled. Otherwise the request
	// has expired.
	Answered bool
	// Home is the start page of the application, or empty if it is not known.
	Home string
}

func (e *OverError) Error() string {
	if e.Answered {
		return "the request was answered"
	}
	return "the request has expired"
}

// Keeper stores requests in the database, each bound to a browser.
type Keeper struct {
	store   store.Store
	cookies Cookies
	now     func() time.Time
}

// NewKeeper returns a Keeper.
func NewKeeper(s store.Store, cookies Cookies, now func() time.Time) *Keeper {
	return &Keeper{s, cookies, now}
}

// Begin stores a request, assigns its ID, and binds it to the browser with a cookie. Each
// request has its own cookie, so several tabs do not interfere.
func (k *Keeper) Begin(w http.ResponseWriter, r *http.Request, request *Request) error {
	now := k.now()
	request.ID, request.Created, request.Expires = rand.Text(), now, now.Add(Lifetime)
	secret := rand.Text()
	request.Browser = store.HashOf(secret)
	row, err := request.row()
	if err != nil {
		return err
	}
	if err := k.store.Update(r.Context(), func(tx store.Tx) error { return tx.PutRequest(row) }); err != nil {
		return fmt.Errorf("keep a request: %w", err)
	}
	k.cookies.dropOldest(w, r)
	k.cookies.Set(w, cookieName+request.ID, bound{now, secret, home(request)}.String(), cookieLasts)
	return nil
}

// Open returns a request that this browser has begun. The error may be ErrOtherBrowser or
// an *OverError.
func (k *Keeper) Open(r *http.Request, id string) (request *Request, err error) {
	err = k.store.View(r.Context(), func(tx store.Tx) error {
		request, err = k.load(tx, r, id)
		return err
	})
	return request, err
}

// Update changes a request that this browser has begun, in one transaction with whatever
// else change does. As with store.Update, change may be called more than once.
func (k *Keeper) Update(r *http.Request, id string, change func(store.Tx, *Request) error) (request *Request, err error) {
	err = k.store.Update(r.Context(), func(tx store.Tx) error {
		if request, err = k.load(tx, r, id); err != nil {
			return err
		}
		if err := change(tx, request); err != nil {
			return err
		}
		row, err := request.row()
		if err != nil {
			return err
		}
		return tx.PutRequest(row)
	})
	return request, err
}

// Take deletes and returns a request that this browser has begun, so that it can be
// answered. Only one of several callers gets it.
func (k *Keeper) Take(w http.ResponseWriter, r *http.Request, id string) (request *Request, err error) {
	err = k.store.Update(r.Context(), func(tx store.Tx) error {
		if request, err = k.load(tx, r, id); err != nil {
			return err
		}
		_, err = tx.TakeRequest(id)
		return k.missing(r, id, err)
	})
	if err != nil {
		return nil, err
	}
	k.cookies.Set(w, cookieName+id, bound{begun: request.Created, home: home(request)}.String(), answeredFor)
	return request, nil
}

// FormToken returns the token for all forms of a request. It is derived from the
// browser's secret, so other sites cannot know it. It is empty in a browser that has not
// begun the request.
func (k *Keeper) FormToken(r *http.Request, id string) string {
	secret := k.bound(r, id).secret
	if secret == "" {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("form of " + id))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// CheckFormToken reports whether a form of a request was sent from our pages.
func (k *Keeper) CheckFormToken(r *http.Request, id, token string) bool {
	want := k.FormToken(r, id)
	return want != "" && subtle.ConstantTimeCompare([]byte(want), []byte(token)) == 1
}

// home returns the application's address, or "" if it is too long for a cookie.
func home(request *Request) string {
	if len(request.Home) > maxHome {
		return ""
	}
	return request.Home
}

func (k *Keeper) bound(r *http.Request, id string) bound {
	return parseBound(k.cookies.Get(r, cookieName+id))
}

// load reads a request and checks it against the browser's cookie.
func (k *Keeper) load(tx store.Tx, r *http.Request, id string) (*Request, error) {
	b := k.bound(r, id)
	if b.secret == "" {
		return nil, k.missing(r, id, store.ErrNotFound)
	}
	row, err := tx.Request(id)
	if err != nil {
		return nil, k.missing(r, id, err)
	}
	hash := store.HashOf(b.secret)
	if subtle.ConstantTimeCompare(row.Browser[:], hash[:]) != 1 {
		return nil, ErrOtherBrowser
	}
	request, err := fromRow(row)
	if err != nil {
		return nil, err
	}
	if !k.now().Before(row.Expires) {
		return nil, &OverError{Home: home(request)}
	}
	return request, nil
}

// missing replaces ErrNotFound with the error that the browser's cookie suggests.
func (k *Keeper) missing(r *http.Request, id string, err error) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	b := k.bound(r, id)
	if b == (bound{}) {
		return ErrOtherBrowser
	}
	expired := k.now().After(b.begun.Add(Lifetime))
	return &OverError{Answered: !expired, Home: b.home}
}

func (request *Request) row() (store.Request, error) {
	data, err := json.Marshal(request)
	if err != nil {
		return store.Request{}, fmt.Errorf("encode a request: %w", err)
	}
	return store.Request{ID: request.ID, Browser: request.Browser, Data: data, Created: request.Created, Expires: request.Expires}, nil
}

func fromRow(row *store.Request) (*Request, error) {
	request := &Request{ID: row.ID, Browser: row.Browser, Created: row.Created, Expires: row.Expires}
	if err := json.Unmarshal(row.Data, request); err != nil {
		return nil, fmt.Errorf("decode a request: %w", err)
	}
	return request, nil
}
