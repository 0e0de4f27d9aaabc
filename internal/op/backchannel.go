package op

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/dpop"
)

// backChannel is a RoundTripper that does what x/oauth2 does not support: it
// authenticates requests with any method, and it parses responses of the token
// endpoint itself, since x/oauth2 relies on their Content-Type and reads less of
// their errors.
type backChannel struct {
	base  http.RoundTripper
	prove clientAuth
	proof proof
	// tokens reports whether requests go to the token endpoint, by x/oauth2.
	tokens bool
	// parameters are additional parameters for the token endpoint.
	parameters url.Values
	// key is what tokens are to be bound to; nil for bearer tokens.
	key    *dpop.Key
	proofs *proofs
	// got is the response of the token endpoint.
	got *tokenResponse
	// secrets are the secrets in the last request.
	secrets []string
}

func (b *backChannel) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	request.Body.Close()
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	if b.tokens {
		form.Del("client_id") // x/oauth2 always adds it; the method decides
		maps.Copy(form, b.parameters)
	}
	response, answer, nonce, err := b.send(request, form, "")
	if err == nil && nonce != "" {
		// Refusing a proof spends neither the code nor the refresh token.
		response, answer, _, err = b.send(request, form, nonce)
	}
	if err != nil || answer == nil {
		return response, err
	}
	if !b.tokens {
		response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(answer.body)), int64(len(answer.body))
		return response, nil
	}
	if b.got, err = readTokens(answer); err != nil {
		return nil, err
	}
	standard := b.got.standard()
	response.Header.Set("Content-Type", "application/json")
	response.Body, response.ContentLength = io.NopCloser(bytes.NewReader(standard)), int64(len(standard))
	return response, nil
}

// send sends a form once, with new client authentication and a new DPoP proof, which
// has the given nonce if there is one. answer is nil if it need not be read here. wanted
// is the nonce of a response that refuses the proof for lack of it; otherwise empty.
func (b *backChannel) send(request *http.Request, form url.Values, nonce string) (response *http.Response, answer *httpResponse, wanted string, err error) {
	request, form = request.Clone(request.Context()), maps.Clone(form)
	b.proof.endpoint, b.proof.tokens = request.URL, b.tokens
	if err := b.prove(&b.proof, request.Header, form); err != nil {
		return nil, nil, "", err
	}
	if err := b.proofs.prove(request, Access{Key: b.key}, nonce, b.proof.now()); err != nil {
		return nil, nil, "", err
	}
	b.secrets = append(secretsOf(request.Header, form), b.proof.secret)
	request.Header.Set("Accept", "application/json")
	encoded := form.Encode()
	request.Body = io.NopCloser(strings.NewReader(encoded))
	request.ContentLength = int64(len(encoded))
	// Without GetBody, a request is not retried once its code may have arrived.
	request.GetBody = nil

	response, err = b.base.RoundTrip(request)
	if err != nil || !b.tokens && b.key == nil || isRedirect(response.StatusCode) {
		return response, nil, "", err
	}
	defer response.Body.Close()
	learned := b.proofs.learn(request, b.key, response)
	if answer, err = read(response, b.secrets); err != nil {
		return nil, nil, "", err
	}
	if answer.status/100 == 4 && answer.refusal().Code == dpop.UseNonce {
		wanted = learned
	}
	return response, answer, wanted, nil
}

// isRedirect reports whether a status is a redirect, which the HTTP client handles.
func isRedirect(status int) bool {
	return slices.Contains([]int{http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect}, status)
}

// post sends an authenticated form to an endpoint of the provider, for calls that
// x/oauth2 does not support. The caller interprets the response, whose size is
// limited. The error means that there is no response; it does not contain the form.
//
// key, if not nil, is proved as well.
func (c *Client) post(ctx context.Context, endpoint string, form url.Values, key *dpop.Key) (*httpResponse, error) {
	metadata, err := c.Discovery.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	client, channel, _, err := c.channel(metadata, false, key)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, errors.New("the endpoint is not a URL")
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("post to %s: %w", withoutQuery(request.URL), bare(err))
	}
	defer response.Body.Close()
	answer, err := read(response, channel.secrets)
	if err != nil {
		return nil, fmt.Errorf("post to %s: %w", withoutQuery(request.URL), err)
	}
	return answer, nil
}

// channel returns the HTTP client for one authenticated call, of the token endpoint
// by x/oauth2 or of another one. key is nil for bearer tokens.
func (c *Client) channel(metadata *Metadata, tokens bool, key *dpop.Key) (client *http.Client, channel *backChannel, method string, err error) {
	secret, err := c.secret()
	if err != nil {
		return nil, nil, "", err
	}
	if method, err = chooseAuth(c.AuthMethod, secret != "", metadata.AuthMethods); err != nil {
		return nil, nil, "", err
	}
	p := proof{clientID: c.ClientID, secret: secret, audience: metadata.Issuer, algs: metadata.AuthAlgs, now: c.Now, platform: c.Assertion}
	if c.AuthMethod == AssertionFile {
		p.audience = c.AssertionAudience
	} else if c.AssertTokenEndpoint || metadata.Tenants() { // the issuer of many tenants is not a valid audience
		p.audience = metadata.Endpoints.Token
	}
	if keys := c.ownKeys(); len(keys.Signing) > 0 {
		p.key = keys.Signing[0]
	}
	own := *c.Discovery.client
	channel = &backChannel{base: own.Transport, prove: clientAuths[method].prove, proof: p, tokens: tokens, parameters: c.TokenParameters, key: key, proofs: &c.Discovery.proofs}
	own.Transport = channel
	return &own, channel, method, nil
}

func (c *Client) secret() (string, error) {
	if c.Secret == nil {
		return "", nil
	}
	secret, err := c.Secret()
	if err != nil {
		return "", settingsErrorf("read the client secret: %w", err)
	}
	return secret, nil
}
