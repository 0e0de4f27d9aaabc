package e2e

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"
)

// A rush is page loads of many signed-in people, one after another for each person, until
// it is stopped. It counts the expected answers and records all others.
type rush struct {
	t    testing.TB
	stop chan struct{}
	all  sync.WaitGroup

	mu      sync.Mutex
	good    int
	nodes   map[string]int // how many requests each node answered
	slowest time.Duration
	odd     []oddity
}

// An oddity is an answer that a signed-in person should not get.
type oddity struct {
	at   time.Time
	what string
}

// A person is a browser and its signed-in user.
type person struct {
	*browser
	user string
}

// newRush begins the page loads. Each person pauses between two loads.
func newRush(w *world, people []person, pause time.Duration) *rush {
	l := &rush{t: w.t, stop: make(chan struct{}), nodes: map[string]int{}}
	transport := &http.Transport{
		MaxIdleConnsPerHost: len(people), TLSClientConfig: &tls.Config{RootCAs: w.roots()},
		DialContext: people[0].http.Transport.(*http.Transport).DialContext,
	}
	for _, p := range people {
		client := &http.Client{Transport: transport, Jar: p.jar, Timeout: busy * 30 * time.Second, CheckRedirect: p.http.CheckRedirect}
		l.all.Go(func() {
			for {
				select {
				case <-l.stop:
					return
				case <-time.After(pause):
				}
				l.visit(client, w.base+"/loaded", p.user)
			}
		})
	}
	w.t.Cleanup(func() {
		l.end()
		transport.CloseIdleConnections()
	})
	return l
}

func (l *rush) visit(client *http.Client, address, user string) {
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		panic(err)
	}
	pageLoad(r, "none", nil)
	begun := time.Now()
	answer, err := client.Do(r)
	var what string
	if err != nil {
		what = "no answer"
	} else {
		defer answer.Body.Close()
		var s seen
		text, _ := io.ReadAll(answer.Body)
		switch {
		case answer.StatusCode != http.StatusOK:
			what = fmt.Sprint(answer.StatusCode)
		case json.Unmarshal(text, &s) != nil || s.Headers.Get("X-User") != user:
			what = "another user"
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if what != "" {
		l.odd = append(l.odd, oddity{begun, what})
		return
	}
	l.good++
	l.nodes[answer.Header.Get("X-Node")]++
	l.slowest = max(l.slowest, time.Since(begun))
}

// count returns the number of expected answers so far.
func (l *rush) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.good
}

// goOn waits for this many more expected answers.
func (l *rush) goOn(more int) {
	l.t.Helper()
	until := l.count() + more
	eventually(l.t, 30*time.Second, fmt.Sprintf("%d more requests are answered", more), func() bool { return l.count() >= until })
}

// end stops the rush and returns the unexpected answers.
func (l *rush) end() []oddity {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.all.Wait()
	return l.odd
}

// endsWell fails if any request got an unexpected answer.
func (l *rush) endsWell() {
	l.t.Helper()
	odd := map[string]int{}
	for _, o := range l.end() {
		odd[o.what]++
	}
	if len(odd) > 0 {
		l.t.Errorf("of %d requests some got %v", l.good, odd)
	}
	l.t.Logf("%d requests, by nodes %v, the slowest took %v", l.good, l.nodes, l.slowest.Round(time.Millisecond))
}
