package op

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Inspection is the result of one inspection of a provider, for operators.
type Inspection struct {
	// Address is the URL of the metadata; empty if none is needed.
	Address string
	// Date is the provider's time when it responded, or zero if it did not send
	// one, and Received our time then.
	Date, Received time.Time
	// TLS is the connection to the provider; nil for one without TLS.
	TLS *tls.ConnectionState
	// Err is why Metadata is nil.
	Err      error
	Metadata *Metadata
	Said     Said
	// KeysErr is why there are no Keys.
	KeysErr error
	Keys    []InspectedKey
	Skipped []SkippedKey
}

// Said are metadata members that no request depends on. A list is nil if the
// provider does not have it.
type Said struct {
	Scopes, Claims, ACRs      []string
	CodeChallengeMethods      []string
	Backchannel, Frontchannel bool // whether it sends logouts
	BindsToCertificates       bool // tls_client_certificate_bound_access_tokens, RFC 8705 3.3
	PromisesIss               bool // authorization_response_iss_parameter_supported, RFC 9207 3
}

// InspectedKey is a key of the provider.
type InspectedKey struct {
	ID string
	// Algs are the algorithms whose signatures it verifies.
	Algs []string
}

// Inspect fetches the metadata and the keys, as logins do.
func (r *Discovery) Inspect(ctx context.Context) *Inspection {
	i := &Inspection{Address: r.config.address(), Metadata: &Metadata{Issuer: r.config.Issuer}}
	ctx, connection := traceTLS(ctx)
	defer func() { i.TLS = connection() }()
	if i.Address == "" {
		i.Err = r.complete(i.Metadata)
	} else {
		i.askMetadata(ctx, r)
	}
	if i.Err != nil {
		i.Metadata = nil
		return i
	}
	i.askKeys(ctx, r)
	return i
}

// traceTLS returns a context that records the first TLS connection of its requests,
// and a function that returns it.
func traceTLS(ctx context.Context) (traced context.Context, connection func() *tls.ConnectionState) {
	var first atomic.Pointer[tls.ConnectionState]
	traced = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{TLSHandshakeDone: func(state tls.ConnectionState, err error) {
		if err == nil {
			first.CompareAndSwap(nil, &state)
		}
	}})
	return traced, first.Load
}

func (i *Inspection) askMetadata(ctx context.Context, r *Discovery) {
	document, found, err := r.fetchMetadata(ctx, i.Address)
	if err != nil {
		i.Err = err
		return
	}
	i.noteTime(document.header, r.config.Now())
	i.Metadata, i.Err = r.understand(document, found)
	if o, err := parseObject(document.body); err == nil {
		i.Said = saidIn(o)
	}
}

// noteTime records the provider's time, unless the response comes from a cache.
func (i *Inspection) noteTime(header http.Header, now time.Time) {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil || !i.Date.IsZero() {
		return
	}
	if age, err := time.ParseDuration(header.Get("Age") + "s"); err == nil && age > 0 {
		date = date.Add(age)
	}
	i.Date, i.Received = date, now
}

// saidIn reads the metadata members that no request depends on. Those of another
// type are ignored.
func saidIn(o object) (s Said) {
	for _, list := range []struct {
		name string
		to   *[]string
	}{
		{"scopes_supported", &s.Scopes}, {"claims_supported", &s.Claims}, {"acr_values_supported", &s.ACRs},
		{"code_challenge_methods_supported", &s.CodeChallengeMethods},
	} {
		*list.to, _ = o.texts(list.name, false)
	}
	is := func(name string) bool { return string(o[name]) == "true" }
	s.Backchannel, s.Frontchannel = is("backchannel_logout_supported"), is("frontchannel_logout_supported")
	s.BindsToCertificates = is("tls_client_certificate_bound_access_tokens")
	s.PromisesIss = is("authorization_response_iss_parameter_supported")
	return s
}

func (i *Inspection) askKeys(ctx context.Context, r *Discovery) {
	var keys []jose.JSONWebKey
	switch {
	case r.keys.fetch == nil:
		keys, i.KeysErr = r.keys.current(ctx)
		i.Skipped, _ = r.SkippedKeys()
	default:
		document, err := r.getKeys(ctx, i.Metadata.Endpoints.JWKS)
		if err != nil {
			i.KeysErr = err
			return
		}
		i.noteTime(document.header, r.config.Now())
		if keys, i.Skipped, err = parseKeys(document.body); err != nil {
			i.KeysErr = document.because(err)
		}
	}
	for _, key := range keys {
		i.Keys = append(i.Keys, InspectedKey{ID: clip(key.KeyID), Algs: slices.DeleteFunc(slices.Clone(asymmetric), func(alg string) bool { return !fits(key, alg) })})
	}
}

// AcceptedAlgs returns the accepted ID token algorithms, given the provider's
// metadata.
func (c *Client) AcceptedAlgs(m *Metadata) []string { return algorithms(c.Algs, m.IDTokenAlgs) }

// ChosenAuth returns the client authentication method, given the provider's
// metadata.
func (c *Client) ChosenAuth(m *Metadata) (string, error) {
	return chooseAuth(c.AuthMethod, c.Secret != nil, m.AuthMethods)
}
