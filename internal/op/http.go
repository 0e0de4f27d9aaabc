package op

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"syscall"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
)

// maxResponse is the maximum size in bytes of a provider's response.
const maxResponse = 1 << 20

// idleTimeout is how long idle connections are kept. If a server closes a
// connection while a code or a token is sent, it is unknown whether that was used,
// so the request cannot be retried. Servers keep idle connections for at least two
// seconds.
const idleTimeout = time.Second

// errTooLarge is returned by reading a response beyond the limit.
var errTooLarge = fmt.Errorf("the answer is larger than %d bytes", maxResponse)

// newHTTPClient returns the HTTP client for one provider. It limits time and size,
// and does not follow redirects, which could carry a code or a token elsewhere.
func newHTTPClient(c *DiscoveryConfig, g *guard) *http.Client {
	dial := c.dial
	if dial == nil {
		dial = func(control func(network, address string, _ syscall.RawConn) error) dialContext {
			return (&net.Dialer{Timeout: c.Timeout, KeepAlive: 30 * time.Second, Control: control}).DialContext
		}
	}
	transport := func(config *tls.Config, control func(network, address string, _ syscall.RawConn) error) *http.Transport {
		return &http.Transport{
			DialContext:            dial(control),
			TLSClientConfig:        config.Clone(),
			TLSHandshakeTimeout:    c.Timeout,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    8,
			IdleConnTimeout:        idleTimeout,
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	b := &limitedTransport{guard: g, proxy: c.Proxy, tls: c.TLS, inProcess: c.InProcess, issuer: c.Issuer}
	b.connect = func(config *tls.Config) *transports {
		both := &transports{tls: config, open: transport(config, nil), guarded: transport(config, g.control)}
		both.open.Proxy = c.Proxy
		return both
	}
	return &http.Client{
		Transport: b,
		Timeout:   c.Timeout,
		CheckRedirect: func(request *http.Request, _ []*http.Request) error {
			return settingsErrorf("it answers with a redirect to %s, which is not followed; configure that address", withoutQuery(request.URL))
		},
	}
}

// dialContext opens a connection.
type dialContext = func(ctx context.Context, network, address string) (net.Conn, error)

func withoutQuery(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// limitedTransport limits the size of each response, after decompression, and makes
// the guard check where requests go.
type limitedTransport struct {
	// observe, if not nil, sends a request by a function and records the result.
	observe func(*http.Request, func(*http.Request) (*http.Response, error)) (*http.Response, error)

	// inProcess, if not nil, sends all requests. They must be to URLs of the
	// issuer.
	inProcess *InProcess
	issuer    string

	guard   *guard
	proxy   func(*http.Request) (*url.URL, error)
	tls     func() *tls.Config
	connect func(*tls.Config) *transports

	mu  sync.Mutex
	now *transports
}

// transports are the transports with one TLS configuration.
type transports struct {
	tls     *tls.Config
	open    *http.Transport // for configured URLs, and through a proxy
	guarded *http.Transport // for URLs from metadata
}

// transports returns the transports with the current TLS configuration.
func (b *limitedTransport) transports() *transports {
	var config *tls.Config
	if b.tls != nil {
		config = b.tls()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now == nil || b.now.tls != config {
		if b.now != nil {
			b.now.closeIdle()
		}
		b.now = b.connect(config)
	}
	return b.now
}

func (t *transports) closeIdle() {
	t.open.CloseIdleConnections()
	t.guarded.CloseIdleConnections()
}

func (b *limitedTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	if b.observe == nil {
		return b.send(request)
	}
	return b.observe(request, b.send)
}

func (b *limitedTransport) send(request *http.Request) (*http.Response, error) {
	transport, err := b.choose(request)
	if err != nil {
		return nil, err
	}
	request = request.Clone(request.Context())
	request.Header.Set("User-Agent", "caddy-oidc-rp")
	response, err := transport.RoundTrip(request)
	if local := (*localError)(nil); errors.As(err, &local) {
		return nil, &localError{b.guard.nameOf(request.URL), local.host, local.where}
	}
	if err != nil {
		return nil, err
	}
	response.Body = &boundedBody{response.Body, maxResponse}
	return response, nil
}

// choose returns the transport for a request. A provider in this process has no
// other URLs. Through a proxy only the host name can be checked, because the proxy
// resolves it.
func (b *limitedTransport) choose(request *http.Request) (http.RoundTripper, error) {
	if b.inProcess != nil {
		if origin := request.URL.Scheme + "://" + request.URL.Host; origin != b.issuer {
			return nil, settingsErrorf("%s is not an address of the issuer %s", withoutQuery(request.URL), b.issuer)
		}
		return b.inProcess, nil
	}
	transports := b.transports()
	if b.guard.configured[request.URL.String()] {
		return transports.open, nil
	}
	if err := b.guard.checkName(b.guard.nameOf(request.URL), request.URL); err != nil {
		return nil, err
	}
	if proxied(b.proxy, request) {
		return transports.open, nil
	}
	return transports.guarded, nil
}

// proxied reports whether a request goes through a proxy. It is also true if that
// cannot be determined.
func proxied(proxy func(*http.Request) (*url.URL, error), request *http.Request) bool {
	if proxy == nil {
		return false
	}
	through, err := proxy(request)
	return through != nil || err != nil
}

// CloseIdleConnections implements the interface that http.Client uses.
func (b *limitedTransport) CloseIdleConnections() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.now != nil {
		b.now.closeIdle()
	}
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

// getDocument fetches a JSON document. Errors contain the URL without its query. A
// response that does not indicate an outage means wrong settings.
func getDocument(client *http.Client, request *http.Request) (*httpResponse, error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", withoutQuery(request.URL), bare(err))
	}
	defer response.Body.Close()
	answer, err := read(response, nil)
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", withoutQuery(request.URL), err)
	}
	if answer.status == http.StatusOK {
		return answer, nil
	}
	refused := answer.because(fmt.Errorf("get %s: status %d", withoutQuery(request.URL), answer.status))
	if answer.status/100 == 4 && !isOutage(answer.status) {
		return nil, &SettingsError{refused}
	}
	return nil, refused
}

// isOutage reports whether a status means that the same request may succeed later.
func isOutage(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status/100 == 5
}

// read reads the response to a request that contained the given secrets.
func read(response *http.Response, secrets []string) (*httpResponse, error) {
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", explainTimeout(err))
	}
	return &httpResponse{response.StatusCode, response.Header, withoutBOM(body), secrets}, nil
}

// withoutBOM removes the byte order mark that some servers put before JSON (RFC
// 8259, section 8.1, permits ignoring it).
func withoutBOM(body []byte) []byte { return bytes.TrimPrefix(body, []byte("\ufeff")) }

// bare removes the URL from an HTTP client's error, since it may have a query.
func bare(err error) error {
	return explainTimeout(logtext.WithoutAddress(err, "tls { ca <file> }"))
}

// errTimeout is part of an error if the provider took longer than the option timeout.
var errTimeout = errors.New("no response within the timeout")

// explainTimeout adds errTimeout to an error if the time ran out and no caller has added
// it yet: net/http says so in several ways, some of which name only a context.
func explainTimeout(err error) error {
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() && !errors.Is(err, errTimeout) {
		return fmt.Errorf("%w: %w", errTimeout, err)
	}
	return err
}
