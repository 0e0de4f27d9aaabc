package oidcrp_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// BenchmarkLogin measures this plugin's part of a complete login: the redirect to the
// provider, and the callback, which exchanges the code, verifies the RS256 signature of
// the ID token and seals the session. The provider's part is not counted: the timer is
// stopped while its tokens are signed. Both ends of the token request over loopback are
// counted, since the HTTP client is part of the plugin. The other end only reads and
// writes.
func BenchmarkLogin(b *testing.B) {
	op := oidctest.New(b, oidctest.InMemory(), oidctest.Unrecorded())
	endpoint := newTokenEndpoint(b)
	keys := filepath.Join(b.TempDir(), "keys.json")
	if err := os.WriteFile(keys, op.KeySet(), 0o600); err != nil {
		b.Fatal(err)
	}
	h := benchHandler(b, oidcrp.ModePrivate, fmt.Sprintf(`issuer %s
		client_id rp
		client_secret a-secret-of-the-test-client
		authorization_endpoint %s
		token_endpoint %s
		jwks {file.%s}`,
		op.Issuer(), op.URL(oidctest.Authorize), endpoint.address, keys))
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	const batch = 32
	var writers [batch]*httptest.ResponseRecorder
	var requests [batch]*http.Request
	clock := &benchClock{b: b}
	serve := func(count, want int) {
		clock.start()
		for i := range count {
			if err := h.ServeHTTP(writers[i], requests[i], next); err != nil || writers[i].Code != want {
				b.Fatal(err, writers[i].Code, writers[i].Body)
			}
		}
		clock.stop()
	}
	page := benchPage("/reports/2026")
	b.ReportAllocs()
	b.ResetTimer()
	b.StopTimer()
	for done := 0; done < b.N; done += batch {
		count := min(batch, b.N-done)
		for i := range count {
			writers[i], requests[i] = benchRequest(page, "theme=dark; lang=en")
		}
		serve(count, http.StatusFound)
		for i := range count {
			asked := benchLocation(b, writers[i])
			endpoint.answers <- benchTokens(b, op, asked.Query().Get("nonce"))
			answer := url.Values{"code": {"the-code"}, "state": {asked.Query().Get("state")}, "iss": {op.Issuer()}}
			transaction, _, _ := strings.Cut(writers[i].Header().Get("Set-Cookie"), ";")
			writers[i], requests[i] = benchRequest(benchPage(oidcrp.DefaultEndpoints+"/default/code?"+answer.Encode()), "theme=dark; lang=en; "+transaction)
		}
		serve(count, http.StatusSeeOther)
		for i := range count {
			if to := benchLocation(b, writers[i]); to.Path != "/reports/2026" {
				b.Fatalf("the login leads to %s", to)
			}
		}
	}
	clock.report()
}

// benchLocation returns the URL that a response redirects to.
func benchLocation(b *testing.B, w *httptest.ResponseRecorder) *url.URL {
	b.Helper()
	u, err := url.Parse(w.Header().Get("Location"))
	if err != nil {
		b.Fatal(err)
	}
	return u
}

// benchTokens returns the raw HTTP response of a token endpoint to the login with this
// nonce.
func benchTokens(b *testing.B, op *oidctest.Provider, nonce string) []byte {
	b.Helper()
	now := time.Now()
	idToken := map[string]any{
		"iss": op.Issuer(), "sub": "248289761001", "aud": "rp", "nonce": nonce,
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "auth_time": now.Unix(), "sid": "08a5019c-17e1-4977-8f42-65a12843ea02",
	}
	for name, value := range benchClaims() {
		idToken[name] = value
	}
	body, err := json.Marshal(map[string]any{
		"access_token": "SlAV32hkKG-SlAV32hkKG-SlAV32hkKG", "token_type": "Bearer", "expires_in": 600, "id_token": op.Mint(idToken, oidctest.JWTLies{}),
	})
	if err != nil {
		b.Fatal(err)
	}
	return fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// tokenEndpoint reads requests and writes the waiting responses in their order, at the
// lowest possible cost.
type tokenEndpoint struct {
	address string
	answers chan []byte
}

func newTokenEndpoint(b *testing.B) *tokenEndpoint {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	e := &tokenEndpoint{"http://" + listener.Addr().String() + "/token", make(chan []byte, 64)}
	b.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go e.serve(c)
		}
	}()
	return e
}

func (e *tokenEndpoint) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	for {
		length := 0
		for {
			line, err := r.ReadSlice('\n')
			if err != nil {
				return
			}
			if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
				if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
					return
				}
			}
			if len(line) == 2 {
				break
			}
		}
		if _, err := r.Discard(length); err != nil {
			return
		}
		if _, err := c.Write(<-e.answers); err != nil {
			return
		}
	}
}
