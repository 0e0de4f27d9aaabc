package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// loginsAtOnce is the number of concurrent logins.
const loginsAtOnce = 8

// result is the result of a row. Times are the server's CPU time per request,
// in microseconds, as the median of all slices.
type result struct {
	row
	cookie           int // size of the session's cookies with their names, in bytes
	micros           float64
	bare, floor      float64   // times of plain Caddy without and with the cookie
	ratios, toBare   []float64 // to floor and to bare, one per round
	foreign          float64   // share of the server's core used by other processes
	idle, loaded     int       // resident memory, in KiB
	p50, p99         time.Duration
	floor50, floor99 time.Duration
}

func (r *result) String() string {
	low, high := interval(r.ratios)
	bareLow, bareHigh := interval(r.toBare)
	return fmt.Sprintf("  %.3f × plain Caddy with the same bytes [%.3f–%.3f], %.3f × without a cookie [%.3f–%.3f], %.1f µs/request, cookie %d B",
		median(r.ratios), low, high, median(r.toBare), bareLow, bareHigh, r.micros, r.cookie)
}

// contender is a server with its load.
type contender struct {
	server *server
	beside *server
	load   *load
	micros []float64 // one value per slice
}

// used returns the CPU time of the contender's processes.
func (c *contender) used() (time.Duration, error) {
	sum, err := cpuTime(c.server.pid())
	if err == nil && c.beside != nil {
		var more time.Duration
		more, err = cpuTime(c.beside.pid())
		sum += more
	}
	return sum, err
}

// slice sends requests and records the CPU time per request.
func (c *contender) slice(requests int) error {
	before, err := c.used()
	if err != nil {
		return err
	}
	if err := c.load.run(requests); err != nil {
		return err
	}
	after, err := c.used()
	c.micros = append(c.micros, float64(after-before)/1e3/float64(requests))
	return err
}

// last returns the result of the last slice.
func (c *contender) last() float64 { return c.micros[len(c.micros)-1] }

// measure compares a row to a plain Caddy that gets the same bytes, and to one
// that gets no cookie.
func (w *world) measure(ctx context.Context, r row) (*result, error) {
	directive, beside, err := w.guard(ctx, r)
	if err != nil {
		return nil, err
	}
	if beside != nil {
		defer beside.stop()
	}
	guarded, err := w.caddy(ctx, directive)
	if err != nil {
		return nil, err
	}
	defer guarded.stop()
	plain, err := w.caddy(ctx, "")
	if err != nil {
		return nil, err
	}
	defer plain.stop()
	result := &result{row: r}
	if result.idle, err = residentKiB(guarded.pid()); err != nil {
		return nil, err
	}
	cookies := ""
	if r.claims != "" {
		w.provider.SignIn(r.claims)
		if cookies, err = w.newBrowser().signIn("http://"+guarded.address, r.path); err != nil {
			return nil, err
		}
		result.cookie = len(cookies) - len("theme=dark; ; lang=en")
	}
	contenders := []*contender{{server: plain}, {server: plain}, {server: guarded, beside: beside}}
	bare, floor, ours := contenders[0], contenders[1], contenders[2]
	for _, c := range contenders {
		expected, sent := wantOf(http.StatusOK, ""), cookies
		if c == ours {
			expected = wantOf(r.status, w.provider.URL(authorize))
		}
		if c == bare {
			sent = ""
		}
		if c.load, err = newLoad(c.server.address, r.path, sent, expected, w.size.connections); err != nil {
			return nil, err
		}
		defer c.load.close()
		if err := c.load.run(w.size.requests); err != nil { // warm up
			return nil, err
		}
	}
	if w.profiles != "" {
		return result, w.profile(r, ours)
	}
	if err := w.compare(ctx, result, contenders); err != nil {
		return nil, err
	}
	result.bare, result.floor, result.micros = median(bare.micros), median(floor.micros), median(ours.micros)
	if result.p50, result.p99, result.floor50, result.floor99, err = w.latencies(ours.load, floor.load); err != nil {
		return nil, err
	}
	if result.loaded, err = residentKiB(guarded.pid()); err != nil {
		return nil, err
	}
	return result, errors.Join(checkClock(guarded.pid()), checkClock(plain.pid()))
}

// compare runs the rounds. Each round has one slice of each contender, in
// reverse order in every second round, to balance out drift.
func (w *world) compare(ctx context.Context, r *result, contenders []*contender) error {
	bare, floor, ours := contenders[0], contenders[1], contenders[2]
	busy, err := busyTime(w.core)
	if err != nil {
		return err
	}
	var own time.Duration
	for _, s := range []*server{ours.server, floor.server} {
		used, err := cpuTime(s.pid())
		if err != nil {
			return err
		}
		own -= used
	}
	began := time.Now()
	for round := range w.size.rounds {
		if err := ctx.Err(); err != nil {
			return err
		}
		for i := range contenders {
			c := contenders[i]
			if round%2 == 1 {
				c = contenders[len(contenders)-1-i]
			}
			if err := c.slice(w.size.requests); err != nil {
				return err
			}
		}
		r.ratios = append(r.ratios, ours.last()/floor.last())
		r.toBare = append(r.toBare, ours.last()/bare.last())
	}
	lasted := time.Since(began)
	for _, s := range []*server{ours.server, floor.server} {
		used, err := cpuTime(s.pid())
		if err != nil {
			return err
		}
		own += used
	}
	after, err := busyTime(w.core)
	r.foreign = max(0, float64(after-busy-own)/float64(lasted))
	return err
}

// latencies measures the durations of requests over one connection, alternating
// between ours and the floor.
func (w *world) latencies(ours, floor *load) (p50, p99, floor50, floor99 time.Duration, err error) {
	const groups = 4
	var mine, theirs [2][]float64
	for range groups {
		for _, side := range []struct {
			load *load
			into *[2][]float64
		}{{floor, &theirs}, {ours, &mine}} {
			all, err := side.load.times(max(1, w.size.latencies/groups))
			if err != nil {
				return 0, 0, 0, 0, err
			}
			side.into[0] = append(side.into[0], float64(all[len(all)/2]))
			side.into[1] = append(side.into[1], float64(all[len(all)*99/100]))
		}
	}
	at := func(values []float64) time.Duration { return time.Duration(median(values)) }
	return at(mine[0]), at(mine[1]), at(theirs[0]), at(theirs[1]), nil
}

// logins is the cost of logins.
type logins struct {
	user            string
	aim             float64   // upper limit for the CPU time in milliseconds; 0 means none
	millis          []float64 // CPU time per login, one value per group
	loginsPerSecond float64
}

// measureLogins measures concurrent logins. The provider and the browsers run
// on the other core and are not counted.
func (w *world) measureLogins(ctx context.Context, into *report) error {
	for _, r := range []row{{name: "usual user", claims: "usual.json", aim: 0.6}, {name: "large user", claims: "large.json"}} {
		directive, _, err := w.guard(ctx, r)
		if err != nil {
			return err
		}
		s, err := w.caddy(ctx, directive)
		if err != nil {
			return err
		}
		w.provider.SignIn(r.claims)
		l, err := w.signInMany(ctx, s, r.name)
		s.stop()
		if err != nil {
			return err
		}
		l.aim = r.aim
		into.logins = append(into.logins, l)
	}
	return nil
}

func (w *world) signInMany(ctx context.Context, s *server, user string) (*logins, error) {
	const groups = 5
	l := &logins{user: user}
	group := func() error {
		var left atomic.Int64
		left.Store(int64(w.size.logins))
		errs := make([]error, loginsAtOnce)
		var all sync.WaitGroup
		for i := range errs {
			all.Go(func() {
				for errs[i] == nil && left.Add(-1) >= 0 {
					_, errs[i] = w.newBrowser().signIn("http://"+s.address, "/reports/2026")
				}
			})
		}
		all.Wait()
		return errors.Join(append(errs, ctx.Err())...)
	}
	if err := group(); err != nil { // warm up
		return nil, err
	}
	began := time.Now()
	for range groups {
		before, err := cpuTime(s.pid())
		if err != nil {
			return nil, err
		}
		if err := group(); err != nil {
			return nil, err
		}
		after, err := cpuTime(s.pid())
		if err != nil {
			return nil, err
		}
		l.millis = append(l.millis, float64(after-before)/1e6/float64(w.size.logins))
	}
	l.loginsPerSecond = float64(groups*w.size.logins) / time.Since(began).Seconds()
	return l, nil
}

// measureStarts measures the time from the start of the process to the first
// response, alternating between Caddy without and with the directive.
func (w *world) measureStarts(ctx context.Context, into *report) error {
	directive, _, err := w.guard(ctx, row{site: "public *"})
	if err != nil {
		return err
	}
	for range w.size.starts {
		for _, side := range []struct {
			directive string
			into      *[]float64
		}{{"", &into.plainStarts}, {directive, &into.starts}} {
			s, err := w.caddy(ctx, side.directive)
			if err != nil {
				return err
			}
			s.stop()
			*side.into = append(*side.into, float64(s.started)/1e6)
		}
	}
	return nil
}
