// Package op is a client of one OpenID Provider: discovery, keys, the token endpoint,
// userinfo and other calls over the back channel, and the URLs that browsers are
// redirected to. It does not know browsers, sessions or Caddy.
package op

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

const (
	// metadataAge is the age from which metadata is fetched again at its next use.
	metadataAge = time.Hour
	firstPause  = time.Second
	longPause   = 10 * time.Second
	// longestAfter is the longest Retry-After that is obeyed.
	longestAfter = time.Minute
)

// DiscoveryConfig is everything that a Discovery depends on. Providers with equal
// configurations share one.
type DiscoveryConfig struct {
	Issuer           string // may be empty if ConfigurationURL is set
	ConfigurationURL string // may be empty if Issuer is set
	Endpoints        Endpoints
	JWKS             []byte // a key set document to use instead of jwks_uri
	// Keys returns the keys of a document that can change, and KeyDocument that
	// document. They are called at each use.
	Keys        func() []jose.JSONWebKey
	KeyDocument func() []byte
	// KeysOnly reports that we are not a client of the issuer and only need its
	// keys, to verify access tokens.
	KeysOnly bool
	// Profile is the profile that the client conforms to.
	Profile  Profile
	Insecure bool
	Timeout  time.Duration
	// TLS is called before each request; nil, or a nil result, means the default.
	// New connections are made if the returned pointer changes.
	TLS func() *tls.Config
	// MTLS reports whether the client has a certificate, for authentication or to
	// bind tokens. It then uses mtls_endpoint_aliases.
	MTLS  bool
	Proxy func(*http.Request) (*url.URL, error)
	Now   func() time.Time

	// Notify, if not nil, is called when earlier metadata or keys are used because
	// the provider does not respond, and when that ends.
	Notify func(Notice)

	// Outage, if not nil, is called when the provider stops responding, and when it
	// responds again. It must not block.
	Outage func(Outage)

	// InProcess replaces network connections if the provider is in this process;
	// otherwise it is nil. The limits on the time and size of responses still
	// apply.
	InProcess *InProcess

	// dial replaces net.Dialer in tests.
	dial func(control func(network, address string, _ syscall.RawConn) error) dialContext
}

// hasKeys reports whether the configuration has the provider's keys.
func (c *DiscoveryConfig) hasKeys() bool { return len(c.JWKS) > 0 || c.Keys != nil }

// address returns the URL of the metadata; "" if none is needed.
func (c *DiscoveryConfig) address() string {
	switch {
	case c.static():
		return ""
	case c.ConfigurationURL != "":
		return c.ConfigurationURL
	}
	return ConfigurationURL(c.Issuer)
}

// Discovery has what is known about a provider at run time: its metadata and keys.
// Creating it causes no network traffic. It outlives configurations, and is safe
// for concurrent use.
type Discovery struct {
	config DiscoveryConfig
	client *http.Client
	guard  *guard
	keys   *KeySet
	shelf  *shelf // stores the metadata
	flight singleflight.Group

	mu       sync.Mutex
	metadata *Metadata // the last valid metadata
	good     time.Time // when it was fetched
	loaded   bool      // whether another process fetched it
	fetched  time.Time // start of its age; see Invalidate
	failures int
	next     time.Time // no attempt before
	err      error     // result of the last attempt
	history  history

	pushing pause
	proofs  proofs
	users   users
	outage  outage
}

// NewDiscovery returns a Discovery without metadata or keys.
func NewDiscovery(config DiscoveryConfig) *Discovery {
	r := &Discovery{config: config, guard: newGuard(&config)}
	r.client = newHTTPClient(&config, r.guard)
	r.client.Transport.(*limitedTransport).observe = r.observe
	r.outage.notify = config.Outage
	r.shelf = &shelf{part: "metadata", now: config.Now, notify: config.Notify}
	switch {
	case config.Keys != nil:
		r.keys = &KeySet{given: config.Keys, givenDocument: config.KeyDocument}
	case len(config.JWKS) > 0:
		r.keys = newStaticKeySet(config.JWKS)
	default:
		r.keys = newKeySet(r.fetchKeys, config.Now)
		r.keys.shelf = &shelf{part: "keys", now: config.Now, notify: config.Notify}
		r.keys.address = r.keysAddress
		r.keys.noted = func(err error) { r.outage.note(callJWKS.endpoint, err) }
	}
	return r
}

// Close closes idle connections. Calls in progress are not affected.
func (r *Discovery) Close() { r.client.CloseIdleConnections() }

// static reports whether the configuration makes discovery unnecessary.
func (c *DiscoveryConfig) static() bool {
	e := c.Endpoints
	if c.KeysOnly {
		return c.Issuer != "" && (e.JWKS != "" || c.hasKeys())
	}
	return c.Issuer != "" && e.Authorization != "" && e.Token != "" && (e.JWKS != "" || c.hasKeys())
}

// Metadata returns the provider's metadata, and fetches it if there is none or if
// it is an hour old. Concurrent callers share one request, which continues if the
// first of them leaves. While the provider does not respond, the last valid
// metadata is used for a day, including that of an earlier process. Without any,
// the error is an *UnavailableError, and further attempts wait: a second at first,
// at most ten, unless the provider asks for more.
func (r *Discovery) Metadata(ctx context.Context) (*Metadata, error) {
	if known, err, settled := r.known(); settled {
		return known, err
	}
	answer := r.flight.DoChan("metadata", func() (any, error) {
		if known, err, settled := r.known(); settled {
			return known, err // another call has just finished
		}
		return r.discover(context.WithoutCancel(ctx))
	})
	select {
	case <-ctx.Done():
		return nil, &UnavailableError{Err: context.Cause(ctx), RetryAfter: firstPause}
	case result := <-answer:
		metadata, _ := result.Val.(*Metadata)
		return metadata, result.Err
	}
}

// known returns the current metadata or error. settled is false if it is time to
// fetch the metadata.
func (r *Discovery) known() (m *Metadata, err error, settled bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.config.Now()
	waiting := isPausing(now, r.next)
	switch {
	case r.metadata != nil && now.Sub(r.fetched) < metadataAge:
		return r.metadata, nil, true
	case r.metadata != nil && waiting && r.usable(now):
		r.shelf.stale(r.good, r.err, r.loaded)
		return r.metadata, nil, true
	case waiting:
		return nil, &UnavailableError{r.err, r.next.Sub(now)}, true
	}
	return nil, nil, false
}

// isPausing reports whether no attempt may be made before next. If the clock was
// set back, the pause ends.
func isPausing(now, next time.Time) bool {
	return now.Before(next) && next.Sub(now) <= longestAfter
}

// pauseFor returns the Retry-After of an error, as far as it is obeyed.
func pauseFor(err error) time.Duration { return min(RetryAfter(err), longestAfter) }

// usable reports whether the last valid metadata may be used while the provider
// does not respond. The caller holds the mutex.
func (r *Discovery) usable(now time.Time) bool { return now.Sub(r.good) < keepFor }

func (r *Discovery) discover(ctx context.Context) (*Metadata, error) {
	metadata, err := r.fetch(ctx)
	if r.config.address() != "" {
		r.outage.note(callDiscovery.endpoint, err)
	}
	var old *Metadata
	var oldFrom time.Time
	if err != nil {
		old, oldFrom = r.loadMetadata()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.config.Now()
	r.history.note(now, err)
	if err != nil {
		// A random part of the pause keeps many nodes from asking at once.
		pause := min(longPause, firstPause<<min(r.failures, 8))
		pause = max(pause/2+rand.N(pause/2), pauseFor(err))
		r.failures++
		r.err, r.next = err, now.Add(pause)
		if old != nil && (r.metadata == nil || oldFrom.After(r.good)) { // another node may have fetched newer ones
			r.metadata, r.good, r.fetched, r.loaded = old, oldFrom, time.Time{}, true
		}
		if r.metadata != nil && r.usable(now) {
			r.shelf.stale(r.good, err, r.loaded)
			return r.metadata, nil
		}
		return nil, &UnavailableError{err, pause}
	}
	r.metadata, r.fetched, r.failures, r.err, r.next = metadata, now, 0, nil, time.Time{}
	r.good, r.loaded = now, false
	r.shelf.live()
	return metadata, nil
}

// Invalidate makes the metadata be fetched again before it is an hour old, but not
// before the longest pause is over. It is called if the metadata does not fit the
// configuration, which may soon be corrected at the provider.
func (r *Discovery) Invalidate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if earlier := r.config.Now().Add(longPause - metadataAge); earlier.Before(r.fetched) {
		r.fetched = earlier
	}
}

func (r *Discovery) fetch(ctx context.Context) (*Metadata, error) {
	c := r.config
	metadata := &Metadata{Issuer: c.Issuer}
	if address := c.address(); address != "" {
		document, found, err := r.fetchMetadata(callDiscovery.with(ctx, ""), address)
		if err != nil {
			return nil, err
		}
		if metadata, err = r.understand(document, found); err != nil {
			return nil, err
		}
		r.shelf.save(&kept{Fetched: c.Now().Unix(), Document: document.body, Found: found})
		return metadata, nil
	}
	return metadata, r.complete(metadata)
}

// understand parses a metadata document. found is where its connection led.
func (r *Discovery) understand(document *httpResponse, found locality) (*Metadata, error) {
	metadata, err := r.config.parse(document.body)
	if err != nil {
		return nil, &SettingsError{document.because(err)}
	}
	if r.guard.found.Swap(uint32(found)) != uint32(found) {
		r.client.CloseIdleConnections() // the guard may now judge them differently
	}
	if err := r.complete(metadata); err != nil {
		return nil, err
	}
	return metadata, nil
}

// complete overrides the metadata by configured endpoints, and checks the result.
func (r *Discovery) complete(metadata *Metadata) error {
	c := r.config
	if c.KeysOnly {
		metadata.Endpoints = Endpoints{JWKS: metadata.Endpoints.JWKS}
		metadata.Pushed = false
	}
	if c.MTLS && !c.KeysOnly {
		if err := metadata.useAliases(); err != nil {
			return &SettingsError{err}
		}
	}
	metadata.override(c.Endpoints)
	if c.Endpoints.Pushed != "" {
		metadata.Pushed = true // a configured endpoint is meant to be used
	}
	if err := c.Profile.apply(metadata); err != nil {
		return &SettingsError{err}
	}
	if err := r.guard.checkMetadata(metadata, c.Endpoints); err != nil {
		return &SettingsError{err}
	}
	check := metadata.check
	if c.KeysOnly {
		check = metadata.checkKeysOnly
	}
	if err := check(!c.hasKeys(), c.Insecure); err != nil {
		return &SettingsError{err}
	}
	return nil
}

// parse parses a metadata document of the configured issuer.
func (c *DiscoveryConfig) parse(document []byte) (*Metadata, error) {
	if c.KeysOnly {
		return readMetadata(document, c.Issuer, c.address())
	}
	return parseMetadata(document, c.Issuer, c.address())
}

// fetchMetadata returns the metadata document, and where its connection led.
func (r *Discovery) fetchMetadata(ctx context.Context, address string) (document *httpResponse, found locality, err error) {
	var led atomic.Uint32 // atomic, since the trace may run concurrently
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		led.Store(uint32(localityOfAddress(info.Conn.RemoteAddr().String())))
	}})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, errors.New("the configuration URL is not a URL")
	}
	request.Header.Set("Accept", "application/json")
	if document, err = getDocument(r.client, request); err != nil {
		return nil, 0, err
	}
	if proxied(r.config.Proxy, request) {
		return document, 0, nil // the connection led to the proxy
	}
	return document, locality(led.Load()), nil
}

// fetchKeys fetches the key set.
func (r *Discovery) fetchKeys(ctx context.Context) ([]byte, error) {
	metadata, err := r.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	answer, err := r.getKeys(callJWKS.with(ctx, ""), metadata.Endpoints.JWKS)
	if err != nil {
		return nil, err
	}
	if _, err := ParseKeys(answer.body); err != nil {
		return nil, answer.because(err)
	}
	return answer.body, nil
}

// getKeys fetches a key set document.
func (r *Discovery) getKeys(ctx context.Context, address string) (*httpResponse, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("jwks_uri is not a URL")
	}
	request.Header.Set("Accept", "application/json, application/jwk-set+json")
	return getDocument(r.client, request)
}
