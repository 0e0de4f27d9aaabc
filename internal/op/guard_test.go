package op

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// mapped is a dialer that resolves host names to the given addresses. In fact, all
// connections lead to loopback.
type mapped map[string]string

// from is a connection whose remote address is the one that a name resolves to.
type from struct {
	net.Conn
	remote net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.remote }

func (m mapped) dial(control func(network, address string, _ syscall.RawConn) error) dialContext {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if resolved := m[host]; resolved != "" {
			host = resolved
		}
		address = net.JoinHostPort(host, port)
		if control != nil {
			if err := control(network, address, nil); err != nil {
				return nil, &net.OpError{Op: "dial", Net: network, Err: err}
			}
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		if err != nil {
			return nil, err
		}
		remote, err := net.ResolveTCPAddr("tcp", address)
		return from{conn, remote}, err
	}
}

// canary is a server on this machine that no request may reach. It counts requests.
type canary struct {
	*httptest.Server
	hits atomic.Int32
	port string
}

func newCanary(t *testing.T, secure bool) *canary {
	c := new(canary)
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { c.hits.Add(1) })
	if secure {
		c.Server = httptest.NewTLSServer(handler)
	} else {
		c.Server = httptest.NewServer(handler)
	}
	t.Cleanup(c.Close)
	_, c.port, _ = net.SplitHostPort(c.Listener.Addr().String())
	return c
}

// guardedClient returns a client of a provider. names says how host names resolve.
func guardedClient(t *testing.T, op *oidctest.Provider, names mapped, change func(*DiscoveryConfig)) *Client {
	t.Helper()
	config := oidctest.CAPool()
	c := DiscoveryConfig{Issuer: op.Issuer(), Timeout: 10 * time.Second, Now: time.Now, dial: names.dial, TLS: always(tlsWith(config))}
	if change != nil {
		change(&c)
	}
	remote := NewDiscovery(c)
	t.Cleanup(remote.Close)
	return &Client{Discovery: remote, ClientID: "rp", Secret: func() (string, error) { return "a-secret-of-the-test-client", nil }, Now: time.Now}
}

// calls has the calls that send a request to each endpoint of a provider.
var calls = []struct {
	endpoint string
	call     func(context.Context, *Client) error
}{
	{"token_endpoint", func(ctx context.Context, c *Client) error {
		_, err := c.Exchange(ctx, "code", Login{State: "s", Nonce: "n", Verifier: "v", RedirectURI: "https://rp.example/code"})
		return err
	}},
	{"token_endpoint", func(ctx context.Context, c *Client) error {
		_, err := c.Refresh(ctx, "refresh-token", nil)
		return err
	}},
	{"userinfo_endpoint", func(ctx context.Context, c *Client) error {
		_, err := c.Userinfo(ctx, Access{Token: "access-token"}, "alice")
		return err
	}},
	{"jwks_uri", func(ctx context.Context, c *Client) error {
		_, err := c.Discovery.keys.current(ctx)
		return err
	}},
	{"revocation_endpoint", func(ctx context.Context, c *Client) error {
		_, err := c.Revoke(ctx, "token", "refresh_token")
		return err
	}},
	{"introspection_endpoint", func(ctx context.Context, c *Client) error {
		_, err := (&Introspection{Client: c}).Ask(ctx, "access-token")
		return err
	}},
	{"pushed_authorization_request_endpoint", func(ctx context.Context, c *Client) error {
		_, err := c.AuthorizationURL(ctx, Login{State: "s", Nonce: "n", Verifier: "v", RedirectURI: "https://rp.example/code"}, nil)
		return err
	}},
}

// Metadata that names an endpoint on the local machine is refused, in any spelling, and no
// request is sent there.
func TestMetadataMustNotNameThisMachine(t *testing.T) {
	t.Parallel()
	spellings := []string{
		"localhost", "LocalHost.", "a.localhost", "127.0.0.1", "127.0.0.1.", "127.1", "0x7f000001", "2130706433", "017700000001",
		"[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "169.254.169.254", "[fe80::1%25lo]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
	}
	for _, secure := range []bool{false, true} {
		there, scheme := newCanary(t, secure), "http"
		if secure {
			scheme = "https"
		}
		op := oidctest.New(t, oidctest.TLS(), oidctest.Host("idp.example"), oidctest.Lenient())
		for _, c := range calls {
			for _, alias := range []bool{false, true} {
				if alias && c.endpoint == "jwks_uri" {
					continue // there is no alias for it
				}
				for _, host := range spellings {
					address := fmt.Sprintf("%s://%s:%s/stop", scheme, host, there.port)
					op.Lie(func(l *oidctest.Faults) {
						l.Discovery = func(m map[string]any) {
							m["require_pushed_authorization_requests"] = c.endpoint == "pushed_authorization_request_endpoint"
							if alias {
								m["mtls_endpoint_aliases"] = map[string]any{c.endpoint: address}
								m["pushed_authorization_request_endpoint"] = "https://idp.example/par"
							} else {
								m[c.endpoint] = address
							}
						}
					})
					// insecure allows plain http, but not this.
					client := guardedClient(t, op, mapped{"idp.example": "192.0.2.1"}, func(rc *DiscoveryConfig) { rc.MTLS, rc.Insecure = alias, true })
					err := c.call(t.Context(), client)
					if err == nil {
						t.Errorf("%s %s (alias %v): expected an error, seen none", c.endpoint, address, alias)
						continue
					}
					for _, words := range []string{c.endpoint, "only if the issuer is there"} {
						if !strings.Contains(err.Error(), words) {
							t.Errorf("%s %s (alias %v): expected an error with %q, seen %v", c.endpoint, address, alias, words, err)
						}
					}
				}
			}
		}
		if n := there.hits.Load(); n > 0 {
			t.Errorf("the service on this machine was reached %d times by %s", n, scheme)
		}
	}
}

// A name that resolves to a local address is refused at each connection.
func TestMetadataMustNotLeadToThisMachineByName(t *testing.T) {
	t.Parallel()
	there := newCanary(t, false)
	op := oidctest.New(t, oidctest.TLS(), oidctest.Host("idp.example"), oidctest.Lenient())
	for _, resolved := range []string{"127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "169.254.169.254", "fe80::1", "64:ff9b::a9fe:a9fe"} {
		for _, c := range calls {
			op.Lie(func(l *oidctest.Faults) {
				l.Discovery = func(m map[string]any) {
					m["require_pushed_authorization_requests"] = c.endpoint == "pushed_authorization_request_endpoint"
					m[c.endpoint] = "http://metadata.evil.example:" + there.port + "/stop"
				}
			})
			client := guardedClient(t, op, mapped{"idp.example": "192.0.2.1", "metadata.evil.example": resolved},
				func(rc *DiscoveryConfig) { rc.Insecure = true })
			err := c.call(t.Context(), client)
			if err == nil {
				t.Errorf("%s by a name for %s: expected an error, seen none", c.endpoint, resolved)
				continue
			}
			for _, words := range []string{c.endpoint + ": ", "only if the issuer is there"} {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("%s by a name for %s: expected an error with %q, seen %v", c.endpoint, resolved, words, err)
				}
			}
			if strings.Contains(fmt.Sprint(err), "a-secret-of") {
				t.Errorf("%s: the error holds the secret: %v", c.endpoint, err)
			}
		}
	}
	if n := there.hits.Load(); n > 0 {
		t.Errorf("the service on this machine was reached %d times", n)
	}
}

// Go's own dialer checks addresses as well.
func TestDialerJudgesAddresses(t *testing.T) {
	t.Parallel()
	there := newCanary(t, false)
	client := clientOf(&DiscoveryConfig{Issuer: "https://idp.example", Timeout: 10 * time.Second})
	defer client.CloseIdleConnections()
	transport := client.Transport.(*limitedTransport).transports().guarded
	for _, host := range []string{"localhost", "127.0.0.1", "0.0.0.0"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+net.JoinHostPort(host, there.port), nil)
		if err != nil {
			t.Fatal(err)
		}
		if response, err := transport.RoundTrip(request); err == nil {
			response.Body.Close()
			t.Errorf("%s is connected to", host)
		}
	}
	if there.hits.Load() > 0 {
		t.Error("the service on this machine was reached")
	}
}

func TestProviderOnThisMachineMayNameIt(t *testing.T) {
	t.Parallel()
	op := oidctest.New(t, oidctest.TLS(), oidctest.Host("idp.example"), oidctest.Lenient())
	plain := func(*DiscoveryConfig) {}
	for _, tc := range []struct {
		name     string
		resolves string
		endpoint string // of the token endpoint
		change   func(*DiscoveryConfig)
		ok       bool
	}{
		{"the issuer resolves to loopback", "127.0.0.1", "http://127.0.0.1:1/t", plain, true},
		{"the issuer resolves to loopback, the endpoint is unspecified", "::1", "https://0.0.0.0:1/t", plain, true},
		{"the issuer resolves to loopback, the endpoint is link-local", "127.0.0.1", "https://169.254.169.254/t", plain, false},
		{"the issuer is link-local", "169.254.7.7", "https://169.254.169.254/t", plain, true},
		{"the issuer is link-local, the endpoint loopback", "169.254.7.7", "https://127.0.0.1:1/t", plain, false},
		{"the issuer is elsewhere", "192.0.2.1", "https://127.0.0.1:1/t", plain, false},
		{"the configuration URL is on loopback", "192.0.2.1", "https://127.0.0.1:1/t", func(rc *DiscoveryConfig) {
			rc.ConfigurationURL = "https://" + op.Addr() + WellKnown
		}, true},
		{"the endpoint is the operator's word", "192.0.2.1", "https://127.0.0.1:1/t", func(rc *DiscoveryConfig) {
			rc.Endpoints.Token = "http://127.0.0.1:1/own"
		}, true},
	} {
		op.Lie(func(l *oidctest.Faults) { l.Discovery = func(m map[string]any) { m["token_endpoint"] = tc.endpoint } })
		client := guardedClient(t, op, mapped{"idp.example": tc.resolves}, tc.change)
		if _, err := client.Discovery.Metadata(t.Context()); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// A configured endpoint may be on loopback even if the issuer is elsewhere.
func TestConfiguredEndpointsAreTheOperatorsWord(t *testing.T) {
	t.Parallel()
	op := oidctest.New(t, oidctest.TLS(), oidctest.Host("idp.example"), oidctest.Lenient())
	for _, host := range []string{"127.0.0.1", "inner.example"} {
		there := newCanary(t, false)
		client := guardedClient(t, op, mapped{"idp.example": "192.0.2.1", "inner.example": "127.0.0.1"}, func(rc *DiscoveryConfig) {
			rc.Insecure, rc.Endpoints.Token = true, "http://"+net.JoinHostPort(host, there.port)+"?a=b"
		})
		_, err := client.Exchange(t.Context(), "code", Login{Verifier: "v"})
		if there.hits.Load() != 1 {
			t.Errorf("%s was reached %d times: %v", host, there.hits.Load(), err)
		}
	}
}

// Requests through a proxy are checked by name. The proxy itself may be anywhere.
func TestProxyOnThisMachineIsReached(t *testing.T) {
	t.Parallel()
	var asked atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Store(r.URL.Host) }))
	defer proxy.Close()
	through, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := clientOf(&DiscoveryConfig{Issuer: "https://idp.example", Timeout: 10 * time.Second, Proxy: http.ProxyURL(through)})
	defer client.CloseIdleConnections()
	if _, err := get(t, client, "http://endpoint.example/a"); err != nil {
		t.Errorf("through the proxy: %v", err)
	}
	if got := asked.Load(); got != "endpoint.example" {
		t.Errorf("expected a request to the proxy for endpoint.example, seen %v", got)
	}
	if _, err := get(t, client, "http://127.1/a"); err == nil {
		t.Error("this machine, through the proxy: expected an error, seen none")
	}
	if got := asked.Load(); got != "endpoint.example" {
		t.Errorf("expected no request to the proxy for this machine, seen one for %v", got)
	}
}

func tlsWith(roots *x509.CertPool) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
}
