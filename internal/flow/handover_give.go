package flow

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/audit"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// give hands the session over to the site. If no user was handed over to that site
// before, the user has to confirm it first.
func (h *handoverFlow) give() error {
	if h.request.Cookie != "" {
		return h.leadBack()
	}
	known, err := h.LoginHost.Handovers.Knows(h.R.Context(), h.request.Origin)
	if err != nil {
		return h.respondError(storageFailure(err))
	}
	if !known {
		return h.ask()
	}
	return h.giveTicket()
}

// leadBack redirects to a site that shares the session's cookie.
func (h *handoverFlow) leadBack() error {
	location := h.request.Return
	var others []address.Origin
	if u, err := url.Parse(location); err == nil {
		if origin, err := address.ParseOrigin(u.Scheme + "://" + u.Host); err == nil {
			others = append(others, origin) // the site has checked it
		}
	}
	if _, ok := address.Return(location, address.Origin{}, others); !ok {
		return h.respondError(h.refuse(errorcode.BadRequest, errors.New("the return address is none")))
	}
	return pages.Redirect(h.W, http.StatusSeeOther, location)
}

// ask renders a page that asks the user to confirm the site. Its form holds the
// request and a confirmation that only the user of this session can have received.
func (h *handoverFlow) ask() error {
	sealed, err := h.request.Seal(h.ring, h.Scope().Origin)
	if err != nil {
		return h.respondError(h.refuse(errorcode.BadRequest, err))
	}
	return h.render(pages.Handover, http.StatusOK, pages.Data{
		TitleKey: "handover.title", Site: h.site.Host, User: h.State.User().ID(), Action: h.Endpoints + "/" + handoverRest,
		Fields: map[string]string{"request": sealed, "confirmation": h.ring.Seal(seal.ForHandover, h.confirmationAAD(), h.confirmed())},
	})
}

// confirmationAAD returns the additional data of a confirmation for the site.
func (h *handoverFlow) confirmationAAD() string {
	return "handover confirmation\x00" + h.Scope().Origin.String() + "\x00" + h.request.Origin
}

// confirmed returns a hash of the session and the site's login, which a
// confirmation is for.
func (h *handoverFlow) confirmed() []byte {
	sum := sha256.Sum256(append(h.State.session.ID[:], h.request.Transaction[:]...))
	return sum[:]
}

// agree records that a user has confirmed a site, and hands the session over. If
// the confirmation is not valid, it asks again.
func (h *handoverFlow) agree(confirmation string) error {
	plain, _, err := h.ring.Open(seal.ForHandover, h.confirmationAAD(), confirmation)
	if err != nil || !bytes.Equal(plain, h.confirmed()) {
		return h.ask()
	}
	if err := h.LoginHost.Handovers.Note(h.R.Context(), h.request.Origin); err != nil {
		return h.respondError(storageFailure(err))
	}
	h.info("handover_site_new", "users are handed over to a site for the first time", slog.String("site", h.request.Origin), slog.String("login_host", h.Scope().Origin.String()))
	return h.giveTicket()
}

// giveTicket stores a record of the session, and redirects the browser to the site
// with a ticket that refers to the record.
func (h *handoverFlow) giveTicket() error {
	record, err := h.record()
	if err != nil {
		return h.respondError(h.refuse(errorcode.BadRequest, err))
	}
	if err := h.notePerson(&record); err != nil {
		return h.respondError(storageFailure(err))
	}
	ticket := handover.NewTicket()
	name, err := ticket.Name()
	if err != nil {
		return &Error{Status: http.StatusInternalServerError, Err: err}
	}
	sealed, err := ticket.Seal(h.ring, &record)
	if err != nil {
		return &Error{Status: http.StatusInternalServerError, Err: err}
	}
	if err := h.LoginHost.Handovers.Put(h.R.Context(), name, sealed); err != nil {
		return h.respondError(storageFailure(err))
	}
	h.info("session_handed_over", "a session is handed over", slog.String("site", h.request.Origin), slog.String("provider", h.State.provider.ID),
		slog.String("session", audit.SessionName(h.State.session)), slog.String("client_ip", h.Server.ClientIP(h.R.Context())))
	return pages.Redirect(h.W, http.StatusSeeOther, h.site.String()+h.request.Prefix+"/"+record.Provider+"/"+handoverRest+"?ticket="+ticket.String())
}

// record returns what the site learns about the session. It has no tokens.
func (h *handoverFlow) record() (r handover.Record, err error) {
	st := h.State
	p, s := st.provider, st.session
	kept, ok := identity.SourcesOf(s)
	if !ok {
		return r, errLacksClaims
	}
	accepted, ok := h.request.Accepts(p.Registration)
	if !ok {
		return r, errOtherProvider
	}
	r = handover.Record{
		Origin: h.site.String(), Transaction: h.request.Transaction, At: h.Now(),
		Provider: accepted.ID, Binding: accepted.Binding, Lost: kept.Lost, Scopes: kept.Scopes,
		AuthTime: s.AuthTime, Issued: s.IDTokenIssued, Spared: s.Spared,
		Parent: session.Parent{
			ID: s.ID, Key: st.loaded.RecordKey(), SignedIn: s.SignedIn, Expires: s.Expires,
			Provider: p.ID, Username: s.Username,
		},
	}
	if r.IDToken, err = jsonOf(kept.IDToken); err == nil && kept.Userinfo != nil {
		r.Userinfo, err = jsonOf(kept.Userinfo)
	}
	return r, err
}

func jsonOf(value any) (string, error) {
	encoded, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("write claims: %w", err)
	}
	return string(encoded), nil
}
