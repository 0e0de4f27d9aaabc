package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/valkey-io/valkey-go"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis"
)

// A server is a Redis as its operator sees it.
type server struct {
	valkey.Client
	ctx context.Context
}

// number returns one number from INFO.
func (s *server) number(section, name string) float64 {
	text, err := s.Do(s.ctx, s.B().Info().Section(section).Build()).ToString()
	if err != nil {
		panic(err)
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			number, err := strconv.ParseFloat(value, 64)
			if err != nil {
				panic(err)
			}
			return number
		}
	}
	panic("INFO has no " + name)
}

func (s *server) memory() float64 { return s.number("memory", "used_memory") }

// cpu returns the CPU time of Redis' main thread in seconds.
func (s *server) cpu() float64 {
	return s.number("cpu", "used_cpu_user_main_thread") + s.number("cpu", "used_cpu_sys_main_thread")
}

const noLimit = 0

// track limits for how many keys Redis remembers that nodes have copies.
func (s *server) track(keys int) error {
	return s.Do(s.ctx, s.B().ConfigSet().ParameterValue().ParameterValue("tracking-table-max-keys", strconv.Itoa(keys)).Build()).Error()
}

// usage returns the memory that a record takes in Redis, in bytes.
func (s *server) usage(key string) (int64, error) {
	return s.Do(s.ctx, s.B().MemoryUsage().Key("oidc_rp:"+key).Build()).AsInt64()
}

// measure runs do and prints the cost of each of its n operations.
func (s *server) measure(what string, n int, do func() error) error {
	memory, cpu, here, begun := s.memory(), s.cpu(), spent(), time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	took, used, usedHere, bytes := time.Since(begun), s.cpu()-cpu, spent()-here, s.memory()-memory
	tell(what, "Redis %5.1f µs CPU, %6.0f/s on one core, %+6.0f bytes · here %5.1f µs CPU · %v in all",
		1e6*used/float64(n), float64(n)/used, bytes/float64(n), float64(usedHere.Microseconds())/float64(n), took.Round(time.Millisecond))
	return nil
}

// newNode returns a store like that of one Caddy. In one process, stores with the same
// configuration share a connection, so each node must get a different timeout.
func newNode(ctx context.Context, url string, timeout time.Duration) (*redis.Store, func(), error) {
	inside, cancel := caddy.NewContext(caddy.Context{Context: ctx})
	s := &redis.Store{URL: url, Timeout: caddy.Duration(timeout)}
	return s, cancel, s.Provision(inside)
}

func measureRedis(ctx context.Context, url string, number int) error {
	option, err := valkey.ParseURL(url)
	if err != nil {
		return fmt.Errorf("-redis: %w", err)
	}
	option.DisableCache = true
	client, err := valkey.NewClient(option)
	if err != nil {
		return err
	}
	defer client.Close()
	s := &server{client, ctx}
	if err := errors.Join(s.Do(ctx, s.B().Flushall().Build()).Error(), s.track(noLimit)); err != nil {
		return err
	}
	node, end, err := newNode(ctx, url, 10*time.Second)
	if err != nil {
		return err
	}
	defer end()
	sessions := make([]kept, number)
	size := 0
	for i := range sessions {
		if sessions[i], err = newKept(i); err != nil {
			return err
		}
		size += len(sessions[i].record)
	}
	// Open the connection and fill the server's buffers before measuring.
	if err := each(64, func(i int) error { _, err := node.Reload(ctx, "ready"); return err }); err != nil {
		return err
	}
	tell("Redis, with nothing in it", "%.2f MB", s.memory()/1e6)
	tell("a session's record", "%d bytes", size/number)

	save := func(i int) error { return node.Save(ctx, sessions[i].key, sessions[i].record, sessions[i].ends) }
	if err := s.measure("keep a session", number, func() error { return each(number, save) }); err != nil {
		return err
	}
	var usage int64
	for _, k := range sessions[:100] {
		one, err := s.usage(k.key)
		if err != nil {
			return err
		}
		usage += one
	}
	tell("MEMORY USAGE of a session", "%d bytes", usage/100)

	load := func(i int) error {
		_, err := node.Load(ctx, append([]string{sessions[i].key}, sessions[i].events...)...)
		return err
	}
	tell("records asked for by a request", "%d", 1+len(sessions[0].events))
	if err := s.measure("a request's records, cold", number, func() error { return each(number, load) }); err != nil {
		return err
	}
	for i, other := range []struct {
		what    string
		tracked int // for how many keys Redis may remember that nodes have copies
	}{
		{"the same on another node", noLimit},
		{"the same where Redis remembers too many copies", number / 4},
	} {
		if err := s.coldOn(ctx, url, 9*time.Second-time.Duration(i)*time.Second, other.what, other.tracked, sessions); err != nil {
			return err
		}
	}
	hot := min(number, 1000)
	if err := each(hot, load); err != nil {
		return err
	}
	if err := s.measure("a request's records, at hand", hot*50, func() error {
		return each(hot*50, func(i int) error { return load(i % hot) })
	}); err != nil {
		return err
	}
	if err := s.measure("the same past what is at hand", number, func() error {
		return each(number, func(i int) error {
			_, err := node.Reload(ctx, append([]string{sessions[i].key}, sessions[i].events...)...)
			return err
		})
	}); err != nil {
		return err
	}
	return measureEnds(ctx, s, node, sessions)
}

// coldOn measures the requests of a node without copies.
func (s *server) coldOn(ctx context.Context, url string, timeout time.Duration, what string, tracked int, sessions []kept) error {
	if err := s.track(tracked); err != nil {
		return err
	}
	for tracked != noLimit && s.number("stats", "tracking_total_keys") > float64(tracked) {
		time.Sleep(100 * time.Millisecond)
	}
	node, end, err := newNode(ctx, url, timeout)
	if err != nil {
		return err
	}
	defer end()
	if err := each(64, func(i int) error { _, err := node.Reload(ctx, "ready"); return err }); err != nil {
		return err
	}
	err = s.measure(what, len(sessions), func() error {
		return each(len(sessions), func(i int) error {
			_, err := node.Load(ctx, append([]string{sessions[i].key}, sessions[i].events...)...)
			return err
		})
	})
	return errors.Join(err, s.track(noLimit))
}

// measureEnds prints what refreshes, logouts, and revocations cost.
func measureEnds(ctx context.Context, s *server, node *redis.Store, sessions []kept) error {
	tenth := len(sessions) / 10
	if err := s.measure("a newer state of a session", tenth, func() error {
		return each(tenth, func(i int) error {
			k := &sessions[i]
			newer := append([]byte(nil), k.record...)
			newer[len(newer)-1]++
			done, err := node.Replace(ctx, k.key, k.record, newer, k.ends)
			if err == nil && !done {
				err = fmt.Errorf("session %d was not replaced", i)
			}
			return err
		})
	}); err != nil {
		return err
	}
	if err := s.measure("a logout", tenth, func() error {
		return each(tenth, func(i int) error { return node.Delete(ctx, sessions[i].key) })
	}); err != nil {
		return err
	}
	events := revocation.NewRecords(node)
	if err := s.measure("a logout that the provider tells of", tenth, func() error {
		return each(tenth, func(i int) error {
			now := time.Now()
			return events.Add(ctx, revocation.ForSID(issuer, sessions[tenth+i].sid, now, now.Add(12*time.Hour)))
		})
	}); err != nil {
		return err
	}
	usage, err := s.usage(sessions[tenth].events[3])
	tell("MEMORY USAGE of such a logout", "%d bytes", usage)
	return err
}
