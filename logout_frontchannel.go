package oidcrp

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// maxSID is the longest name of a provider's session that a frame may bring.
const maxSID = 256

// serveFrontchannelLogout is loaded in a frame of the provider's, in the
// browser that signs out there (OpenID Connect Front-Channel Logout 1.0).
// Nothing is signed: who knows a sid can end that session and nothing else, and
// tokens are left alone. Browsers rarely send cookies into such a frame, so the
// session is ended by its sid, on all instances.
func (h *Handler) serveFrontchannelLogout(w http.ResponseWriter, r *http.Request, v *visit, p *party) error {
	issuer, sid, err := sessionNamed(r, p)
	if err != nil {
		h.logger.Debug("a front-channel logout was not understood", zap.String("provider", p.id), zap.Error(err))
		return answerFrame(w, http.StatusBadRequest)
	}
	if sid == "" && isNoFrame(r) {
		if isNoPage(r) {
			return answerFrame(w, http.StatusBadRequest)
		}
		// A link on another site: it would undo what the logout asks about.
		if _, err := h.identify(w, r, v); err != nil || v.signedIn() {
			return h.confirmPage(w, r, v)
		}
		return answerFrame(w, http.StatusOK)
	}
	ended := false
	var of *visit             // whose session it was, if the browser says it
	var failed, unknown error // unknown: whose cookie it is
	for _, n := range append([]*Handler{h}, h.others()...) {
		theirs := &visit{h: n, r: r, cookies: v.cookies}
		if other := n.parties[p.id]; other == nil || other.registration != p.registration {
			continue
		}
		if _, err := n.identify(w, r, theirs); err != nil {
			unknown = err
			continue
		}
		if !theirs.signedIn() || theirs.party.registration != p.registration || sid != "" && theirs.session.SID != sid {
			continue
		}
		failed = errors.Join(failed, n.keeper.end(r.Context(), theirs.kept))
		ended = true
		of = theirs
		n.clearCookies(w, n.site(r), theirs)
	}
	if name := issuer + " " + sid; sid != "" {
		unknown = nil // the sid decides
		if h.app.shared.frames.allow(clientOf(r), name, ended, h.now()) {
			failed = errors.Join(failed, h.app.endAll(r.Context(), session.EndedSID(issuer, sid, h.now().Add(clocksApart), h.now().Add(h.app.longestSession()+factMargin))))
			ended = true
		} else if !ended && !h.app.shared.frames.known(name) {
			w.Header().Set("Retry-After", strconv.Itoa(int(frameWindow.Seconds())))
			return answerFrame(w, http.StatusTooManyRequests)
		}
	}
	if err := errors.Join(failed, unknown); err != nil {
		h.log(r, &failure{code: logoutFailed, cause: err, party: p})
		return answerFrame(w, http.StatusServiceUnavailable)
	}
	if ended {
		e := auditEvent{event: eventSignedOut, message: "signed out", via: "front_channel", host: r.Host, provider: p.id, issuer: issuer, sid: sid}
		if of != nil {
			of.h.auditSession(r.Context(), e, of.party, of.session)
		} else {
			audit(r.Context(), h.logger, e)
		}
	}
	return answerFrame(w, http.StatusOK)
}

// sessionNamed returns the issuer and the sid that the address names, or none. iss and sid
// come together, and each once.
func sessionNamed(r *http.Request, p *party) (issuer, sid string, err error) {
	query := queryOf(r, "iss", "sid")
	issuers, sids := query["iss"], query["sid"]
	switch {
	case len(issuers) == 0 && len(sids) == 0:
		return p.issuer, "", nil
	case len(issuers) != 1 || len(sids) != 1:
		return "", "", fmt.Errorf("there are %d iss and %d sid", len(issuers), len(sids))
	case !p.client.Remote.IsIssuer(issuers[0]):
		return "", "", errors.New("iss is not the provider's issuer")
	case sids[0] == "" || len(sids[0]) > maxSID:
		return "", "", fmt.Errorf("sid has %d characters", len(sids[0]))
	}
	return p.issuerNamed(issuers[0]), sids[0], nil
}

// isNoFrame says whether a browser asks for something else than a frame, or
// for a page because another site says so. The address bar may.
func isNoFrame(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Dest") {
	case "", "iframe", "frame":
		return r.Header.Get("Sec-Purpose") != ""
	case "document":
		return r.Header.Get("Sec-Fetch-Site") != "none" || r.Header.Get("Sec-Purpose") != ""
	}
	return true
}

// answerFrame is a small empty page that may stand in any frame: a provider's
// pages are at more origins than its issuer tells, and there is nothing here
// to be clicked.
func answerFrame(w http.ResponseWriter, status int) error {
	header := w.Header()
	plainHeaders(header)
	header.Del("X-Frame-Options")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors *; base-uri 'none'")
	header.Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, err := w.Write([]byte("<!doctype html><title></title>\n"))
	return err
}

const (
	frameWindow = time.Minute
	// How many sessions one client, and all of them, can have ended by name
	// within a minute without having a cookie of the session. Each costs some
	// bytes in the storage and in the memory of all instances for as long as
	// sessions last. One client may be many users behind one address; a
	// provider that ends more at once has the back channel.
	maxFramesOfOne = 60
	maxFrames      = 300
)

// frames bounds what strangers can have written by frames. It starts anew each
// minute, so that it needs no more memory than that. It is safe for concurrent
// use, and knows of this process alone.
type frames struct {
	mu    sync.Mutex
	began time.Time
	named map[string]struct{}
	of    map[string]int
	all   int
}

// allow says whether the end of a session may be written: the same one once
// in a minute, and of strangers a few.
func (f *frames) allow(client, name string, hasCookie bool, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if age := now.Sub(f.began); f.named == nil || age >= frameWindow || age < 0 {
		f.began, f.named, f.of, f.all = now, make(map[string]struct{}), make(map[string]int), 0
	}
	if _, written := f.named[name]; written {
		return false
	}
	if !hasCookie {
		if f.all >= maxFrames || f.of[client] >= maxFramesOfOne {
			return false
		}
		f.all++
		f.of[client]++
	}
	f.named[name] = struct{}{}
	return true
}

// known says whether the end of a session was written within this minute.
func (f *frames) known(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, written := f.named[name]
	return written
}

// clientOf names who asks, as Caddy sees it: of an IPv6 address the network,
// since a client has as many addresses in it as it likes.
func clientOf(r *http.Request) string {
	text, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	if addr, err := netip.ParseAddr(text); err == nil && addr.Is6() && !addr.Is4In6() {
		if network, err := addr.WithZone("").Prefix(64); err == nil {
			return network.String()
		}
	}
	return text
}
