package provider

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// maxAnswer is the most that any answer of a provider may hold.
const maxAnswer = 1 << 20

// errTooLarge is what reading an answer beyond the limit returns.
var errTooLarge = fmt.Errorf("the answer is larger than %d bytes", maxAnswer)

// newHTTPClient makes the client for one provider: private, bounded in time
// and size, and following no redirect. A provider's endpoints are where its
// metadata says; a redirect would carry a code or a token elsewhere.
func newHTTPClient(tlsConfig *tls.Config, proxy func(*http.Request) (*url.URL, error), timeout time.Duration) *http.Client {
	transport := &http.Transport{
		Proxy:                  proxy,
		DialContext:            (&net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        tlsConfig,
		TLSHandshakeTimeout:    timeout,
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    8,
		IdleConnTimeout:        60 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
	return &http.Client{
		Transport: &bounded{transport},
		Timeout:   timeout,
		CheckRedirect: func(request *http.Request, _ []*http.Request) error {
			return fmt.Errorf("it answers with a redirect to %s, which is not followed; configure that address", withoutQuery(request.URL))
		},
	}
}

func withoutQuery(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// bounded limits what is read of each answer, after decompression.
type bounded struct{ *http.Transport }

func (b *bounded) RoundTrip(request *http.Request) (*http.Response, error) {
	request = request.Clone(request.Context())
	request.Header.Set("User-Agent", "caddy-oidc-rp")
	response, err := b.Transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	response.Body = &boundedBody{response.Body, maxAnswer}
	return response, nil
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		return int(b.left), errTooLarge
	}
	b.left -= int64(n)
	return n, err
}

// getDocument fetches a JSON document. The error tells the address without its query, and
// what was wrong.
func getDocument(client *http.Client, request *http.Request) ([]byte, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", withoutQuery(request.URL), bare(err))
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get %s: status %d", withoutQuery(request.URL), response.StatusCode)
	}
	body, err := readAll(response)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", withoutQuery(request.URL), err)
	}
	return body, nil
}

func readAll(response *http.Response) ([]byte, error) {
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return body, nil
}

// bare takes the address off an HTTP client's error: it may have a query.
func bare(err error) error {
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%w (name its authority with tls { ca <file> })", unknown)
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
