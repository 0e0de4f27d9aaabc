package op

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/dpop"
)

// This file binds tokens to a client key (DPoP, RFC 9449).

// DPoPMode is when tokens are bound to a key.
type DPoPMode int

// Modes of DPoP.
const (
	DPoPOff  DPoPMode = iota
	DPoPAuto          // if the provider offers it and no application gets the token
	DPoPOn            // always
)

// DPoP configures when tokens are bound to a key, and to which.
type DPoP struct {
	Mode DPoPMode
	Alg  string
	// PerProcess makes all logins of this process share one key.
	PerProcess bool
}

// LoginKey returns the key that the tokens of a login are to be bound to; nil for
// bearer tokens. passedOn reports whether an application gets the access token,
// which it could not use. The provider must list the algorithm, unless it is not
// discovered.
func (c *Client) LoginKey(ctx context.Context, passedOn bool) (*dpop.Key, error) {
	if c.DPoP.Mode == DPoPOff || c.DPoP.Mode == DPoPAuto && passedOn {
		return nil, nil
	}
	metadata, err := c.Discovery.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	offers := slices.Contains(metadata.DPoPAlgs, c.DPoP.Alg)
	switch {
	case c.DPoP.Mode == DPoPAuto && !offers:
		return nil, nil
	case metadata.discovered && !offers:
		c.Discovery.Invalidate() // it may be corrected soon
		return nil, &UnavailableError{settingsErrorf("dpop is on, and the provider %s", offersInstead(metadata.DPoPAlgs, c.DPoP.Alg)), longPause}
	}
	return c.newKey()
}

// CheckPassedOn returns an error if access tokens are always bound to a key, and so
// cannot be passed on to applications.
func (c *Client) CheckPassedOn() error {
	if c.DPoP.Mode != DPoPOn {
		return nil
	}
	remedy := "remove access_token"
	if c.Profile() == "" { // which refuses dpop auto
		remedy += ", or use dpop auto"
	}
	return errors.New("dpop on and upstream { access_token } exclude each other, since the application has no key to use a bound token with; " + remedy)
}

// offersInstead describes what the metadata lists instead of an algorithm.
func offersInstead(algs []string, wanted string) string {
	if len(algs) == 0 {
		return "does not offer DPoP: its metadata has no dpop_signing_alg_values_supported"
	}
	return fmt.Sprintf("does not offer proofs by %s, but %s; set alg in dpop { }", wanted, clip(strings.Join(algs, ", ")))
}

// newKey returns the key of this process, or a new one.
func (c *Client) newKey() (*dpop.Key, error) {
	if c.DPoP.PerProcess {
		return c.Discovery.proofs.key(c.DPoP.Alg)
	}
	return dpop.NewKey(c.DPoP.Alg)
}

// tokenKey returns the key for a request to the token endpoint. Bound tokens keep
// their key. In mode DPoPOn, tokens that are not bound yet get one.
func (c *Client) tokenKey(key *dpop.Key) (*dpop.Key, error) {
	if key != nil || c.DPoP.Mode != DPoPOn {
		return key, nil
	}
	return c.newKey()
}

// Access is an access token and the key that it is bound to; nil for a bearer
// token.
type Access struct {
	Token string
	Key   *dpop.Key
}

// Access returns the access token with its key.
func (t *Tokens) Access() Access { return Access{t.AccessToken, t.Key} }

var errNotBound = errors.New("dpop is on")

// bind adds the key of the request to tokens that the response says are bound. In
// mode DPoPOn, bearer tokens are an error. A provider that issues a bearer token may
// still have bound the refresh token (RFC 9449, section 5) without saying so.
func (c *Client) bind(tokens *Tokens, key *dpop.Key, answer *tokenResponse) error {
	if key != nil && answer.bound {
		tokens.Key, tokens.NotBearer = key, nil
		return nil
	}
	tokens.RefreshKey = key
	switch {
	case c.DPoP.Mode != DPoPOn:
		return nil
	case answer.notBearer == nil:
		return fmt.Errorf("the provider gave a Bearer token where %w", errNotBound)
	}
	return fmt.Errorf("%w where %w", answer.notBearer, errNotBound)
}

// proofs is the DPoP state of a provider.
type proofs struct {
	nonces dpop.Nonces

	mu   sync.Mutex
	keys map[string]*dpop.Key // keys of this process, by algorithm
}

// key returns the key of this process for an algorithm.
func (p *proofs) key(alg string) (*dpop.Key, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if key := p.keys[alg]; key != nil {
		return key, nil
	}
	key, err := dpop.NewKey(alg)
	if err != nil {
		return nil, err
	}
	if p.keys == nil {
		p.keys = make(map[string]*dpop.Key)
	}
	p.keys[alg] = key
	return key, nil
}

// prove adds a DPoP proof to a request, if there is a key. A repeated request has the
// nonce of its own refusal: other requests may have received another one meanwhile, and
// a nonce may be for one key, or for one use. Otherwise nonce is empty.
func (p *proofs) prove(request *http.Request, access Access, nonce string, at time.Time) error {
	if access.Key == nil {
		return nil
	}
	if nonce == "" {
		nonce = p.nonces.For(dpop.Target(request.URL))
	}
	proof, err := access.Key.Proof(dpop.Request{
		Method: request.Method, URL: request.URL, At: at,
		Nonce: nonce, AccessToken: access.Token,
	})
	if err != nil {
		return err
	}
	request.Header.Set(dpop.Header, proof)
	return nil
}

// learn stores the nonce in a response for the next proof, and returns it; empty if
// there is none.
func (p *proofs) learn(request *http.Request, key *dpop.Key, response *http.Response) (nonce string) {
	if key == nil {
		return ""
	}
	return p.nonces.Learn(dpop.Target(request.URL), response.Header)
}

// invalidProof is the error code for a refused proof, regardless of its nonce (RFC
// 9449, sections 5 and 7.1).
const invalidProof = "invalid_dpop_proof"

// isAboutProof reports whether an error code concerns a proof, rather than a token
// or a client.
func isAboutProof(code string) bool { return code == invalidProof || code == dpop.UseNonce }

// adviceOfProof returns advice for a proof that was refused at an endpoint.
func adviceOfProof(code, endpoint string) string {
	switch code {
	case invalidProof:
		return " (it refuses the DPoP proof: compare the clocks here and there, and " + endpoint + " with the address that the provider sees behind its proxies)"
	case dpop.UseNonce:
		return " (it wants a nonce in the DPoP proof, and does not take the one that it gave)"
	}
	return ""
}
