package flow

import (
	"bytes"
	"net/http"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

// This file keeps other sites from signing users out: users have to confirm logouts
// that other sites initiate.

// confirmation returns a token for the form of the confirmation page, which only
// this session's user can have received. Browsers without Sec-Fetch-Site need it:
// they send the form with Origin: null, because the page has no referrer.
func (x *Exchange) confirmation() string {
	ring, err := x.Keys.Ring(x.R.Context())
	if err != nil {
		return ""
	}
	return ring.Seal(seal.ForLogout, x.Scope().IDTokenHintAAD, x.confirmed())
}

// confirmed returns the id of the session that a logout would end; nil if there is
// none.
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

// isCrossSite reports whether another site sent the browser here. It reports false
// for requests without Sec-Fetch-Site, Origin and Referer: those come from other
// programs, or from very old browsers whose links look like typed addresses.
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

// isNotNavigation reports whether the request is not the navigation of a user, but
// for example an image in a comment, or a prefetch.
func isNotNavigation(r *http.Request) bool {
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	return r.Method == http.MethodGet && (mode != "" && mode != "navigate" || dest != "" && dest != "document" || r.Header.Get("Sec-Purpose") != "")
}

// stillSignedInPage takes the place of the signed-out page for users whose session
// is valid: the provider sent the browser here, but nothing was ended.
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
