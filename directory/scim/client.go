package scim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
)

const (
	// maxAnswer is the maximum size of a response body, in bytes.
	maxAnswer = 1 << 20
	// maxRetryAfter limits the Retry-After of a server.
	maxRetryAfter = 10 * time.Minute
)

// parseURL parses and checks the base URL of a server.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, errors.New("it is not a URL such as https://directory.example.com/scim/v2")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("it has a user, a query or a fragment; it ends before /Users")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("its scheme is not https")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, errors.New("plain http is for loopback only; it is https")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u, nil
}

// isLoopback reports whether a host is localhost or a loopback address.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// client sends the requests of one configuration.
type client struct {
	base       *url.URL
	token      func() (string, error) // if it returns "", no token is sent
	http       http.RoundTripper
	ignoreCase bool
	// odd is called with the reason of a negative answer that may be due to a
	// misconfiguration.
	odd func(reason string)
}

// answerError is the error of a request.
type answerError struct {
	error
	// down reports whether requests for other users would probably fail, too.
	down bool
	// retryAfter is the Retry-After of the server, or zero if it sent none.
	retryAfter time.Duration
}

func (e *answerError) Unwrap() error { return e.error }

func downErrorf(format string, args ...any) error {
	return &answerError{error: fmt.Errorf(format, args...), down: true}
}

func noAnswerErrorf(format string, args ...any) error {
	return &answerError{error: fmt.Errorf(format, args...)}
}

// ask asks the server whether it knows a user. Errors do not contain the name.
func (c *client) ask(ctx context.Context, name string, now time.Time) (bool, error) {
	request, err := c.request(ctx, name)
	if err != nil {
		return false, err
	}
	response, err := c.http.RoundTrip(request) // does not follow redirects
	if err != nil {
		return false, downErrorf("%w", logtext.WithoutAddress(err, "ca <file>"))
	}
	defer response.Body.Close()
	answered, err := checkStatus(response, now)
	if err != nil {
		return false, err
	}
	if !answered {
		c.odd(oddNotFound)
		return false, nil
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return false, downErrorf("read the answer: %w", err)
	}
	if len(body) > maxAnswer {
		return false, noAnswerErrorf("the answer is larger than %d bytes", maxAnswer)
	}
	known, odd, err := readAnswer(body, name, c.ignoreCase)
	if err != nil {
		return false, noAnswerErrorf("the answer: %w", err)
	}
	if odd != "" {
		c.odd(odd)
	}
	return known, nil
}

func (c *client) request(ctx context.Context, name string) (*http.Request, error) {
	address := *c.base
	address.Path += "/Users"
	if address.RawPath != "" {
		address.RawPath += "/Users"
	}
	address.RawQuery = filterQuery(name)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, errors.New("the request cannot be made")
	}
	request.Header.Set("Accept", "application/scim+json")
	request.Header.Set("User-Agent", "caddy-oidc-rp")
	token, err := c.token()
	if err != nil {
		return nil, downErrorf("token: %w", err)
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, downErrorf("token: it has characters that no bearer token has")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	return request, nil
}

// checkStatus reports whether the response has an answer in its body. It
// returns false and no error for status 404, which means that there is no such
// user.
func checkStatus(response *http.Response, now time.Time) (answered bool, err error) {
	switch status := response.StatusCode; {
	case status == http.StatusOK:
		return true, nil
	case status == http.StatusNotFound:
		return false, nil
	case status/100 == 3:
		return false, downErrorf("it answers with a redirect, which is not followed; configure the address that it leads to")
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return false, downErrorf("status %d: the server does not accept the token", status)
	case status == http.StatusTooManyRequests || status/100 == 5:
		return false, &answerError{fmt.Errorf("status %d", status), true, retryAfter(response.Header.Get("Retry-After"), now)}
	default:
		return false, noAnswerErrorf("status %d", status)
	}
}

// retryAfter parses a Retry-After header, which is a number of seconds or a
// date. The result is between zero and maxRetryAfter.
func retryAfter(value string, now time.Time) time.Duration {
	after := time.Duration(0)
	if seconds, err := strconv.Atoi(value); err == nil {
		after = time.Duration(min(seconds, int(maxRetryAfter.Seconds()))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		after = at.Sub(now)
	}
	return min(max(after, 0), maxRetryAfter)
}

// transport sends requests with the current certificate authorities.
type transport struct {
	current *livefile.Value[*http.Transport]
}

func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	return t.current.Get().RoundTrip(request)
}

// newTransport returns a transport that trusts the certificate authorities in
// files, which are read again when they change. Without files, it trusts those of
// the system.
func newTransport(base *url.URL, files []string, now func() time.Time, notify func(livefile.Event)) (transport, error) {
	var previous *http.Transport
	current, err := livefile.New(now, notify, func(read livefile.Read) (*http.Transport, error) {
		config := &tls.Config{MinVersion: tls.VersionTLS12}
		for _, file := range files {
			pem, err := read(file)
			if err != nil {
				return nil, fmt.Errorf("ca: %w", err)
			}
			if config.RootCAs == nil {
				config.RootCAs = x509.NewCertPool()
			}
			if !config.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("ca: %s holds no certificate", file)
			}
		}
		if previous != nil {
			previous.CloseIdleConnections()
		}
		previous = connect(base, config)
		return previous, nil
	})
	return transport{current}, err
}

func connect(base *url.URL, config *tls.Config) *http.Transport {
	dialer := &net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		DialContext: dialer.DialContext, Proxy: http.ProxyFromEnvironment,
		TLSClientConfig: config, TLSHandshakeTimeout: timeout, ForceAttemptHTTP2: true,
		MaxIdleConnsPerHost: 8, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
	}
	if base.Scheme == "http" {
		t.Proxy, dialer.Control = nil, requireLoopback
	}
	return t
}

// requireLoopback refuses connections to other machines, whatever address a
// name resolves to.
func requireLoopback(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || !to.Addr().Unmap().IsLoopback() {
		return errors.New("plain http is for loopback only")
	}
	return nil
}
