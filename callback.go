package oidcrp

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/authresponse"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/callback"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookiescope"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file has an answer count once, and lead where it led first when the same
// browser sends it again: browsers, service workers and balancers repeat
// requests, and people reload while a provider is slow.

// loginVisibly is no error: a silent login has to be followed by a usual one.
const loginVisibly = "login_visibly"

var errSessionOver = errors.New("the answer to this login was taken before, and its session has ended")

// outcomeOf takes the answer to a login to the provider, or finds what became
// of it when this browser sent it before.
func (h *Handler) outcomeOf(r *http.Request, st *requestState, s *cookiescope.Scope, ring *seal.Ring, p *provider, t *session.Transaction, a authresponse.Response) (callback.Outcome, error) {
	secret := callbackSecret(t)
	name, err := secret.Name()
	if err != nil {
		return callback.Outcome{}, err
	}
	worked := false
	outcome, err := h.callbacks.Do(r.Context(), callback.Attempt{
		Name: name,
		Seal: func(plain []byte) ([]byte, error) { return secret.Seal(s.TransactionAAD, plain) },
		Open: func(sealed []byte) ([]byte, error) { return secret.Open(s.TransactionAAD, sealed) },
		Work: func(ctx context.Context) callback.Outcome {
			worked = true
			return h.redeem(r.WithContext(ctx), st, s, ring, p, t, a)
		},
		Lost: func(err error) {
			h.logger.Warn("other instances cannot learn of a login; an answer that is sent again there is refused",
				zap.String("provider", p.id), zap.Error(err))
		},
		Local: a.ErrorCode != "" || a.NamesOther(p.client.Discovery.IsIssuer),
	})
	if err != nil || worked {
		return outcome, err
	}
	h.logger.Debug("an answer was sent again", zap.String("provider", p.id), zap.String("host", r.Host))
	if outcome.Code == "" && outcome.Err == nil && !h.isSessionValid(r, s, outcome.Cookies) {
		return callback.Outcome{Err: errSessionOver}, nil
	}
	return outcome, nil
}

// callbackSecret stands for a login: only its transaction, which one browser
// has, can tell it.
func callbackSecret(t *session.Transaction) seal.RecordSecret {
	return sha256.Sum256([]byte("caddy-oidc-rp v1 callback\x00" + t.State + "\x00" + t.Nonce + "\x00" + t.Verifier))
}

// redeem makes a session of the answer to a login. It goes on when the
// browser leaves, since the code is spent either way.
func (h *Handler) redeem(r *http.Request, st *requestState, s *cookiescope.Scope, ring *seal.Ring, p *provider, t *session.Transaction, a authresponse.Response) callback.Outcome {
	to := headerWriter{make(http.Header)}
	if f := h.finish(to, r, st, s, ring, p, t, a); f != nil && f.code == loginVisibly {
		return callback.Outcome{Code: loginVisibly}
	} else if f != nil {
		return callback.Outcome{Code: string(f.code), ErrorID: h.log(r, f), Err: f}
	}
	return callback.Outcome{Location: orDefault(t.Return, h.Home), Cookies: to.header["Set-Cookie"]}
}

func (h *Handler) finish(w http.ResponseWriter, r *http.Request, st *requestState, s *cookiescope.Scope, ring *seal.Ring, p *provider, t *session.Transaction, a authresponse.Response) *failure {
	if !h.app.storageState.spent.Spend(session.HashState(t.State), h.now()) {
		return &failure{errorcode.LoginExpired, callback.ErrRepeated, p, t.Return}
	}
	fresh, idToken, f := h.signIn(r.Context(), p, t, a)
	if needsQuestion(t, a, fresh, f) {
		return &failure{loginVisibly, errors.New("the provider has a question"), p, t.Return}
	}
	if f != nil {
		return f
	}
	h.markSignIn(w, st, s, ring, t)
	return h.createSession(w, r, st, s, ring, p, fresh, idToken)
}

// respondOutcome answers a request that brought the answer to a login.
func (h *Handler) respondOutcome(w http.ResponseWriter, r *http.Request, st *requestState, p *provider, t *session.Transaction, outcome callback.Outcome) error {
	var f *failure
	switch {
	case outcome.Code == loginVisibly:
		return h.beginVisibly(w, r, st, p, t.Return)
	case errors.As(outcome.Err, &f):
	case outcome.Code != "":
		f = &failure{errorcode.Code(outcome.Code), errors.New("the answer to this login was refused before"), p, t.Return}
	case outcome.Err != nil:
		f = &failure{errorcode.LoginExpired, outcome.Err, p, t.Return}
		outcome.ErrorID = h.log(r, f)
	}
	if f == nil {
		addCookies(w.Header(), outcome.Cookies)
		return pages.Redirect(w, http.StatusSeeOther, outcome.Location)
	}
	if st.signedIn() && f.code == errorcode.LoginExpired {
		return pages.Redirect(w, http.StatusSeeOther, h.returnURL(st, t.State))
	}
	return h.respondLoggedError(w, r, st, f, outcome.ErrorID)
}

// lives reports whether the session that an answer has set still lives.
func (h *Handler) isSessionValid(r *http.Request, s *cookiescope.Scope, lines []string) bool {
	var pairs []string
	for _, line := range lines {
		if c, err := http.ParseSetCookie(line); err == nil && c.MaxAge >= 0 && c.Value != "" {
			pairs = append(pairs, c.Name+"="+c.Value)
		}
	}
	found := s.FindSession([]string{strings.Join(pairs, "; ")})
	if !found.Present {
		return false
	}
	result, err := h.open(r, &requestState{h: h, r: r}, s, &found, h.now())
	return err == nil && result == sessionValid
}

// addCookies adds Set-Cookie lines, each in the place of what was set by its
// name before.
func addCookies(header http.Header, lines []string) {
	for _, line := range lines {
		set, _, _ := strings.Cut(line, "=")
		cookie.Unset(header, func(name string) bool { return name == set })
		header.Add("Set-Cookie", line)
	}
}

// headerWriter keeps the header of an answer that several requests get.
type headerWriter struct{ header http.Header }

func (w headerWriter) Header() http.Header       { return w.header }
func (w headerWriter) WriteHeader(int)           {}
func (w headerWriter) Write([]byte) (int, error) { return 0, fmt.Errorf("nothing is written here") }
