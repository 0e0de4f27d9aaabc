// Package op speaks with one OpenID Provider over back channels:
// discovery, keys, the token endpoint, userinfo, and the addresses that a
// browser is sent to. It knows nothing of browsers, sessions or Caddy.
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
	// metadataAge is after how long a login looks at the metadata again.
	metadataAge = time.Hour
	firstPause  = time.Second
	longPause   = 10 * time.Second
	// longestAfter is the longest pause that a provider can ask for with Retry-After.
	longestAfter = time.Minute
)

// DiscoveryConfig is all that shapes a Remote, so that two with the same
// configuration are the same.
type DiscoveryConfig struct {
	Issuer           string // may be empty if ConfigurationURL is set
	ConfigurationURL string // may be empty if Issuer is set
	Endpoints        Endpoints
	JWKS             []byte // a key set document in the place of jwks_uri
	// Keys are those of a document that can change, asked at each use, and KeyDocument
	// is that document.
	Keys        func() []jose.JSONWebKey
	KeyDocument func() []byte
	// KeysOnly: we are no client of the issuer, and need nothing but its keys, to
	// verify access tokens.
	KeysOnly bool
	// Profile is what the client keeps to.
	Profile  Profile
	Insecure bool
	Timeout  time.Duration
	// TLS is asked before each request; nil, and a nil result, for the default.
	// Another pointer than before means new connections.
	TLS func() *tls.Config
	// MTLS: a certificate of the client is shown in TLS, to prove who it is or to
	// bind its tokens, at the endpoints that the provider has for that.
	MTLS  bool
	Proxy func(*http.Request) (*url.URL, error)
	Now   func() time.Time

	// Notify is called when what was learned before serves because the provider does
	// not answer, and when that is over. It may be nil.
	Notify func(Notice)

	// Outage is called when the provider does not answer any more, and when it does
	// again. It must not wait for anything. It may be nil.
	Outage func(Outage)

	// InProcess takes the place of connections where the provider is in this
	// process; nil where it is reached by the network. Everything else stays: how
	// long an answer may take, and how large it may be.
	InProcess *InProcess

	// dial takes the place of net.Dialer in tests.
	dial func(control func(network, address string, _ syscall.RawConn) error) dialContext
}

// hasKeys reports whether the configuration has the provider's keys.
func (c *DiscoveryConfig) hasKeys() bool { return len(c.JWKS) > 0 || c.Keys != nil }

// address is where the metadata is, or empty where none is needed.
func (c *DiscoveryConfig) address() string {
	switch {
	case c.static():
		return ""
	case c.ConfigurationURL != "":
		return c.ConfigurationURL
	}
	return ConfigurationURL(c.Issuer)
}

// Discovery is what was learned about a provider while running: its metadata and
// keys. It is made without any network traffic, and outlives configurations.
// It is safe for concurrent use.
type Discovery struct {
	config DiscoveryConfig
	client *http.Client
	guard  *guard
	keys   *KeySet
	shelf  *shelf // of the metadata
	flight singleflight.Group

	mu       sync.Mutex
	metadata *Metadata // the last good one
	good     time.Time // when it was fetched
	loaded   bool      // it was not fetched by this process
	fetched  time.Time // its age counts from here; see Doubt
	failures int
	next     time.Time // no attempt before
	err      error     // of the last attempt
	history  history

	pushing pause
	proofs  proofs
	users   users
	outage  outage
}

// NewDiscovery returns a Remote that has learned nothing yet.
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

// Close gives back idle connections. Calls that are under way end normally.
func (r *Discovery) Close() { r.client.CloseIdleConnections() }

// static reports whether the configuration makes discovery needless.
func (c *DiscoveryConfig) static() bool {
	e := c.Endpoints
	if c.KeysOnly {
		return c.Issuer != "" && (e.JWKS != "" || c.hasKeys())
	}
	return c.Issuer != "" && e.Authorization != "" && e.Token != "" && (e.JWKS != "" || c.hasKeys())
}

// Metadata returns what is known about the provider, and asks it where nothing
// is, or where that is an hour old. Any number of callers share one request,
// which does not end with the first of them. When the provider does not answer
// the last good metadata serves for a day, also that of an earlier process; without any the error is Unavailable, and
// further attempts wait, at first a second, never more than ten, unless the provider
// asks for more.
func (r *Discovery) Metadata(ctx context.Context) (*Metadata, error) {
	if known, err, settled := r.known(); settled {
		return known, err
	}
	answer := r.flight.DoChan("metadata", func() (any, error) {
		if known, err, settled := r.known(); settled {
			return known, err // another flight has just landed
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

// known returns what can be said without asking: settled is false when it is
// time to ask.
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

// isPausing reports whether no attempt is to be made before next. A clock that was set
// back ends the pause.
func isPausing(now, next time.Time) bool {
	return now.Before(next) && next.Sub(now) <= longestAfter
}

// pauseFor returns for how long the provider wants to be left alone after an error, as
// far as that is heeded.
func pauseFor(err error) time.Duration { return min(RetryAfter(err), longestAfter) }

// usable reports whether the last good metadata may serve while the provider does
// not answer. The caller holds the mutex.
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
		// A random part of the pause keeps many instances from asking at once.
		pause := min(longPause, firstPause<<min(r.failures, 8))
		pause = max(pause/2+rand.N(pause/2), pauseFor(err))
		r.failures++
		r.err, r.next = err, now.Add(pause)
		if old != nil && (r.metadata == nil || oldFrom.After(r.good)) { // another instance may have seen later ones
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

// Invalidate has the metadata looked at again before it is an hour old, but not
// before the longest pause is over: it does not fit the configuration, and that
// may be put right at the provider soon.
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

// understand reads a metadata document that came over a connection which led there.
func (r *Discovery) understand(document *httpResponse, found locality) (*Metadata, error) {
	metadata, err := r.config.parse(document.body)
	if err != nil {
		return nil, &SettingsError{document.because(err)}
	}
	if r.guard.found.Swap(uint32(found)) != uint32(found) {
		r.client.CloseIdleConnections() // they were judged by another rule
	}
	if err := r.complete(metadata); err != nil {
		return nil, err
	}
	return metadata, nil
}

// complete puts the configured addresses in and checks the result.
func (r *Discovery) complete(metadata *Metadata) error {
	c := r.config
	if c.KeysOnly {
		metadata.Endpoints = Endpoints{JWKS: metadata.Endpoints.JWKS}
		metadata.Pushed = false
	}
	if c.MTLS {
		metadata.useAliases()
	}
	metadata.override(c.Endpoints)
	if c.Endpoints.Pushed != "" {
		metadata.Pushed = true // why else would it be configured?
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

// parse reads a metadata document of the configured issuer.
func (c *DiscoveryConfig) parse(document []byte) (*Metadata, error) {
	if c.KeysOnly {
		return readMetadata(document, c.Issuer, c.address())
	}
	return parseMetadata(document, c.Issuer, c.address())
}

// fetchMetadata returns the metadata document, and where the connection led that
// it came by.
func (r *Discovery) fetchMetadata(ctx context.Context, address string) (document *httpResponse, found locality, err error) {
	var led atomic.Uint32 // the client bounds the time
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
		return document, 0, nil // it led to the proxy
	}
	return document, locality(led.Load()), nil
}

// fetchKeys gets the key set from where the metadata says it is.
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

// getKeys gets what is at an address of keys.
func (r *Discovery) getKeys(ctx context.Context, address string) (*httpResponse, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, errors.New("jwks_uri is not a URL")
	}
	request.Header.Set("Accept", "application/json, application/jwk-set+json")
	return getDocument(r.client, request)
}
