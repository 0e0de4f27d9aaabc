// Command conformance runs the relying-party plans of the OpenID Foundation's conformance
// suite against a Caddy built from this tree. It writes the results to
// docs/conformance.md, which also explains how to run it.
//
//	go run ./e2e/conformance -suite https://localhost.emobix.co.uk:8443 -insecure [-plan basic,config]
//
// Without -suite, it only writes the page again, from the stored results.
//
// It knows the suite's REST interface (suite.go), the plans and modules with the expected
// results (plans_*.go, module.go), what users do and what must hold afterwards
// (journey.go), and how browsers behave (browser.go, jar.go). It uses the plugin only
// through a Caddyfile, like an operator.
//
// The exit code is 0 if all results are as expected, 1 if some are not, and 2 if it could
// not run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code, err := command(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
	}
	os.Exit(code)
}

// flags are the options of the command.
type flags struct {
	suite, ca      string
	insecure       bool
	plans, module  string
	site, bind     string
	caddy          string
	results, page  string
	patience, poll time.Duration
}

func parse(args []string, out io.Writer) (f flags, err error) {
	set := flag.NewFlagSet("conformance", flag.ContinueOnError)
	set.SetOutput(out)
	set.StringVar(&f.suite, "suite", "", "base URL of a running suite. CONFORMANCE_TOKEN is the token of its REST interface, where it needs one")
	set.StringVar(&f.ca, "ca", "", "file of the certificates that the suite's TLS is checked with")
	set.BoolVar(&f.insecure, "insecure", false, "trust whatever certificate the suite has at the beginning")
	set.StringVar(&f.plans, "plan", "", "plans to run, with commas; default all")
	set.StringVar(&f.module, "module", "", "the one module to run; the results are not written then")
	set.StringVar(&f.site, "site", "https://rp.localhost:9443", "origin of the site, which the suite must reach as well")
	set.StringVar(&f.bind, "bind", "127.0.0.1", "address that the site listens on")
	set.StringVar(&f.caddy, "caddy", "", "Caddy with the plugin; default one that is built from this tree")
	set.StringVar(&f.results, "results", "", "file of the last results; default e2e/conformance/results.json of this tree")
	set.StringVar(&f.page, "out", "", "page to write; default docs/conformance.md of this tree")
	set.DurationVar(&f.patience, "patience", time.Minute, "how long to wait for a module")
	set.DurationVar(&f.poll, "poll", 250*time.Millisecond, "how often to ask the suite")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	if set.NArg() > 0 {
		return f, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	if f.insecure && f.ca != "" {
		return f, errors.New("-ca and -insecure exclude each other")
	}
	return f, f.inTree()
}

// inTree sets the default paths, which are in this tree.
func (f *flags) inTree() error {
	if f.results != "" && f.page != "" {
		return nil
	}
	tree, err := tree()
	if err != nil {
		return err
	}
	if f.results == "" {
		f.results = filepath.Join(tree, "e2e", "conformance", "results.json")
	}
	if f.page == "" {
		f.page = filepath.Join(tree, "docs", "conformance.md")
	}
	return nil
}

// command is the whole program. It returns the exit code, and an error if the program
// could not run.
func command(ctx context.Context, args []string, out io.Writer) (code int, err error) {
	f, err := parse(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return 0, nil
	}
	if err != nil {
		return 2, err
	}
	last, err := readResults(f.results)
	if err != nil {
		return 2, err
	}
	if f.suite != "" {
		if code, err = f.run(ctx, last, out); err != nil {
			return 2, err
		}
		if f.module != "" {
			return code, nil
		}
		if err := last.write(f.results); err != nil {
			return 2, err
		}
	}
	text, err := last.page()
	if err != nil {
		return 2, err
	}
	if err := os.WriteFile(f.page, text, 0o644); err != nil {
		return 2, err
	}
	return code, nil
}

// run runs the plans and merges their results into the last ones.
func (f flags) run(ctx context.Context, last results, out io.Writer) (code int, err error) {
	var names []string
	if f.plans != "" {
		names = strings.Split(f.plans, ",")
	}
	plans, err := chosen(names)
	if err != nil {
		return 2, err
	}
	folder, err := os.MkdirTemp("", "conformance-")
	if err != nil {
		return 2, err
	}
	defer os.RemoveAll(folder)
	d, err := f.driver(ctx, folder, out)
	if err != nil {
		return 2, err
	}
	for _, p := range plans {
		r, err := d.run(ctx, p)
		if err != nil {
			return 2, err
		}
		last[p.name] = r
		wrong := r.unexpected(p)
		fmt.Fprintf(out, "%s: %d modules, %d not as expected\n", p.name, len(r.Results), len(wrong))
		for _, name := range wrong {
			code = 1
			if _, counted := r.Results[name]; !counted {
				fmt.Fprintf(out, "! %s %s\n", name, r.Broken[name])
			}
		}
	}
	return code, nil
}
