package flow

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/callback"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// This file processes each authorization response once. If the same browser sends it
// again, it gets the first outcome: browsers, service workers and load balancers
// repeat requests, and users reload while a provider is slow.

// Outcomes that are not errors.
const (
	// loginVisibly means that a silent login has to be followed by an ordinary one.
	loginVisibly = "login_visibly"
	// stayAnonymous means that a silent login attempt found no user.
	stayAnonymous = "stay_anonymous"
)

var errSessionOver = errors.New("the answer to this login was taken before, and its session has ended")

// outcome redeems the response at the provider. If this browser sent the response
// before, outcome returns the outcome of that request.
func (c *callbackFlow) outcome() (callback.Outcome, error) {
	secret := callbackSecret(&c.transaction)
	name, err := secret.Name()
	if err != nil {
		return callback.Outcome{}, err
	}
	worked := false
	outcome, err := c.Callbacks.Do(c.R.Context(), callback.Attempt{
		Name: name,
		Seal: func(plain []byte) ([]byte, error) { return secret.Seal(c.scope.TransactionAAD, plain) },
		Open: func(sealed []byte) ([]byte, error) { return secret.Open(c.scope.TransactionAAD, sealed) },
		Work: func(ctx context.Context) callback.Outcome {
			worked = true
			return c.redeem(ctx)
		},
		Lost: func(err error) {
			c.warn("login_not_shared", "other instances cannot learn of a login; an answer that is sent again there is refused",
				slog.String("provider", c.provider.ID), errAttr(err))
		},
		Local: c.response.ErrorCode != "" || c.response.NamesOther(c.provider.Client.Discovery.IsIssuer),
	})
	if err != nil || worked {
		return outcome, err
	}
	c.debug("callback_repeated", "an answer was sent again", slog.String("provider", c.provider.ID), slog.String("host", c.R.Host))
	if outcome.Code == "" && outcome.Err == nil && !c.isSessionValid(outcome.Cookies) {
		return callback.Outcome{Err: errSessionOver}, nil
	}
	return outcome, nil
}

// callbackSecret returns the secret that names and seals the outcome of a login. It
// is derived from values in the transaction, which only one browser has.
func callbackSecret(t *session.Transaction) seal.RecordSecret {
	return sha256.Sum256([]byte("caddy-oidc-rp v1 callback\x00" + t.State + "\x00" + t.Nonce + "\x00" + t.Verifier))
}

// redeem creates a session from the authorization response. It continues if the
// browser disconnects, because the code is spent either way.
func (c *callbackFlow) redeem(ctx context.Context) callback.Outcome {
	to := headerWriter{make(http.Header)}
	work := *c
	work.W, work.R = to, c.R.WithContext(ctx)
	if f := work.finish(); f != nil && (f.Code == loginVisibly || f.Code == stayAnonymous) {
		return callback.Outcome{Code: string(f.Code)}
	} else if f != nil {
		work.countFailedLogin(f)
		return callback.Outcome{Code: string(f.Code), ErrorID: work.log(f), Err: f}
	}
	return callback.Outcome{Location: cmp.Or(c.transaction.Return, c.Home), Cookies: to.header["Set-Cookie"]}
}

func (c *callbackFlow) finish() *Failure {
	t := &c.transaction
	if !c.Shared.Memory.spent.Spend(session.HashState(t.State), c.Now()) {
		return c.refuse(errorcode.LoginExpired, callback.ErrRepeated)
	}
	fresh, idToken, f := c.signIn(c.R.Context())
	if c.needsQuestion(fresh, f) {
		return c.refuse(loginVisibly, errors.New("the provider has a question"))
	}
	if t.Attempt && c.foundNoUser(f) {
		return c.refuse(stayAnonymous, errFoundNoUser)
	}
	if f != nil {
		return f
	}
	if f := c.checkKnown(c.R.Context(), c.provider, fresh); f != nil {
		f.ReturnTo, f.Attempt, f.Popup, f.Fragment = t.Return, t.Attempt, t.Popup, t.Fragment
		return f
	}
	c.markSignIn(c.scope, c.ring, t)
	f = c.createSession(c.ring, c.provider, fresh, idToken)
	if f != nil {
		f.ReturnTo, f.Attempt, f.Popup, f.Fragment = t.Return, t.Attempt, t.Popup, t.Fragment
	}
	return f
}

// needsQuestion reports whether a silent login has to be followed by an ordinary
// one, because the provider has to interact with the user or responded for another
// user.
func (c *callbackFlow) needsQuestion(fresh *session.Session, f *Failure) bool {
	silent := c.transaction.Silent
	if silent == "" {
		return false
	}
	if f == nil {
		return fresh.Subject != silent
	}
	return c.response.ErrorCode != "" && slices.Contains([]errorcode.Code{errorcode.AccessDenied, errorcode.ProviderError}, f.Code)
}

// respondOutcome responds to the request with the outcome of the login.
func (c *callbackFlow) respondOutcome(outcome callback.Outcome) error {
	var f *Failure
	switch {
	case outcome.Code == loginVisibly:
		return c.loginTo(c.transaction.Return).beginVisibly()
	case outcome.Code == stayAnonymous:
		return c.leadBackFromAttempt(c.transaction.Return, c.transaction.Fragment)
	case errors.As(outcome.Err, &f):
	case outcome.Code == string(errorcode.Forbidden):
		f = c.refuse(errorcode.Forbidden, fmt.Errorf("the answer to this login was refused before: %w", errorcode.ErrUnproved))
	case outcome.Code != "":
		f = c.refuse(errorcode.Code(outcome.Code), errors.New("the answer to this login was refused before"))
	case outcome.Err != nil:
		f = c.refuse(errorcode.LoginExpired, outcome.Err)
		c.countFailedLogin(f)
		outcome.ErrorID = c.log(f)
	}
	if f == nil {
		addCookies(c.header(), outcome.Cookies)
		return c.leadTo(&c.transaction, outcome.Location)
	}
	if c.State.SignedIn() && f.Code == errorcode.LoginExpired {
		return pages.Redirect(c.W, http.StatusSeeOther, c.returnURL(c.transaction.State))
	}
	return c.respondLoggedError(f, outcome.ErrorID)
}

// isSessionValid reports whether the session that earlier Set-Cookie lines have set
// is still valid.
func (c *callbackFlow) isSessionValid(lines []string) bool {
	var pairs []string
	for _, line := range lines {
		if set, err := http.ParseSetCookie(line); err == nil && set.MaxAge >= 0 && set.Value != "" {
			pairs = append(pairs, set.Name+"="+set.Value)
		}
	}
	found := c.scope.FindSession([]string{strings.Join(pairs, "; ")})
	if !found.Present {
		return false
	}
	theirs := c.atSibling(c.Instance)
	result, err := theirs.open(c.scope, &found, c.Now())
	return err == nil && result == sessionValid
}

// addCookies adds Set-Cookie lines. Each replaces earlier lines for the same
// cookie.
func addCookies(header http.Header, lines []string) {
	for _, line := range lines {
		set, _, _ := strings.Cut(line, "=")
		cookie.Unset(header, func(name string) bool { return name == set })
		header.Add("Set-Cookie", line)
	}
}

// headerWriter is a ResponseWriter that collects a header that several requests
// get.
type headerWriter struct{ header http.Header }

func (w headerWriter) Header() http.Header { return w.header }

func (w headerWriter) WriteHeader(int) {}

func (w headerWriter) Write([]byte) (int, error) { return 0, fmt.Errorf("nothing is written here") }
