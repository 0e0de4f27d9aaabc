package flow

import (
	"bytes"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

// This file keeps other sites from signing users out: what they bring about has
// to be confirmed.

// confirmation is what the form on the confirmation page sends: only this
// session's user can have got it. Browsers without Sec-Fetch-Site need it, as
// they send the form with the origin null, because the page has no referrer.
func (x *Exchange) confirmation() string {
	ring, err := x.Keys.Ring(x.R.Context())
	if err != nil {
		return ""
	}
	return ring.Seal(seal.ForLogout, x.Scope().IDTokenHintAAD, x.confirmed())
}

// confirmed is what stands for the session that a logout would end; nothing where
// there is none.
func (x *Exchange) confirmed() []byte {
	if l := x.State.revocable(); l != nil {
		return l.Session.ID[:]
	}
	return nil
}

// isConfirmed reports whether the request is the confirmation page's form.
func (x *Exchange) isConfirmed() bool {
	if x.R.Method != http.MethodPost {
		return false
	}
	form, err := readForm(x.R, 4<<10, "confirmation")
	if err != nil {
		return false
	}
	ring, err := x.Keys.Ring(x.R.Context())
	if err != nil {
		return false
	}
	plain, _, err := ring.Open(seal.ForLogout, x.Scope().IDTokenHintAAD, form.Get("confirmation"))
	return err == nil && len(plain) > 0 && bytes.Equal(plain, x.confirmed())
}

// isCrossSite reports whether another site sent the browser here. Without any word
// about it the request is no browser's, or a very old one's, whose links cannot be
// told apart from the address bar.
func isCrossSite(r *http.Request, s *cookiescope.Scope) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return false
	case "cross-site", "same-site":
		return true
	}
	for _, name := range []string{"Origin", "Referer"} {
		if from := r.Header.Get(name); from != "" {
			return !s.Origin.SameOrigin(from)
		}
	}
	return false
}

// isNotNavigation reports whether a browser requests something else than a page
// that a user opens: an image in someone's comment, or a page in advance.
func isNotNavigation(r *http.Request) bool {
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	return r.Method == http.MethodGet && (mode != "" && mode != "navigate" || dest != "" && dest != "document" || r.Header.Get("Sec-Purpose") != "")
}

// stillSignedInPage is in the place of that for a user whose session is valid: the
// provider has led here, but nothing was ended.
func (x *Exchange) stillSignedInPage(viewer *State) error {
	theirs := viewer.at.At(x.W, x.R, viewer)
	return theirs.render(pages.StillSignedIn, http.StatusOK,
		pages.Data{TitleKey: "still_signed_in.title", User: viewer.User().ID(), Confirmation: theirs.confirmation()})
}

func (x *Exchange) confirmPage() error {
	status := http.StatusOK
	if x.R.Method == http.MethodPost {
		status = http.StatusForbidden
	}
	return x.render(pages.Confirm, status, pages.Data{TitleKey: "confirm.title", User: x.State.User().ID(), Confirmation: x.confirmation(), LoginHost: x.loginHostName()})
}
