package flow

import (
	"errors"
	"net/http"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// updateSession seals the session again: with the newest key, its new tokens, and
// the current time as its last use. sets reports whether the response sets a
// cookie. If it fails, the stored session remains unchanged.
func (x *sessions) updateSession(s *cookiescope.Scope, present uint8) (sets bool, err error) {
	st, ctx := x.State, x.R.Context()
	ring, err := x.Keys.Ring(ctx)
	if err != nil {
		return false, err
	}
	if ring != st.ring {
		// Do not renew what was sealed with a key that has been withdrawn meanwhile.
		l, err := x.Sessions.Load(ctx, ring, s.SessionAAD, st.value, x.Now())
		if errors.Is(err, seal.ErrUnknownKey) || err == nil && l == nil {
			return false, sessionstore.ErrRevoked
		} else if err != nil {
			return false, err
		}
	}
	if x.Sessions.Superseded(st.session) {
		return false, nil // the browser has a newer one, or is about to get it
	}
	renewed := *st.session
	if st.use != usesNothing {
		renewed.Seen = x.Now()
	}
	chunks, err := x.Sessions.Update(ctx, ring, s.SessionAAD, st.loaded, &renewed)
	if err == nil {
		st.seen = renewed.Seen
	}
	if err != nil || len(chunks) == 0 {
		return false, err
	}
	st.value, st.ring = strings.Join(chunks, "")[1:], ring
	x.Shared.Memory.liveCookies.see(&renewed, s.SessionAAD, st.value)
	s.SetSession(x.header(), chunks, present, x.maxAgeUntil(renewed.Expires))
	if renewed.Grant.RefreshToken != "" || x.Recheck > 0 {
		// Until the application's response is sent, another request may get newer
		// tokens or claims. Do not overwrite its cookie then.
		sessions := x.Sessions
		st.BeforeResponse = func(header http.Header) {
			if sessions.Superseded(&renewed) {
				cookie.Unset(header, s.IsSession)
			}
		}
	}
	return true, nil
}
