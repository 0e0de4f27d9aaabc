package selfservice

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// freshFor is how long after an authentication with all factors users may change how they
// sign in.
const freshFor = 5 * time.Minute

// Keys of Session.Proven: AMR values (RFC 8176), and fed-mfa, which package signin uses
// for two factors proven at an external provider.
var (
	firstFactors  = []string{"pwd", "fed"}
	secondFactors = []string{"otp", "fed-mfa"}
	bothFactors   = []string{"hwk", "swk"}
)

// isFresh reports whether all factors have been proven within freshFor. second reports
// whether the user has a second factor, or must have one.
func isFresh(proven map[string]time.Time, second bool, now time.Time) bool {
	lately := func(kinds []string) bool {
		for _, kind := range kinds {
			if at, ok := proven[kind]; ok && !at.After(now) && now.Sub(at) <= freshFor {
				return true
			}
		}
		return false
	}
	return lately(bothFactors) || lately(firstFactors) && (!second || lately(secondFactors))
}

// needsSecond reports whether the user has a second factor, or must have one.
func (v *visit) needsSecond() bool { return len(v.factors) > 0 || v.requiresMFA() }

func (v *visit) requiresMFA() bool {
	return v.Accounts.Authenticator(v.user).MFA == authenticator.Required
}

// fresh reports whether the user may change how to sign in. If not, it sends the browser
// to authenticate with all factors, and then back to the page.
func (v *visit) fresh() bool {
	if isFresh(v.session.Proven, v.needsSecond(), v.Now()) {
		return true
	}
	v.signIn(v.user.ID)
	return false
}

// returnTo is the Data of the requests made by this package.
type returnTo struct {
	Path string `json:"path"`
}

// signIn sends the browser to sign in, and then back to this page. If subject is not
// empty, that user has to prove all factors, unless that was done within freshFor.
func (v *visit) signIn(subject string) {
	path := v.r.URL.Path
	if endpoints[path].get == nil {
		path = pathAccount
	}
	if query := v.pageQuery(); query != "" {
		path += "?" + query
	}
	data, err := json.Marshal(returnTo{path})
	if err != nil {
		v.fail(err)
		return
	}
	q := &request.Request{Kind: Kind, Data: data}
	if subject != "" {
		age := freshFor
		q.Subject, q.MaxAge = subject, &age
		if v.needsSecond() {
			q.ACRValues, q.ACRRequired = []string{sso.ACRMFA}, v.requiresMFA()
		}
	}
	v.SignIn.Begin(v.w, v.r, q)
}

// pageQuery returns the query that identifies what the page is about, or "".
func (v *visit) pageQuery() string {
	query := v.r.URL.Query()
	if v.r.Method == http.MethodPost {
		query = v.r.PostForm
	}
	for _, name := range []string{pages.FieldID, pages.FieldKind} {
		if value := query.Get(name); value != "" && isID(value) {
			return name + "=" + value
		}
	}
	return ""
}

// isID reports whether a text may be an id. Ids need no escaping in URLs.
func isID(text string) bool {
	return len(text) <= 64 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}

// Finish implements request.Finisher. It redirects to the page that the user came from.
func (s *SelfService) Finish(w http.ResponseWriter, r *http.Request, q *request.Request, _ *store.Session, _ *store.User) {
	back := returnTo{Path: pathAccount}
	if len(q.Data) > 0 {
		if err := json.Unmarshal(q.Data, &back); err != nil {
			s.Fail(w, r, err)
			return
		}
	}
	path, _, _ := strings.Cut(back.Path, "?")
	if endpoints[path].get == nil || endpoints[path].open {
		back.Path = pathAccount
	}
	s.Pages.Redirect(w, r, back.Path)
}

// Refuse implements request.Finisher.
func (s *SelfService) Refuse(w http.ResponseWriter, r *http.Request, _ *request.Request, code, _ string) {
	page := pages.Forbidden()
	page.Code, page.Link, page.LinkKey = code, pathAccount, "button.account"
	s.Pages.Render(w, r, http.StatusForbidden, page)
}
