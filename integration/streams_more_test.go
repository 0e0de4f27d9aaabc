package integration_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// A stream of a program ends when its access key is removed or expires.
func TestStreamsOfProgramsEndWithTheirKey(t *testing.T) {
	t.Parallel()
	key, short, other := newKey(t, "ci"), newKey(t, "nightly", "", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)), newKey(t, "other")
	file := newAccessKeyFile(t, key, short, other)
	s := newCluster(t, backendNamed("cookie"), 1, openRoute+`
application {
	access_keys `+file.path+`
	basic on
}`, "")
	r := s.nodes[0]
	serveStreams(r)
	open := func(credential string) (all []*stream) {
		for _, kind := range streamKinds {
			kind.header += "\r\n" + credential
			all = append(all, r.stream(t, kind, ""))
		}
		return all
	}
	removed, expired, kept := append(open(key.bearer()), open(key.basic())...), open(short.bearer()), open(other.bearer())
	kept[0].goesOn("before")
	file.write(short, other)
	s.at(6 * time.Second)
	for _, one := range removed {
		one.ends("the key is removed")
	}
	for _, one := range append(expired, kept...) {
		one.isOpen("another key is removed")
	}
	s.at(61 * time.Minute)
	for _, one := range expired {
		one.ends("the key has expired")
	}
	kept[0].goesOn("another key has expired")
}

// A stream that survives a reload still ends with its session.
func TestStreamsThatSurviveAReloadEndWithTheirSession(t *testing.T) {
	t.Parallel()
	s := newCluster(t, backendNamed("cookie"), 1, openRoute, "")
	old := s.nodes[0]
	serveStreams(old)
	b := s.signIn(old, "alice")
	all := old.streams(t, b.cookieHeader())
	// The same storage object stands for the same process.
	after := newHarnessAt(t, s.storage, `
http://rp.test {
	oidc_rp {
		`+s.options()+`
		home /welcome
	}
	reverse_proxy {upstream}
}
`)
	for _, h := range old.handlers() {
		succeeds(t, "cleaning up", h.Cleanup())
	}
	succeeds(t, "cleaning up", old.app.Cleanup())
	all[0].goesOn("a reload")
	for _, one := range all {
		one.isOpen("a reload")
	}
	moveTo(b, after)
	check(t, b.get("/Special:UserLogout")).status(http.StatusSeeOther)
	for _, one := range all {
		one.ends("a logout after the reload")
	}
}

// A thousand WebSockets end together.
func TestAThousandStreamsEndTogether(t *testing.T) {
	t.Parallel()
	const sessions, each = 20, 50
	s := newCluster(t, backendNamed("cookie"), 1, openRoute, "")
	r := s.nodes[0]
	app := serveStreams(r)
	var cookies []string
	for range sessions {
		cookies = append(cookies, s.signIn(r, "alice").cookieHeader())
	}
	all := make([]*stream, sessions*each)
	var group sync.WaitGroup
	for i := range all {
		group.Go(func() { all[i] = r.stream(t, streamKinds[1], cookies[i%sessions]) })
		if i%each == each-1 {
			group.Wait()
		}
	}
	equal(t, "the streams that the application has", int(app.open.Load()), len(all))
	begin := time.Now()
	ask[revocationAnswer](r, "POST", "/oidc_rp/revoke", `{"all": true}`)
	for _, one := range all {
		one.ends("a revocation")
	}
	t.Logf("%d streams ended %s after the revocation", len(all), time.Since(begin))
	soon(t, "the application's ends are over", func() bool { return app.open.Load() == 0 })
}

// A WebSocket of HTTP/2 or HTTP/3 ends with the context of its request.
func TestWebSocketsOfLaterVersionsEndWithTheirSession(t *testing.T) {
	t.Parallel()
	for _, major := range []int{2, 3} {
		t.Run(fmt.Sprintf("HTTP/%d", major), func(t *testing.T) {
			t.Parallel()
			r := newHarness(t, protectedBy(newOP(t)))
			b := signedIn(t, r)
			begun, ended := make(chan struct{}), make(chan error, 1)
			go func() {
				_, err := connect(r.handlers()[0], "/ws", major, "websocket", http.Header{"Cookie": {b.cookieHeader()}},
					caddyhttp.HandlerFunc(func(w http.ResponseWriter, q *http.Request) error {
						w.WriteHeader(http.StatusOK)
						close(begun)
						<-q.Context().Done()
						return nil
					}))
				ended <- err
			}()
			<-begun
			select {
			case err := <-ended:
				t.Fatalf("expected the WebSocket to go on, seen %v", err)
			case <-time.After(2500 * time.Millisecond):
			}
			check(t, b.get("/Special:UserLogout")).status(http.StatusSeeOther)
			select {
			case err := <-ended:
				succeeds(t, "the handler", err)
			case <-time.After(patience):
				t.Error("expected the WebSocket to end")
			}
		})
	}
}

// An event stream over HTTP/2 ends, whether or not the client asks for one in Accept.
func TestEventStreamsOfHTTP2EndWithTheirSession(t *testing.T) {
	t.Parallel()
	for _, accept := range []string{"text/event-stream", "*/*"} {
		for _, path := range []string{"/events", "/quiet-events"} {
			t.Run(accept+" "+path, func(t *testing.T) {
				t.Parallel()
				r := newHarness(t, protectedBy(newOP(t)))
				serveStreams(r)
				b := signedIn(t, r)
				server := httptest.NewUnstartedServer(r.handler())
				server.EnableHTTP2 = true
				server.StartTLS()
				t.Cleanup(server.Close)
				request := must(http.NewRequest(http.MethodGet, server.URL+path, nil))
				request.Host = "rp.test"
				request.Header = http.Header{"Accept": {accept}, "Cookie": {b.cookieHeader()}}
				response := must(server.Client().Do(request))
				defer response.Body.Close()
				equal(required{t}, "the version", response.ProtoMajor, 2)
				equal(required{t}, "the status", response.StatusCode, http.StatusOK)
				ended := make(chan struct{})
				go func() {
					defer close(ended)
					_, _ = io.Copy(io.Discard, response.Body)
				}()
				check(t, b.get("/Special:UserLogout")).status(http.StatusSeeOther)
				select {
				case <-ended:
				case <-time.After(patience):
					t.Error("expected the event stream to end")
				}
			})
		}
	}
}

// isOpen expects that the stream has not ended.
func (s *stream) isOpen(when string) {
	s.t.Helper()
	select {
	case <-s.ended:
		s.t.Errorf("%s: expected %s to go on", when, s.name)
	default:
	}
}
