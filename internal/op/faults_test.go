package op

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// pipes dials a server in the test, which uses the clock of the synctest bubble.
func pipes(serve func(connection int, request *http.Request, w io.Writer) (keep bool)) func(func(string, string, syscall.RawConn) error) dialContext {
	var dialled atomic.Int64
	return func(func(string, string, syscall.RawConn) error) dialContext {
		return func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			number := int(dialled.Add(1))
			go func() {
				defer far.Close()
				requests := bufio.NewReader(far)
				for {
					request, err := http.ReadRequest(requests)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, request.Body)
					if !serve(number, request, far) {
						return
					}
				}
			}()
			return near, nil
		}
	}
}

const emptyObject = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

// A call takes as long as the provider needs, but never longer than the timeout of ten
// seconds, no matter how slow the response is.
//
// See docs/faults.md, rows F13 and F14.
func TestACallEndsWithinItsTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Second
	for name, row := range map[string]struct {
		serve func(w io.Writer)
		takes time.Duration
		good  bool
	}{
		"after 1 s":            {late(time.Second), time.Second, true},
		"after 5 s":            {late(5 * time.Second), 5 * time.Second, true},
		"after 9.9 s":          {late(9900 * time.Millisecond), 9900 * time.Millisecond, true},
		"after 11 s":           {late(11 * time.Second), timeout, false},
		"after 60 s":           {late(time.Minute), timeout, false},
		"never":                {late(24 * time.Hour), timeout, false},
		"a byte each second":   {dripping(time.Second), timeout, false},
		"a byte each 100 ms":   {dripping(100 * time.Millisecond), time.Duration(len(emptyObject)-1) * 100 * time.Millisecond, true},
		"headers without end":  {func(w io.Writer) { endless(w, "HTTP/1.1 200 OK\r\n", "X-A: b\r\n") }, 0, false},
		"interim answers only": {func(w io.Writer) { endless(w, "", "HTTP/1.1 103 Early Hints\r\n\r\n") }, 0, false},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			t.Run(method+" "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					client := clientOf(&DiscoveryConfig{Issuer: "http://op.test", Timeout: timeout, dial: pipes(func(_ int, _ *http.Request, w io.Writer) bool {
						row.serve(w)
						return false
					})})
					defer client.CloseIdleConnections()
					request, err := http.NewRequestWithContext(t.Context(), method, "http://op.test/any", strings.NewReader(""))
					if err != nil {
						t.Fatal(err)
					}
					began := time.Now()
					_, err = getDocument(client, request)
					if took := time.Since(began); took != row.takes {
						t.Errorf("expected an end after %v, seen %v", row.takes, took)
					}
					if good := err == nil; good != row.good {
						t.Errorf("expected an answer: %t, seen the error %v", row.good, err)
					}
					time.Sleep(48 * time.Hour) // let the server end
				})
			})
		}
	}
}

func late(d time.Duration) func(io.Writer) {
	return func(w io.Writer) {
		time.Sleep(d)
		_, _ = io.WriteString(w, emptyObject)
	}
}

func dripping(pause time.Duration) func(io.Writer) {
	return func(w io.Writer) {
		for i, c := range []byte(emptyObject) {
			if i > 0 {
				time.Sleep(pause)
			}
			if _, err := w.Write([]byte{c}); err != nil {
				return
			}
		}
	}
}

func endless(w io.Writer, first, rest string) {
	_, err := io.WriteString(w, first)
	for err == nil {
		_, err = io.WriteString(w, rest)
	}
}

// A server closes an idle connection just when a request arrives on it. A GET is sent
// again. A POST is not: it carries a code or a token, and it may have been processed.
//
// See docs/faults.md, row F22.
func TestOnlyAGETIsSentAgain(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]int64{http.MethodGet: 3, http.MethodPost: 2} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var got atomic.Int64
				served := make(map[int]int)
				client := clientOf(&DiscoveryConfig{Issuer: "http://op.test", Timeout: 10 * time.Second, dial: pipes(func(connection int, _ *http.Request, w io.Writer) bool {
					got.Add(1)
					served[connection]++
					if served[connection] > 1 {
						return false // without an answer
					}
					_, _ = io.WriteString(w, emptyObject)
					return true
				})})
				defer client.CloseIdleConnections()
				send := func() error {
					var body io.Reader
					if method == http.MethodPost {
						body = io.NopCloser(strings.NewReader("code=x")) // like token requests
					}
					request, err := http.NewRequestWithContext(t.Context(), method, "http://op.test/any", body)
					if err != nil {
						t.Fatal(err)
					}
					_, err = getDocument(client, request)
					return err
				}
				if err := send(); err != nil {
					t.Fatal(err)
				}
				if err := send(); (err == nil) != (method == http.MethodGet) {
					t.Errorf("by a connection that is closed: seen the error %v", err)
				}
				if got.Load() != want {
					t.Errorf("expected %d requests, seen %d", want, got.Load())
				}
			})
		})
	}
}

// Each document of a provider, truncated at any byte, is an error: if the connection ends
// there, and if the HTTP framing is correct.
//
// See docs/faults.md, row F15.
func TestADocumentThatIsCutIsAnError(t *testing.T) {
	t.Parallel()
	now := time.Now
	provider := oidctest.New(t, oidctest.RefreshTokens(), oidctest.Lenient())
	provider.Register("https://rp.test/code")
	login := Login{State: strings.Repeat("s", 43), Nonce: strings.Repeat("n", 43), Verifier: strings.Repeat("v", 43), RedirectURI: "https://rp.test/code"}
	metadata := func() *Client {
		discovery := NewDiscovery(DiscoveryConfig{Issuer: provider.Issuer(), Timeout: 10 * time.Second, Now: now})
		t.Cleanup(discovery.Close)
		c := provider.Client()
		return &Client{Discovery: discovery, ClientID: c.ID, Secret: func() (string, error) { return c.Secret, nil }, ClockSkew: time.Minute, Now: now}
	}
	code := func(c *Client) (string, error) {
		address, err := c.AuthorizationURL(t.Context(), login, nil)
		if err != nil {
			return "", err
		}
		response, err := provider.HTTPClient().Get(address)
		if err != nil {
			return "", err
		}
		defer response.Body.Close()
		location, err := response.Location()
		if err != nil {
			return "", err
		}
		return location.Query().Get("code"), nil
	}
	known := metadata()
	if _, err := known.Discovery.Metadata(t.Context()); err != nil {
		t.Fatal(err)
	}
	tokens := func() (Tokens, error) {
		got, err := code(known)
		if err != nil {
			t.Fatal(err)
		}
		return known.Exchange(t.Context(), got, login)
	}
	good, err := tokens()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		endpoint oidctest.Endpoint
		ask      func() error
	}{
		{oidctest.Discovery, func() error {
			_, err := metadata().Discovery.Metadata(t.Context())
			return err
		}},
		{oidctest.JWKS, func() error {
			document, err := known.Discovery.fetchKeys(t.Context())
			if err == nil {
				_, err = ParseKeys(document)
			}
			return err
		}},
		{oidctest.Token, func() error {
			_, err := tokens()
			return err
		}},
		{oidctest.UserInfo, func() error {
			_, err := known.Userinfo(t.Context(), good.Access(), provider.Issued().Subject)
			return err
		}},
	} {
		size := 0
		provider.Lie(func(l *oidctest.Faults) {
			*l.At(row.endpoint) = oidctest.Fault{Body: func(honest []byte) []byte { size = len(honest); return honest }}
		})
		if err := row.ask(); err != nil {
			t.Fatalf("%s: the whole document: %v", row.endpoint, err)
		}
		for n := range size {
			f := oidctest.Fault{Body: func(honest []byte) []byte { return honest[:min(n, len(honest)-1)] }}
			if n%2 == 1 { // every other response ends with the connection
				f = oidctest.Fault{Cut: true, CutAfter: n, Chunked: n%4 == 1}
			}
			provider.Lie(func(l *oidctest.Faults) { *l.At(row.endpoint) = f })
			if err := row.ask(); err == nil {
				t.Errorf("%s: expected an error of a document of %d bytes, cut after %d, seen none", row.endpoint, size, n)
			}
		}
		provider.Honest()
	}
}

// Reading deep or wide documents takes time in proportion to their size, which is limited.
//
// See docs/faults.md, row F18.
func TestDeepAndWideDocumentsCostLittle(t *testing.T) {
	t.Parallel()
	for name, document := range map[string]func(size int) string{
		"lists in lists":     func(size int) string { return strings.Repeat("[", size) },
		"objects in objects": func(size int) string { return strings.Repeat(`{"a":`, size/5) },
		"a deep member": func(size int) string {
			return `{"a":` + strings.Repeat("[", size/2-10) + strings.Repeat("]", size/2-10) + `}`
		},
		"many members": func(size int) string { return wide(size, func(i int) string { return fmt.Sprintf(`"m%d":0`, i) }) },
		"one name":     func(size int) string { return wide(size, func(int) string { return `"a":0` }) },
		"many keys": func(size int) string {
			return `{"keys":[` + strings.TrimSuffix(strings.Repeat("{},", size/3-10), ",") + `]}`
		},
		"an escape": func(size int) string { return `{"a":"` + strings.Repeat(`\u0061`, size/6-4) + `"}` },
		"a number":  func(size int) string { return `{"a":` + strings.Repeat("9", size-10) + `}` },
	} {
		for reader, read := range map[string]func(document []byte){
			"object":   func(document []byte) { _, _ = parseObject(document) },
			"keys":     func(document []byte) { _, _ = ParseKeys(document) },
			"metadata": func(document []byte) { _, _ = readMetadata(document, "https://op.example", "https://op.example") },
			"words":    func(document []byte) { _ = readWords("application/json", document, false) },
		} {
			small, large := []byte(document(maxResponse/8)), []byte(document(maxResponse))
			cost := func(document []byte) time.Duration {
				began := time.Now()
				read(document)
				return max(time.Since(began), 100*time.Microsecond)
			}
			var times float64
			for range 20 { // several attempts, because the machine may be busy
				if times = float64(cost(large)) / float64(cost(small)); times < 24 {
					break
				}
			}
			if times >= 24 { // quadratic time would be 64 times as long
				t.Errorf("%s, read as %s: expected eight times the size to take about eight times as long, seen %.0f", name, reader, times)
			}
		}
	}
}

func wide(size int, member func(int) string) string {
	var b bytes.Buffer
	b.WriteByte('{')
	for i := 0; b.Len() < size-40; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(member(i))
	}
	b.WriteByte('}')
	return b.String()
}
