package provider

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
)

const (
	// attemptTimeout is how long an application may take to end a session.
	attemptTimeout = 5 * time.Second
	// claimedFor is how long a node may take for the deliveries that it has
	// claimed.
	claimedFor = time.Minute
	// deliverEvery is how often a node looks for due deliveries.
	deliverEvery = 5 * time.Second
	// atOnce is the maximum number of concurrent deliveries per node.
	atOnce = 8

	logoutTokenLifetime = 2 * time.Minute
	logoutEvent         = "http://schemas.openid.net/event/backchannel-logout"
)

// Backchannel notifies applications of ended sessions: those in this Caddy by a
// call, others by a logout token (OpenID Connect Back-Channel Logout 1.0). It
// implements sso.Applications.
type Backchannel struct {
	*Clients
	Issuer address.Origin
	Store  store.Store
	Keys   *Keys
	HTTP   *http.Client // nil for NewBackchannelClient
	Now    func() time.Time
	Logger *slog.Logger
	Count  func(endpoint, outcome string) // may be nil

	sends sync.WaitGroup // deliveries begun by Notify
}

var _ sso.Applications = (*Backchannel)(nil)

// NewBackchannelClient returns the HTTP client for logout tokens. It does not
// follow redirects: a token is only for the configured address.
func NewBackchannelClient() *http.Client {
	return &http.Client{
		Timeout:       attemptTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Notify implements sso.Applications. It does not wait for applications elsewhere.
func (b *Backchannel) Notify(ctx context.Context, deliveries []store.Delivery) {
	ctx = context.WithoutCancel(ctx)
	var here sync.WaitGroup
	var elsewhere []store.Delivery
	for _, d := range deliveries {
		if b.isBuiltin(d.ClientID) {
			here.Go(func() { b.attempt(ctx, d) })
		} else {
			elsewhere = append(elsewhere, d)
		}
	}
	if len(elsewhere) > 0 {
		b.sends.Go(func() { b.attemptAll(ctx, elsewhere) })
	}
	here.Wait()
}

// Wait waits for the deliveries begun by Notify.
func (b *Backchannel) Wait() { b.sends.Wait() }

// attemptAll attempts deliveries, some concurrently.
func (b *Backchannel) attemptAll(ctx context.Context, deliveries []store.Delivery) {
	var all sync.WaitGroup
	turns := make(chan struct{}, atOnce)
	for _, d := range deliveries {
		turns <- struct{}{}
		all.Go(func() {
			defer func() { <-turns }()
			b.attempt(ctx, d)
		})
	}
	all.Wait()
}

// Run attempts deliveries that have not succeeded, from any node, until ctx ends.
func (b *Backchannel) Run(ctx context.Context) {
	ticker := time.NewTicker(deliverEvery)
	defer ticker.Stop()
	for {
		if err := b.Deliver(ctx); err != nil && ctx.Err() == nil {
			b.Logger.LogAttrs(ctx, slog.LevelWarn, "the logouts that are due could not be loaded",
				slog.String("event", "logout_deliveries_failed"), slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Deliver attempts the deliveries that are due now.
func (b *Backchannel) Deliver(ctx context.Context) error {
	var due []store.Delivery
	now := b.Now()
	err := b.Store.Update(ctx, func(tx store.Tx) (err error) {
		due, err = tx.ClaimDeliveries(now, now.Add(claimedFor), 4*atOnce)
		return err
	})
	if err != nil {
		return fmt.Errorf("claim logouts: %w", err)
	}
	b.attemptAll(ctx, due)
	return nil
}

// attempt attempts a delivery and records the result.
func (b *Backchannel) attempt(ctx context.Context, d store.Delivery) {
	limited, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	err := b.send(limited, d)
	if err == nil {
		b.note("ok")
		b.write(ctx, d, func(tx store.Tx) error { return tx.DeleteDelivery(d.ID) })
		return
	}
	now := b.Now()
	d.Attempts++
	d.Next = now.Add(pause(d.Attempts))
	over := !d.Next.Before(d.Expires)
	level, outcome, event := slog.LevelWarn, "failed", slog.String("event", "backchannel_logout_failed")
	if over {
		level, outcome, event = slog.LevelError, "given_up", slog.String("event", "backchannel_logout_given_up")
	}
	b.note(outcome)
	b.Logger.LogAttrs(ctx, level, "a logout token could not be delivered",
		event, slog.String("client_id", d.ClientID), slog.String("sub", d.UserID),
		slog.Int("attempts", d.Attempts), slog.Any("error", err))
	b.write(ctx, d, func(tx store.Tx) error {
		if over {
			return tx.DeleteDelivery(d.ID)
		}
		return tx.PutDelivery(d)
	})
}

// pause returns how long to wait after an attempt: 15 seconds, doubling up to an
// hour.
func pause(attempts int) time.Duration {
	return min(15*time.Second<<min(attempts-1, 8), time.Hour)
}

func (b *Backchannel) write(ctx context.Context, d store.Delivery, change func(store.Tx) error) {
	err := b.Store.Update(ctx, change)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		b.Logger.LogAttrs(ctx, slog.LevelWarn, "the outcome of a logout could not be kept; it is attempted again",
			slog.String("event", "logout_delivery_not_kept"), slog.String("client_id", d.ClientID), slog.Any("error", err))
	}
}

func (b *Backchannel) note(outcome string) {
	if b.Count != nil {
		b.Count("backchannel_logout", outcome)
	}
}

func (b *Backchannel) send(ctx context.Context, d store.Delivery) error {
	client := b.find(d.ClientID)
	switch {
	case client == nil:
		return errors.New("the client is not known here")
	case client.builtin != nil:
		return endHere(ctx, client, d)
	case client.BackchannelLogoutURI == "":
		return nil // the client has no address any more
	}
	token, err := b.logoutToken(ctx, client, d)
	if err != nil {
		return err
	}
	body := strings.NewReader(url.Values{"logout_token": {token}}.Encode())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, client.BackchannelLogoutURI, body)
	if err != nil {
		return fmt.Errorf("make a request: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	caller := b.HTTP
	if caller == nil {
		caller = NewBackchannelClient()
	}
	response, err := caller.Do(r)
	if err != nil {
		return fmt.Errorf("send a logout token: %w", err)
	}
	defer response.Body.Close()
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10) // makes the connection reusable
	if response.StatusCode != http.StatusOK && response.StatusCode != http.StatusNoContent {
		return fmt.Errorf("the application answered with status %d", response.StatusCode)
	}
	return nil
}

// logoutToken returns a logout token (OpenID Connect Back-Channel Logout 1.0,
// section 2.4).
func (b *Backchannel) logoutToken(ctx context.Context, client *party, d store.Delivery) (string, error) {
	now := b.Now()
	claims := map[string]any{
		"iss": b.Issuer.String(), "aud": client.ID, "sub": d.UserID, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(logoutTokenLifetime).Unix(),
		"events": map[string]any{logoutEvent: struct{}{}},
	}
	if d.SID != "" {
		claims["sid"] = d.SID
	}
	return b.Keys.sign(ctx, client.alg(), "logout+jwt", claims)
}

// endHere calls all registrations of a client in this Caddy concurrently, so that
// one that hangs does not delay others.
func endHere(ctx context.Context, client *party, d store.Delivery) error {
	outcomes := make(chan error, len(client.builtin))
	calls := 0
	for _, registered := range client.builtin {
		if registered.Ended == nil {
			continue
		}
		calls++
		go func() { outcomes <- registered.Ended(ctx, d.UserID, d.SID) }()
	}
	var failed []error
	for range calls {
		select {
		case err := <-outcomes:
			failed = append(failed, err)
		case <-ctx.Done():
			return errors.Join(append(failed, ctx.Err())...)
		}
	}
	return errors.Join(failed...)
}
