package oidcidp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/vault"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/storagekey"
)

// instances holds the providers of running configurations, by everything that they
// depend on. Configurations that agree on that share one, so that a reload
// interrupts nothing.
var instances = caddy.NewUsagePool()

// hashers holds the password hashers of the process, by the storage that has their
// keys, so that a reload does not double the memory for hashes.
var hashers = caddy.NewUsagePool()

// hasher hashes passwords. It needs no cleanup.
type hasher struct{ *passwords.Passwords }

// Destruct implements caddy.Destructor.
func (hasher) Destruct() error { return nil }

const (
	// retryPause is the minimum interval of attempts to open the database.
	retryPause = time.Second
	// openPatience is how long a request waits for the database to open.
	openPatience = 5 * time.Second
)

var errNotOpen = errors.New("the identity provider is not ready yet")

// instance is a provider that opens at first use: Caddy starts apps in any order,
// and provisions configurations that it only validates.
type instance struct {
	options server.Options
	log     *logSwitch
	ready   atomic.Pointer[server.Server]

	mu      sync.Mutex
	opening chan struct{} // closed when the current attempt ends; nil if there is none
	err     error         // of the last attempt
	next    time.Time     // no attempt before
	closed  bool
}

// acquire returns the instance of a configuration, and a function that releases it.
func (a *App) acquire(storage any, options func() (server.Options, error)) (*instance, func() error, error) {
	config, err := json.Marshal(a)
	if err != nil {
		return nil, nil, err
	}
	place := storagekey.Key(storage)
	sum := sha256.Sum256(append(config, place...))
	key := hex.EncodeToString(sum[:])
	value, _, err := instances.LoadOrNew(key, func() (caddy.Destructor, error) {
		o, err := options()
		if err != nil {
			return nil, err
		}
		i := &instance{options: o, log: new(logSwitch)}
		i.log.use(a.logger)
		i.options.Logger = slog.New(i.log)
		return i, nil
	})
	if err != nil {
		return nil, nil, err
	}
	hash, _, err := hashers.LoadOrNew(place, func() (caddy.Destructor, error) {
		i := value.(*instance)
		return hasher{passwords.New(vault.New(i.options.Storage, i.options.Now))}, nil
	})
	if err != nil {
		_, released := instances.Delete(key)
		return nil, nil, errors.Join(err, released)
	}
	i := value.(*instance)
	i.mu.Lock()
	i.options.Passwords = hash.(hasher).Passwords
	i.mu.Unlock()
	return i, func() error {
		_, err := instances.Delete(key)
		_, hashErr := hashers.Delete(place)
		return errors.Join(err, hashErr)
	}, nil
}

// server returns the provider, and opens it if necessary. After a failure it waits
// before the next attempt.
func (i *instance) server(ctx context.Context) (*server.Server, error) {
	if s := i.ready.Load(); s != nil {
		return s, nil
	}
	i.mu.Lock()
	switch {
	case i.closed:
		i.mu.Unlock()
		return nil, errNotOpen
	case i.opening == nil && time.Now().Before(i.next):
		defer i.mu.Unlock()
		return nil, errors.Join(errNotOpen, i.err)
	case i.opening == nil:
		i.opening = make(chan struct{})
		go i.open(context.WithoutCancel(ctx), i.opening)
	}
	opening := i.opening
	i.mu.Unlock()
	patience := time.NewTimer(openPatience)
	defer patience.Stop()
	select {
	case <-opening:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-patience.C:
		return nil, errNotOpen
	}
	if s := i.ready.Load(); s != nil {
		return s, nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	return nil, errors.Join(errNotOpen, i.err)
}

// errNothingToAccept means that the provider is already open.
var errNothingToAccept = errors.New("the identity provider is open: there are no passkeys of another host to give up")

// accept opens a provider whose passkeys are for another host than its issuer has now,
// and gives them up.
func (i *instance) accept(ctx context.Context) (*server.Server, error) {
	if _, err := i.server(ctx); err == nil {
		return nil, errNothingToAccept
	}
	i.mu.Lock()
	i.options.AcceptRPID, i.next = true, time.Time{}
	i.mu.Unlock()
	return i.server(ctx)
}

// open opens the provider, and lets those know who wait for it.
func (i *instance) open(ctx context.Context, done chan struct{}) {
	i.mu.Lock()
	options := i.options
	i.mu.Unlock()
	s, err := server.Open(ctx, options)
	i.mu.Lock()
	defer i.mu.Unlock()
	defer close(done)
	i.opening, i.err, i.next = nil, err, time.Now().Add(retryPause)
	switch {
	case err != nil:
		options.Logger.Error("cannot open the identity provider", slog.String("event", "open_failed"), slog.Any("error", err))
	case i.closed:
		if err := s.Close(); err != nil {
			options.Logger.Error("cannot close the identity provider", slog.String("event", "close_failed"), slog.Any("error", err))
		}
	default:
		i.ready.Store(s)
	}
}

// ServeHTTP answers a request of the issuer's site, or of a client in this process.
func (i *instance) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s, err := i.server(r.Context())
	if err != nil {
		respondNotReady(w)
		return
	}
	s.ServeHTTP(w, r)
}

// respondNotReady says that it is worth trying again soon.
func respondNotReady(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	header.Set("Retry-After", "1")
	http.Error(w, "Signing in is not possible at the moment. Please try again.", http.StatusServiceUnavailable)
}

// Destruct closes the provider, when no configuration uses it any more.
func (i *instance) Destruct() error {
	i.mu.Lock()
	i.closed = true
	opening := i.opening
	i.mu.Unlock()
	if opening != nil {
		<-opening
	}
	if s := i.ready.Swap(nil); s != nil {
		return s.Close()
	}
	return nil
}
