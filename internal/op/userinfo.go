package op

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/dpop"
)

// HasUserinfo reports whether the provider has a userinfo endpoint.
func (c *Client) HasUserinfo(ctx context.Context) (bool, error) {
	metadata, err := c.Discovery.Metadata(ctx)
	if err != nil {
		return false, err
	}
	return metadata.Endpoints.Userinfo != "", nil
}

// Userinfo fetches the userinfo of the subject of a verified ID token (OpenID
// Connect Core 5.3). A response about another subject is an error (5.3.4).
func (c *Client) Userinfo(ctx context.Context, access Access, subject string) (Claims, error) {
	claims, err := c.userinfo(ctx, access, subject)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUserinfo, err)
	}
	return claims, nil
}

func (c *Client) userinfo(ctx context.Context, access Access, subject string) (Claims, error) {
	metadata, err := c.Discovery.Metadata(ctx)
	if err != nil {
		return nil, err
	}
	if metadata.Endpoints.Userinfo == "" {
		c.Discovery.Invalidate()
		return nil, errors.New("the provider has no userinfo endpoint")
	}
	answer, wantsNonce, err := c.askUserinfo(ctx, metadata.Endpoints.Userinfo, access)
	if err != nil {
		return nil, err
	}
	if answer.status != http.StatusOK {
		refused := answer.refusal()
		if wantsNonce { // whatever the challenges for other schemes say
			refused.Code = dpop.UseNonce
		}
		refused.Err = fmt.Errorf("status %d%s", answer.status, adviceOfProof(refused.Code, metadata.Endpoints.Userinfo))
		return nil, refused
	}
	claims, err := c.readUserinfo(ctx, metadata, answer)
	if err != nil {
		return nil, answer.because(err)
	}
	got, err := claims.text("sub")
	switch {
	case err != nil:
		err = fmt.Errorf("%w: its %w", errUntrusted, err)
	case got == "" && claims.isError():
		err = errors.New("the answer is an error")
	case got == "":
		err = fmt.Errorf("%w: userinfo has no sub", errUntrusted)
	case got != subject:
		err = fmt.Errorf("%w: its sub is not that of the ID token: it is %q", errUntrusted, clip(got))
	default:
		return Claims(claims), nil
	}
	return nil, answer.because(err)
}

// askUserinfo sends the access token, and again if the endpoint requires another
// DPoP nonce. wantsNonce reports that it still does.
func (c *Client) askUserinfo(ctx context.Context, endpoint string, access Access) (answer *httpResponse, wantsNonce bool, err error) {
	ctx = callUserinfo.with(context.WithoutCancel(ctx), c.Provider)
	answer, learned, err := c.sendUserinfo(ctx, endpoint, access, "")
	if err == nil && learned != "" && isForNonce(answer, access) {
		answer, _, err = c.sendUserinfo(ctx, endpoint, access, learned)
	}
	return answer, err == nil && isForNonce(answer, access), err
}

// isForNonce reports whether an answer refuses the nonce of the proof, or the lack of
// one, and says nothing of the access token.
func isForNonce(answer *httpResponse, access Access) bool {
	return access.Key != nil && answer.status == http.StatusUnauthorized && dpop.WantsNonce(answer.header)
}

// sendUserinfo sends the access token in a header, or, if configured, in a form
// (RFC 6750, sections 2.1 and 2.2), but never in both. A bound token is always sent
// in a header (RFC 9449, section 7.1). nonce is that of the proof; empty for the newest
// known one. learned is the nonce of the response; empty if it has none.
func (c *Client) sendUserinfo(ctx context.Context, endpoint string, access Access, nonce string) (answer *httpResponse, learned string, err error) {
	method, form := http.MethodGet, ""
	if c.UserinfoByPost {
		method = http.MethodPost
	}
	if c.UserinfoByPost && access.Key == nil {
		form = url.Values{"access_token": {access.Token}}.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, method, endpoint, strings.NewReader(form))
	if err != nil {
		return nil, "", errors.New("userinfo_endpoint is not a URL")
	}
	switch {
	case access.Key != nil:
		request.Header.Set("Authorization", dpop.Header+" "+access.Token)
	case c.UserinfoByPost:
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	default:
		request.Header.Set("Authorization", "Bearer "+access.Token)
	}
	request.Header.Set("Accept", "application/json, application/jwt")
	if err := c.Discovery.proofs.prove(request, access, nonce, c.Now()); err != nil {
		return nil, "", err
	}
	response, err := c.Discovery.client.Do(request)
	if err != nil {
		return nil, "", bare(err)
	}
	defer response.Body.Close()
	learned = c.Discovery.proofs.learn(request, access.Key, response)
	answer, err = read(response, []string{access.Token, request.Header.Get(dpop.Header)})
	return answer, learned, err
}

// readUserinfo parses the claims. A JWT is recognized by its Content-Type (OpenID
// Connect Core 5.3.2), or by the body if that has another one.
func (c *Client) readUserinfo(ctx context.Context, metadata *Metadata, answer *httpResponse) (claims object, err error) {
	body := bytes.TrimSpace(answer.body)
	kind, _, _ := mime.ParseMediaType(answer.header.Get("Content-Type"))
	if kind == "application/jwt" || bytes.HasPrefix(body, []byte("eyJ")) {
		if body, err = c.openUserinfo(ctx, metadata, string(body)); err != nil {
			return nil, fmt.Errorf("%w: it is a JWT: %w", errUntrusted, err)
		}
	}
	if claims, err = parseObject(body); err != nil {
		return nil, fmt.Errorf("the answer %w", err)
	}
	return claims, nil
}

// IsUserinfoLost reports whether userinfo failed without a usable response: the
// endpoint is down, refuses, or does not return a JSON object. It does not if the
// response is about another user or fails verification.
func IsUserinfoLost(err error) bool {
	return errors.Is(err, ErrUserinfo) && !errors.Is(err, errUntrusted)
}

// openUserinfo returns the content of a signed response (OpenID Connect Core
// 5.3.2), which may be encrypted as well. It must be signed by the provider, for
// this client, and not be expired.
func (c *Client) openUserinfo(ctx context.Context, metadata *Metadata, token string) ([]byte, error) {
	token, err := c.open(token)
	if err != nil {
		return nil, err
	}
	keys := &callKeys{client: c, algs: userinfoAlgorithms(c.Algs, metadata)}
	if err := checkAlgorithm(token, keys.algs); err != nil {
		return nil, err
	}
	payload, err := keys.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	claims, err := parseObject(payload)
	if err != nil {
		return nil, fmt.Errorf("it %w", err)
	}
	if err := metadata.checkIssuerOf(claims); err != nil {
		return nil, err
	}
	audience, err := claims.texts("aud", true)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(audience, c.ClientID) {
		return nil, notTheAudience(audience, c.ClientID)
	}
	for name, wrong := range map[string]func(t time.Time) bool{
		"exp": func(t time.Time) bool { return !c.Now().Before(t.Add(c.ClockSkew)) },
		"nbf": func(t time.Time) bool { return c.Now().Add(c.ClockSkew).Before(t) },
	} {
		if t, ok, err := claims.moment(name); err != nil || ok && wrong(t) {
			return nil, errors.Join(fmt.Errorf("it is not valid now, by its %s; check the clocks here and at the provider", name), err)
		}
	}
	return payload, nil
}

// userinfoAlgorithms returns the accepted algorithms for userinfo: those of ID
// tokens, and the asymmetric ones that the metadata lists for userinfo.
func userinfoAlgorithms(configured []string, metadata *Metadata) []string {
	algs := slices.Clone(algorithms(configured, metadata.IDTokenAlgs))
	return append(algs, algorithms(nil, metadata.UserinfoAlgs)...)
}
