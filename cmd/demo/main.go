// Command demo shows the plugin at work. It needs nothing but Go:
//
//	go run ./cmd/demo
//
// Everything is in one process: a Caddy with this plugin and the Caddyfile in
// this folder, a site with a public home page, an application behind it, and an
// identity provider, which is part of that Caddy, with the users alice and bob.
// Everything listens on loopback, in plain HTTP, and leaves nothing behind.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// run starts the demo, prints its address, and stops it when it is interrupted.
func run() error {
	var opts Options
	flag.StringVar(&opts.Addr, "addr", defaultAddr, "loopback `address` of the demo site")
	flag.IntVar(&opts.ProviderPort, "provider-port", 0, "`port` of the identity provider (default a free one)")
	flag.StringVar(&opts.Storage, "storage", "", "`folder` for Caddy's storage, kept at the end (default a temporary one)")
	flag.BoolVar(&opts.Verbose, "v", false, "log everything")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	level := slog.LevelWarn
	if opts.Verbose {
		level = slog.LevelDebug
	}
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	d, err := Start(opts)
	if err != nil {
		return err
	}
	fmt.Print(d.welcome())
	<-ctx.Done()
	stop() // a second Ctrl-C ends the process immediately
	fmt.Println("\nGood-bye.")
	return d.Close()
}

// welcome returns the text that is printed once everything runs.
func (d *Demo) welcome() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\nThe demo is running. Open\n\n    %s\n\nand sign in as\n\n", d.URL)
	for _, user := range users {
		fmt.Fprintf(&b, "    %-6s password %-12s in %s\n", user.Name, user.Password, strings.Join(user.Groups, ", "))
	}
	fmt.Fprintf(&b, `
Try
    %s/private
        a private page: claims and headers, as an application sees them
    %[1]s/@app/auth/partners/login
        a provider that is disabled
    curl -i -H 'X-User: alice' %[1]s/private
        what a program without a session gets
    %s
        the identity provider

Ctrl-C ends it.
`, d.URL, d.ProviderURL)
	return b.String()
}
