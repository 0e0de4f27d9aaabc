package op

import (
	"bufio"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// clientFor returns a client for a provider that is a test server.
func clientFor(t *testing.T, server *httptest.Server, timeout time.Duration) *http.Client {
	t.Helper()
	t.Cleanup(server.Close)
	client := clientOf(&DiscoveryConfig{Issuer: server.URL, TLS: always(server.Client().Transport.(*http.Transport).TLSClientConfig), Timeout: timeout})
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func always(config *tls.Config) func() *tls.Config { return func() *tls.Config { return config } }

func clientOf(config *DiscoveryConfig) *http.Client { return newHTTPClient(config, newGuard(config)) }

func get(t *testing.T, client *http.Client, address string) ([]byte, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := getDocument(client, request)
	if err != nil {
		return nil, err
	}
	return answer.body, nil
}

// Servers close idle connections, perhaps while a request is on its way. A token request
// could not be repeated then.
func TestNoRequestIsSentOnAConnectionThatTheServerIsAboutToClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := clientOf(&DiscoveryConfig{Issuer: "http://op.test", Timeout: 10 * time.Second, dial: closesIdle(2 * time.Second)})
		defer client.CloseIdleConnections()
		for range 3 {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://op.test/token", strings.NewReader("grant_type=authorization_code"))
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Do(request)
			if err != nil {
				t.Fatalf("expected an answer, seen: %v", err)
			}
			_, _ = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
			time.Sleep(2 * time.Second)
		}
	})
}

// closesIdle dials a server that answers requests, but closes the connection if a request
// arrives after the given idle time.
func closesIdle(limit time.Duration) func(func(string, string, syscall.RawConn) error) dialContext {
	return func(func(string, string, syscall.RawConn) error) dialContext {
		return func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				requests := bufio.NewReader(far)
				for last := time.Now(); ; last = time.Now() {
					request, err := http.ReadRequest(requests)
					if err != nil || time.Since(last) >= limit {
						return
					}
					_, _ = io.Copy(io.Discard, request.Body)
					_, _ = io.WriteString(far, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
				}
			}()
			return near, nil
		}
	}
}

// Responses have a size limit, after decompression, and so do headers.
//
// See docs/faults.md, row F17.
func TestAnswersHaveALimit(t *testing.T) {
	t.Parallel()
	send := func(w io.Writer, size int) { _, _ = io.CopyN(w, spaces{}, int64(size)) }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/exactly":
			send(w, maxResponse)
		case "/over":
			send(w, maxResponse+1)
		case "/declared":
			w.Header().Set("Content-Length", "99999999999")
			send(w, 2*maxResponse)
		case "/endless":
			send(w, 1<<40)
		case "/bomb", "/gzip":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			if r.URL.Path == "/bomb" {
				send(z, 1<<30)
			} else {
				send(z, maxResponse)
			}
			_ = z.Close()
		case "/headers":
			for i := range 100 {
				w.Header().Set("X-"+strings.Repeat("y", i+1), strings.Repeat("z", 4096))
			}
		}
	}))
	client := clientFor(t, server, 10*time.Second)
	for path, want := range map[string]error{
		"/exactly": nil, "/gzip": nil, "/over": errTooLarge, "/declared": errTooLarge, "/endless": errTooLarge, "/bomb": errTooLarge,
	} {
		body, err := get(t, client, server.URL+path)
		if !errors.Is(err, want) {
			t.Errorf("%s: expected the error %v, seen %v", path, want, err)
		}
		if want == nil && len(body) != maxResponse {
			t.Errorf("%s: expected %d bytes, seen %d", path, maxResponse, len(body))
		}
	}
	if _, err := get(t, client, server.URL+"/headers"); err == nil {
		t.Error("400 KiB of headers are read")
	}
}

// spaces is an endless reader of spaces.
type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

func TestALimitIsALimitForAnyReader(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 7, 100, 1 << 21} {
		b := &boundedBody{io.NopCloser(spaces{}), 1000}
		total, buffer := 0, make([]byte, size)
		for {
			n, err := b.Read(buffer)
			total += n
			if err != nil {
				if !errors.Is(err, errTooLarge) {
					t.Error(err)
				}
				break
			}
		}
		if total > 1000 {
			t.Errorf("by %d bytes at a time %d were read", size, total)
		}
	}
}

func TestASlowAnswerIsCutOff(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/silent" {
			<-r.Context().Done()
			return
		}
		for r.Context().Err() == nil { // a byte at a time, forever
			_, _ = io.WriteString(w, " ")
			w.(http.Flusher).Flush()
			time.Sleep(10 * time.Millisecond)
		}
	}))
	client := clientFor(t, server, 300*time.Millisecond)
	for _, path := range []string{"/drip", "/silent"} {
		_, err := get(t, client, server.URL+path+"?secret=1")
		if err == nil {
			t.Errorf("%s: expected an error, seen none", path)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("expected an error without the query, seen %v", err)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	visited := make(chan string, 10)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { visited <- r.URL.String() }))
	t.Cleanup(elsewhere.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := map[string]int{"/301": 301, "/302": 302, "/303": 303, "/307": 307, "/308": 308}[r.URL.Path]
		http.Redirect(w, r, elsewhere.URL+"/there?secret=1", status)
	}))
	client := clientFor(t, server, 10*time.Second)
	for _, path := range []string{"/301", "/302", "/303", "/307", "/308"} {
		_, err := get(t, client, server.URL+path)
		if err == nil {
			t.Errorf("GET %s: expected an error, seen none", path)
			continue
		}
		if want := elsewhere.URL + "/there"; !strings.Contains(err.Error(), want) {
			t.Errorf("GET %s: expected an error with the address %s, seen %v", path, want, err)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("GET %s: expected an error without the query, seen %v", path, err)
		}
		form := strings.NewReader(url.Values{"code": {"secret"}}.Encode())
		response, err := client.Post(server.URL+path, "application/x-www-form-urlencoded", form)
		if err == nil {
			response.Body.Close()
			t.Errorf("POST %s: status %d", path, response.StatusCode)
		}
	}
	if len(visited) > 0 {
		t.Errorf("%q was asked", <-visited)
	}
}

func TestErrorsTellNoSecret(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/close" {
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "a secret in the body")
	}))
	client := clientFor(t, server, 10*time.Second)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		name, address string
		ctx           context.Context
	}{
		{"a status", server.URL + "/status?token=secret#secret", t.Context()},
		{"no answer", server.URL + "/close?token=secret", t.Context()},
		{"nothing listens there", "http://127.0.0.1:1/?token=secret", t.Context()},
		{"no such host", "http://op.invalid/?token=secret", t.Context()},
		{"a user in the address", "http://user:secret@127.0.0.1:1/", t.Context()},
		{"the caller has gone", server.URL + "/?token=secret", cancelled},
	} {
		request, err := http.NewRequestWithContext(tc.ctx, http.MethodGet, tc.address, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = getDocument(client, request)
		if err == nil {
			t.Errorf("%s: expected an error, seen none", tc.name)
			continue
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: expected an error without the secret, seen %v", tc.name, err)
		}
		if !strings.Contains(err.Error(), "get http://") {
			t.Errorf("%s: expected an error with the address, seen %v", tc.name, err)
		}
	}
}

func TestOnlyKnownCertificatesAreTrusted(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }))
	server.Config.ErrorLog = nil
	client := clientFor(t, server, 10*time.Second)
	if body, err := get(t, client, server.URL); err != nil || string(body) != "{}" {
		t.Errorf("with its CA: %q, %v", body, err)
	}
	stranger := clientOf(&DiscoveryConfig{Issuer: server.URL, TLS: always(&tls.Config{MinVersion: tls.VersionTLS12}), Timeout: 10 * time.Second})
	if _, err := get(t, stranger, server.URL); err == nil {
		t.Error("expected a certificate of an unknown authority to be refused, seen that it is trusted")
	}
}

// The transport of token requests explains a timeout, and so does its caller.
func TestATimeoutIsExplainedOnce(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"a timeout":       {context.DeadlineExceeded, "no response within the timeout: context deadline exceeded"},
		"a timeout below": {fmt.Errorf("get: %w", explainTimeout(context.DeadlineExceeded)), "get: no response within the timeout: context deadline exceeded"},
		"another error":   {io.ErrUnexpectedEOF, "unexpected EOF"},
	} {
		if seen := explainTimeout(tc.err).Error(); seen != tc.want {
			t.Errorf("%s: expected %q, seen %q", name, tc.want, seen)
		}
	}
}
