package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"
)

// traffic is requests at a fixed rate, by visitors in turn, over many open connections.
// It is bounded in number and time.
type traffic struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	sent    int
	again   int            // retries, because a connection was cut before any answer
	most    int            // retries of a single request
	wrong   map[string]int // unexpected answers and errors
	latency []time.Duration
}

// A call is what one visitor requests, and the expected body.
type call struct {
	v    *visitor
	path string
	want string
}

const callers = 32

// startTraffic sends rate requests per second until end is called, or until it has sent
// most requests.
func startTraffic(t testing.TB, rate, most int, calls ...call) *traffic {
	ctx, cancel := context.WithCancel(context.Background())
	f := &traffic{cancel: cancel, done: make(chan struct{}), wrong: map[string]int{}}
	due := make(chan time.Time)
	var all sync.WaitGroup
	for worker := range callers {
		client := crowd(1)
		all.Go(func() {
			defer client.CloseIdleConnections()
			turn := worker
			for at := range due {
				f.ask(client, calls[turn%len(calls)], at)
				turn++
			}
		})
	}
	go func() {
		defer close(f.done)
		began := time.Now()
		for i := range most {
			at := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
			select {
			case <-time.After(time.Until(at)):
			case <-ctx.Done():
			}
			if ctx.Err() != nil {
				break
			}
			due <- at
		}
		close(due)
		all.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-f.done
	})
	return f
}

// ask sends one request. Its latency counts from when it was due.
func (f *traffic) ask(client *http.Client, c call, at time.Time) {
	got, again, err := c.v.ask(client, c.path)
	// With each reload, Caddy closes connections that it has just accepted or not yet
	// accepted. Browsers then retry. With ten reloads per second, the retry can meet the
	// next reload.
	for range 2 {
		if err == nil || !isCut(err) {
			break
		}
		var more int
		got, more, err = c.v.ask(client, c.path)
		again += 1 + more
	}
	took := time.Since(at)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent++
	f.again += again
	f.most = max(f.most, again)
	f.latency = append(f.latency, took)
	switch {
	case err != nil:
		f.wrong[err.Error()]++
	case got != "200 "+c.want:
		f.wrong[got]++
	}
}

// ask sends the request of a script in a page. It counts how often the transport retried
// on another connection.
func (v *visitor) ask(client *http.Client, path string) (got string, again int, err error) {
	connections := 0
	ctx := httptrace.WithClientTrace(context.Background(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connections++ }})
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, v.w.base+path, nil)
	if err != nil {
		return "", 0, err
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Sec-Fetch-Mode", "cors")
	if cookies := v.header(); cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	answer, err := client.Do(r)
	if err != nil {
		return "", max(0, connections-1), err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	v.take(answer)
	return fmt.Sprintf("%d %.100s", answer.StatusCode, text), connections - 1, err
}

func isCut(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// end stops the traffic and fails unless every request got the expected answer.
func (f *traffic) end(t testing.TB, what string) *traffic {
	t.Helper()
	f.cancel()
	<-f.done
	t.Logf("%s: %d requests, %d asked again (at most %d times each), half within %v, 99 %% within %v", what, f.sent, f.again, f.most, f.within(50), f.within(99))
	for answer, times := range f.wrong {
		t.Errorf("%s: %d requests of %d got %s", what, times, f.sent, answer)
	}
	if f.sent == 0 {
		t.Errorf("%s: no request was made", what)
	}
	return f
}

// within returns the latency percentile. The traffic must have ended.
func (f *traffic) within(percent int) time.Duration {
	if len(f.latency) == 0 {
		return 0
	}
	slices.Sort(f.latency)
	return f.latency[(len(f.latency)-1)*percent/100].Round(10 * time.Microsecond)
}
