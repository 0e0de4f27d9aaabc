package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// load posts a configuration to the running Caddy. Each one restarts the admin endpoint,
// so load retries a request whose connection was cut.
func (n *node) load(contentType, config string) (again bool, err error) {
	send := func() error {
		r, err := http.NewRequest(http.MethodPost, fmt.Sprintf("http://127.0.0.1:%d/load", n.admin), strings.NewReader(config))
		if err != nil {
			return err
		}
		r.Header.Set("Content-Type", contentType)
		r.Header.Set("Cache-Control", "must-revalidate") // even if it is the same
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: busy * 20 * time.Second}
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		text, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != http.StatusOK {
			return &refused{answer.StatusCode, string(text)}
		}
		return nil
	}
	if err = send(); err != nil && isCut(err) {
		return true, send()
	}
	return false, err
}

// refused is the error for a configuration that Caddy refuses.
type refused struct {
	status int
	text   string
}

func (e *refused) Error() string { return fmt.Sprintf("status %d: %s", e.status, e.text) }

// spoilt returns configurations that look like the running one and fail, each at a later
// stage. Caddy must release what it allocated for them.
func (w *world) spoilt(t testing.TB, s site) (all []spoiltConfig) {
	t.Helper()
	_, running := w.caddy.config()
	swap := func(name, word, old, with string) {
		config := strings.Replace(running, old, with, 1)
		if config == running {
			t.Fatalf("%s: expected %q in the running configuration, seen none", name, old)
		}
		if !json.Valid([]byte(config)) {
			t.Fatalf("%s: expected a configuration in JSON, seen another one", name)
		}
		all = append(all, spoiltConfig{name, "application/json", config, word})
	}
	twice := s
	twice.global += `
	oidc_rp {
		provider one {
			issuer https://one.test
			client_id a
		}
		provider one {
			issuer https://one.test
			client_id b
		}
	}`
	all = append(all, spoiltConfig{"a provider's id twice", "text/caddyfile", w.plainSite(twice), "twice"})
	swap("a secret of the wrong type", "client_secret", `"client_secret":"{env.OIDC_CLIENT_SECRET}"`, `"client_secret":7`)
	swap("an address that is no path", "home", `"handler":"oidc_rp"`, `"handler":"oidc_rp","home":"//elsewhere.test"`)
	swap("a handler after ours that does not exist", "no_such_handler", `"handler":"static_response"`, `"handler":"no_such_handler"`)
	// This fails last: everything has been started, but another server has the port.
	swap("a port that is taken", "address already in use", mustParse(w.base).Host+`"]`, mustParse(w.base).Host+`","`+w.app.addr()+`"]`)
	return all
}

type spoiltConfig struct{ name, contentType, config, word string }

// Caddy reloads often, sometimes with a configuration that fails, while people are signed
// in, sign in, and visit public pages. A site without the guard shows what Caddy does by
// itself.
//
// See docs/faults.md, row F36.
func TestAStormOfReloadsLosesNothing(t *testing.T) {
	reloads, every, rate := few(30, 100), 100*time.Millisecond, few(300, 1000)
	eachStore(t, func(t *testing.T, w *world, s site) {
		bare := *w
		bare.base = fmt.Sprintf("http://127.0.0.1:%d", freePort(t))
		config := func(number int) string {
			other := s
			other.before = fmt.Sprintf("header X-Config %d", number)
			return w.plainSite(other) + fmt.Sprintf(`%s {
	bind 127.0.0.1
	respond "user="
}
`, bare.base)
		}
		w.caddy.start(config(0))
		spoilt := w.spoilt(t, s)

		client := crowd(4)
		defer client.CloseIdleConnections()
		alice, anonymous, middle := &visitor{w: w}, &visitor{w: w}, &visitor{w: w}
		if err := alice.signIn(client, "/in/first", "alice"); err != nil {
			t.Fatal(err)
		}
		if err := middle.begin(client, "/in/middle"); err != nil {
			t.Fatal(err)
		}
		begin := func(most int) (guarded, unguarded *traffic) {
			return startTraffic(t, rate/2, most/2, call{alice, "/in/x", "user=alice"}, call{anonymous, "/x", "user="}, call{alice, "/x", "user=alice"}),
				startTraffic(t, rate/2, most/2, call{&visitor{w: &bare}, "/x", "user="})
		}
		// Create first what is created only once: a reload and some traffic.
		if _, err := w.caddy.load("text/caddyfile", config(1)); err != nil {
			t.Fatal(err)
		}
		guarded, unguarded := begin(rate)
		<-guarded.done
		<-unguarded.done
		guarded.end(t, "without reloads")
		unguarded.end(t, "without reloads, without the guard")
		client.CloseIdleConnections()
		start := w.caddy.settled(t)

		guarded, unguarded = begin(rate * 120)
		over, logins := make(chan struct{}), make(chan int)
		go func() {
			done := 0
			defer func() { logins <- done }()
			for {
				select {
				case <-over:
					return
				default:
				}
				if err := (&visitor{w: w}).signIn(client, "/in/storm", "bob"); err != nil {
					t.Errorf("login %d during the reloads: %v", done, err)
					return
				}
				done++
			}
		}()
		began, refusals, cut := time.Now(), 0, 0
		var slowest time.Duration
		for i := range reloads {
			at := time.Now()
			if i%5 == 3 {
				bad := spoilt[i/5%len(spoilt)]
				again, err := w.caddy.load(bad.contentType, bad.config)
				var no *refused
				if !errors.As(err, &no) {
					t.Fatalf("%s: expected a refusal, seen %v", bad.name, err)
				}
				if !strings.Contains(no.text, bad.word) {
					t.Errorf("%s: expected a refusal with %q, seen %v", bad.name, bad.word, err)
				}
				refusals++
				if again {
					cut++
				}
			} else {
				again, err := w.caddy.load("text/caddyfile", config(i%2))
				if err != nil {
					t.Errorf("reload %d: %v", i, err)
				}
				if again {
					cut++
				}
				slowest = max(slowest, time.Since(at))
			}
			// The interval counts from the last reload: after a stall there is no burst.
			time.Sleep(time.Until(at.Add(every)))
		}
		took := time.Since(began)
		close(over)
		people := <-logins
		t.Logf("%d logins during the reloads", people)
		guarded.end(t, "during the reloads")
		unguarded.end(t, "during the reloads, without the guard")
		t.Logf("%d reloads in %v, the slowest %v, %d more were refused, %d were asked for twice", reloads-refusals, took.Round(time.Millisecond), slowest.Round(time.Millisecond), refusals, cut)
		if limit := busy * 3 * every * time.Duration(reloads); took > limit {
			t.Errorf("the reloads took %v, wanted %v at most", took, limit)
		}

		if err := middle.authenticate(client, "bob"); err != nil {
			t.Fatal(err)
		}
		if err := middle.finish(client, "bob"); err != nil {
			t.Errorf("the login that was begun before the storm: %v", err)
		}
		if err := alice.isFor(client, "/in/last", "alice"); err != nil {
			t.Error(err)
		}
		client.CloseIdleConnections()
		w.caddy.leftNothing(t, start, int64(people+reloads)*w.kept, outcomesGone)
	})
}

// Each failing configuration is refused for its own fault, and the running one stays the
// same, byte for byte.
func TestASpoiltConfigurationLeavesTheRunningOne(t *testing.T) {
	eachStore(t, func(t *testing.T, w *world, s site) {
		w.caddy.start(w.plainSite(s))
		client := crowd(1)
		defer client.CloseIdleConnections()
		alice := &visitor{w: w}
		if err := alice.signIn(client, "/in/first", "alice"); err != nil {
			t.Fatal(err)
		}
		_, before := w.caddy.config()
		for _, bad := range w.spoilt(t, s) {
			_, err := w.caddy.load(bad.contentType, bad.config)
			var no *refused
			if !errors.As(err, &no) {
				t.Fatalf("%s: expected a refusal, seen %v", bad.name, err)
			}
			if no.status < 400 {
				t.Errorf("%s: expected an error, seen status %d", bad.name, no.status)
			}
			if !strings.Contains(no.text, bad.word) {
				t.Errorf("%s: expected a refusal with %q, seen %v", bad.name, bad.word, err)
			}
			if _, after := w.caddy.config(); !bytes.Equal([]byte(after), []byte(before)) {
				t.Errorf("%s: the configuration is another one now: %s", bad.name, after)
			}
			if err := alice.isFor(client, "/in/x", "alice"); err != nil {
				t.Errorf("%s: %v", bad.name, err)
			}
		}
	})
}
