package integration_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// proxyTo is a proxy that connects a made-up host name to a test provider, and any other
// address as requested.
func proxyTo(t *testing.T, host string, op *oidctest.Provider) string {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target := r.Host
		if name, _, _ := net.SplitHostPort(target); name == host {
			target = op.Addr()
		}
		out, err := net.Dial("tcp", target)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer out.Close()
		in, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer in.Close()
		_, _ = io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(out, in); out.Close() }()
		_, _ = io.Copy(in, out)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

// A remote provider names this machine's admin API as its token endpoint or its endpoint
// for pushed requests. Neither a callback nor a page load reaches it, and the log says
// why.
func TestDiscoveryCannotAimUsAtThisMachine(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	admin := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	defer admin.Close()
	_, port, _ := net.SplitHostPort(admin.Listener.Addr().String())
	for _, endpoint := range []string{"token_endpoint", "pushed_authorization_request_endpoint"} {
		for _, host := range []string{"127.0.0.1", "localhost.", "0x7f000001", "[::ffff:127.0.0.1]"} {
			t.Run(endpoint+" at "+host, func(t *testing.T) {
				op := newOP(t, oidctest.TLS(), oidctest.Host("idp.example"), oidctest.Lenient())
				// Each node has a proxy of its own, so that they share no metadata.
				site := func() string {
					return fmt.Sprintf(`http://rp.test {
						oidc_rp {
							%s
							proxy %s
							tls {
								ca %s
							}
						}
						respond "the application"
					}`, options(op), proxyTo(t, "idp.example", op), op.CAFile())
				}
				storage := storageDir(t)
				honest := newHarnessAt(t, storage, site()).browser()
				begun := honest.get("/page")
				op.Lie(func(l *oidctest.Faults) {
					l.Discovery = func(m map[string]any) {
						m[endpoint] = "http://" + host + ":" + port + "/stop"
						m["require_pushed_authorization_requests"] = endpoint != "token_endpoint"
					}
				})
				answer, err := op.HTTPClient().Get(begun.location())
				if err != nil {
					t.Fatal(err)
				}
				answer.Body.Close()
				r := newHarnessAt(t, storage, site())
				b := r.browser()
				b.client.Jar = honest.client.Jar
				if p := b.get(answer.Header.Get("Location")); p.StatusCode == http.StatusSeeOther {
					t.Errorf("the login ends with %d %s", p.StatusCode, p.location())
				}
				check(t, r.browser().get("/page")).status(http.StatusServiceUnavailable)
				if n := reached.Load(); n > 0 {
					t.Errorf("the service on this machine was reached %d times", n)
				}
				logged := r.logs()
				contains(t, "the log", logged, endpoint)
				contains(t, "the log", logged, "only if the issuer is there")
				if strings.Contains(r.logs(), op.Client().Secret) {
					t.Error("the log holds the client secret")
				}
			})
		}
	}
}
