// Command bench measures the cost of the plugin, compared to the same Caddy
// without its directive, and writes the tables of docs/performance.md. Start it
// with the script bench/run, which builds the binaries and assigns separate
// cores to the server and the load.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// world has what all measurements share.
type world struct {
	binary, tests  string // Caddy with the plugin, and the test binary of its package
	core, loadCore int
	folder         string // for files of the servers
	profiles       string // folder for CPU profiles; may be empty
	size           size
	provider       *oidctest.Provider
	transport      *http.Transport
}

// size is the extent of the measurements.
type size struct {
	rounds, requests int // rounds of each case, and requests in each slice
	connections      int
	latencies        int // requests sent one by one
	logins           int // logins in each of five groups
	starts           int
	count            int    // runs of each benchmark
	times, logs      string // -benchtime of benchmarks of requests, and of logins
}

var (
	full  = size{rounds: 40, requests: 4000, connections: 32, latencies: 4000, logins: 200, starts: 9, count: 5, times: "20000x", logs: "1000x"}
	quick = size{rounds: 2, requests: 300, connections: 8, latencies: 50, logins: 8, starts: 1, count: 1, times: "100x", logs: "10x"}
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	w := &world{size: full, transport: &http.Transport{MaxIdleConnsPerHost: loginsAtOnce}}
	flag.StringVar(&w.binary, "caddy", "", "a Caddy with the plugin")
	flag.StringVar(&w.tests, "tests", "", "the test binary of the plugin's package")
	flag.IntVar(&w.core, "core", 0, "the server's `core`")
	flag.IntVar(&w.loadCore, "load-core", 0, "the `core` of everything else")
	flag.StringVar(&w.profiles, "profile", "", "`folder` for a CPU profile of each case's server; nothing else is measured")
	smoke := flag.Bool("quick", false, "only prove that everything works")
	only := flag.String("case", "", "measure the whole-process cases that match this `expression` alone, and write nothing")
	rounds := flag.Int("rounds", 0, "slices of each contender")
	out := flag.String("o", "", "`file` with the markers to write between (default docs/performance.md, with -quick none)")
	flag.Parse()
	if flag.NArg() > 0 || w.binary == "" || w.tests == "" {
		return errors.New("it is started by bench/run, and takes flags alone")
	}
	selected, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	switch {
	case *smoke:
		w.size = quick
	case *out == "" && *only == "" && w.profiles == "":
		*out = "../docs/performance.md"
	}
	if *rounds > 0 {
		w.size.rounds = *rounds
	}
	if w.folder, err = os.MkdirTemp("", "oidc_rp-bench"); err != nil {
		return err
	}
	defer os.RemoveAll(w.folder)
	provider, witness, err := newProvider()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, witness.end()) }()
	w.provider = provider
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	r, err := w.measureRows(ctx, selected)
	if err != nil || w.profiles != "" || *only != "" {
		return err
	}
	for _, part := range []struct {
		what string
		do   func(context.Context, *report) error
	}{{"logins", w.measureLogins}, {"start", w.measureStarts}, {"in process", w.measureInProcess}} {
		fmt.Fprintln(os.Stderr, "measuring:", part.what)
		if err := part.do(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", part.what, err)
		}
	}
	if *out == "" {
		return r.write(os.Stdout, w)
	}
	return r.into(*out, w)
}

// measureRows measures the whole-process cases whose names match selected.
func (w *world) measureRows(ctx context.Context, selected *regexp.Regexp) (*report, error) {
	r := new(report)
	for _, row := range rows {
		if !selected.MatchString(row.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, "measuring:", row.name)
		result, err := w.measure(ctx, row)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", row.name, err)
		}
		if w.profiles != "" {
			continue
		}
		fmt.Fprintln(os.Stderr, result)
		r.rows = append(r.rows, result)
	}
	return r, nil
}
