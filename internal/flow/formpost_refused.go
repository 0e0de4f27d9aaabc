package flow

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/query"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file handles signed responses that come by POST and fail their checks, such as a
// form that is sent again after the response in it has expired.
//
// The POST does not carry the session (see formpost.go), so this redirects the browser
// to the same address as well. Nothing of the response goes into that address, and no
// login is touched. It only has a sealed note: the error to show to users who are not
// signed in, and which login the response claims to belong to. Users who are signed
// in are redirected to the page that their own login led to, or home. Other sites can
// make a browser post such a form or open such an address, and achieve no more than that.

// refusedParameter holds the note.
const refusedParameter = "refused"

// refusedFor is how long a note is valid. The browser follows the redirect at once.
const refusedFor = time.Minute

// refusedPost is the note, and the error of a request that has one. The cause is in the
// log already.
type refusedPost struct {
	Code  errorcode.Code    `json:"code"`
	ID    string            `json:"id"` // of the log line
	Login session.StateHash `json:"login"`
	Popup bool              `json:"popup,omitempty"`
	At    int64             `json:"at"` // in seconds
}

func (p *refusedPost) Error() string { return "the response that was posted was refused" }

// redirectRefused redirects a browser that has posted a response which failed its checks.
// It returns false for requests that are no form of a browser.
func (c *callbackFlow) redirectRefused(f *Failure) bool {
	if c.R.Method != http.MethodPost || !navigation.IsNavigation(c.R) {
		return false
	}
	ring, err := c.Keys.Ring(c.R.Context())
	if err != nil {
		return false
	}
	note, err := json.Marshal(refusedPost{Code: f.Code, ID: c.log(f), Login: session.HashState(c.claimed), Popup: f.Popup, At: c.Now().Unix()})
	if err != nil {
		return false
	}
	sealed := ring.Seal(seal.ForTransaction, c.refusedAAD(), note)
	_ = pages.Redirect(c.W, http.StatusSeeOther, c.redirectURI(c.scope, c.provider)+"?"+url.Values{refusedParameter: {sealed}}.Encode())
	return true
}

// refusedAAD separates notes from transactions, and those of one provider from another's.
func (c *callbackFlow) refusedAAD() string {
	return c.scope.TransactionAAD + "\x00" + refusedParameter + "\x00" + c.provider.ID
}

// openRefused returns the note in a query, or nil unless it is valid and alone there.
func (c *callbackFlow) openRefused(text string) *refusedPost {
	values := query.Only(text, append(slices.Clone(responseParameters), refusedParameter)...)
	if !c.provider.FormPost || len(values) != 1 || len(values[refusedParameter]) != 1 {
		return nil
	}
	ring, err := c.Keys.Ring(c.R.Context())
	if err != nil {
		return nil
	}
	plain, _, err := ring.Open(seal.ForTransaction, c.refusedAAD(), values.Get(refusedParameter))
	note := new(refusedPost)
	if err != nil || json.Unmarshal(plain, note) != nil {
		return nil
	}
	if age := c.Now().Sub(time.Unix(note.At, 0)); age >= refusedFor || age <= -refusedFor {
		return nil
	}
	return note
}

// respondRefused responds to a request with a note.
func (c *callbackFlow) respondRefused(note *refusedPost) error {
	if c.State.SignedIn() {
		return pages.Redirect(c.W, http.StatusSeeOther, c.returnOf(note.Login))
	}
	f := &Failure{Code: note.Code, Cause: note, Provider: c.provider, Popup: note.Popup}
	c.countFailedLogin(f)
	return c.respondLoggedError(f, note.ID)
}
