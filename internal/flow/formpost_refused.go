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

// This file is about signed responses that come by POST and fail their checks: forms
// that are sent again when the response in them is over.
//
// The POST does not say whether its user is signed in: see formpost.go. So the browser
// is sent on here as well, to the same address by GET. Nothing of the response goes
// along, and no login is touched: the address has a sealed note, which says what users
// see who are not signed in, and which login the response claims to belong to. Users who
// are signed in get the page that their own login led to, or home. Someone else who has
// a browser open such an address, or post such a form, makes it do no more than that.

// refusedParameter has the note.
const refusedParameter = "refused"

// refusedFor is how long a note counts: browsers follow a redirect at once.
const refusedFor = time.Minute

// refusedPost is the note, and the error of a request that brings one. What was wrong is
// in the log already.
type refusedPost struct {
	Code  errorcode.Code    `json:"code"`
	ID    string            `json:"id"` // of the line in the log
	Login session.StateHash `json:"login"`
	At    int64             `json:"at"` // in seconds
}

func (p *refusedPost) Error() string { return "the response that was posted was refused" }

// sendOnRefused sends on a browser that has posted a response which failed its checks.
// It does not where that is no form of a browser.
func (c *callbackFlow) sendOnRefused(f *Failure) bool {
	if c.R.Method != http.MethodPost || !navigation.IsNavigation(c.R) {
		return false
	}
	ring, err := c.Keys.Ring(c.R.Context())
	if err != nil {
		return false
	}
	note, err := json.Marshal(refusedPost{Code: f.Code, ID: c.log(f), Login: c.claimed, At: c.Now().Unix()})
	if err != nil {
		return false
	}
	sealed := ring.Seal(seal.ForTransaction, c.refusedAAD(), note)
	_ = pages.Redirect(c.W, http.StatusSeeOther, c.redirectURI(c.scope, c.provider)+"?"+url.Values{refusedParameter: {sealed}}.Encode())
	return true
}

// refusedAAD keeps notes apart from transactions, and those of a provider from others.
func (c *callbackFlow) refusedAAD() string {
	return c.scope.TransactionAAD + "\x00" + refusedParameter + "\x00" + c.provider.ID
}

// openRefused returns the note of a query, if it is alone there and counts.
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
	f := &Failure{Code: note.Code, Cause: note, Provider: c.provider}
	c.countFailedLogin(f)
	return c.respondLoggedError(f, note.ID)
}
