package e2e

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// vitals are the figures of a Caddy in which a leak would show.
type vitals struct {
	goroutines int
	heap       int64 // bytes in use after a collection
}

func (v vitals) String() string {
	return fmt.Sprintf("%d goroutines, %.1f MiB", v.goroutines, float64(v.heap)/(1<<20))
}

const (
	moreGoroutines = 5    // allowed after a load
	moreHeap       = 0.15 // allowed, as a fraction of the heap before the load
	atRest         = 100  // the most goroutines of an idle Caddy; there are about forty
	// Caddy's file storage keeps a goroutine for each lock until five seconds after its
	// release.
	settleWithin = 7 * time.Second
	// Caddy keeps the outcome of a login for a minute, in case the browser sends the
	// callback again, and removes expired outcomes once a minute.
	outcomesGone = 2*time.Minute + settleWithin
	// outcome is how much memory the outcome of a login takes, at least.
	outcome = 2 << 10
)

var (
	goroutineTotal = regexp.MustCompile(`goroutine profile: total (\d+)`)
	heapInUse      = regexp.MustCompile(`# HeapAlloc = (\d+)`)
)

// vitals reads the figures from the admin endpoint. It collects garbage twice, because
// pools survive one collection.
func (n *node) vitals(t testing.TB) vitals {
	t.Helper()
	number := func(text string, in *regexp.Regexp) int64 {
		m := in.FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no %s in the profile", in)
		}
		value, err := strconv.ParseInt(m[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
	n.profile(t, "heap?gc=1&debug=1")
	return vitals{
		heap:       number(n.profile(t, "heap?gc=1&debug=1"), heapInUse),
		goroutines: int(number(n.profile(t, "goroutine?debug=1"), goroutineTotal)),
	}
}

func (n *node) profile(t testing.TB, name string) string {
	t.Helper()
	// Don't reuse connections: an idle one would be counted.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: busy * 20 * time.Second}
	r, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/%s", n.admin, name))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %v", name, r.StatusCode, err)
	}
	return string(text)
}

// settled waits until Caddy is idle: three times in a row the same, small number of
// goroutines.
func (n *node) settled(t testing.TB) vitals {
	t.Helper()
	var now vitals
	same := 0
	for deadline := time.Now().Add(busy * settleWithin); same < 3; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Logf("Caddy is not idle before the test: %v", now)
			break
		}
		before := now
		if now = n.vitals(t); now.goroutines == before.goroutines && now.goroutines <= atRest {
			same++
		} else {
			same = 0
		}
	}
	return now
}

// leftNothing fails unless, within this time, Caddy holds no more than at the start,
// apart from kept bytes that it is meant to keep.
func (n *node) leftNothing(t testing.TB, start vitals, kept int64, within time.Duration) {
	t.Helper()
	began := time.Now()
	within *= busy
	for {
		now := n.vitals(t)
		waited := time.Since(began)
		few := now.goroutines <= start.goroutines+moreGoroutines
		if few && float64(now.heap) <= float64(start.heap)*(1+moreHeap)+float64(kept) {
			t.Logf("before: %v; after: %v, %v later", start, now, waited.Round(time.Millisecond))
			return
		}
		if waited > within {
			t.Errorf("before: %v; after: %v", start, now)
			if !few {
				t.Logf("%.20000s", n.profile(t, "goroutine?debug=1"))
			}
			return
		}
		time.Sleep(max(100*time.Millisecond, waited/20))
	}
}
