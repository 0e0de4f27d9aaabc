package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/cmd/demo/internal/app"
)

// defaultAddr is where the site is, unless the flag -addr says otherwise.
const defaultAddr = "127.0.0.1:9090"

// siteFiles are the public pages. Caddy serves them from a copy on disk, as it
// does the pages of a real site.
//
//go:embed site
var siteFiles embed.FS

// user is a user of the identity provider.
type user struct {
	Name, Password                     string
	DisplayName, GivenName, FamilyName string
	Email                              string
	Groups                             []string
}

// users are those of the identity provider.
var users = []user{{
	Name: "alice", Password: "wonderland",
	DisplayName: "Alice Adams", GivenName: "Alice", FamilyName: "Adams", Email: "alice@example.com",
	Groups: []string{"admins", "staff"},
}, {
	Name: "bob", Password: "buildings",
	DisplayName: "Bob Brown", GivenName: "Bob", FamilyName: "Brown", Email: "bob@example.com",
	Groups: []string{"staff"},
}}

// Options are what the command line says.
type Options struct {
	// Addr is the site's host and port; the host is on loopback, the port 0
	// means any that is free.
	Addr string
	// ProviderPort is the identity provider's port, 0 any that is free.
	ProviderPort int
	// Storage is the folder of Caddy's storage; a temporary one if empty.
	Storage string
	// Verbose has Caddy log everything, not only warnings.
	Verbose bool
}

// Demo is a running demo.
type Demo struct {
	// URL and ProviderURL are where a browser finds the site and the provider.
	URL, ProviderURL string

	closers []func() error // the last one first
}

// Start starts the application and Caddy, which has the identity provider in it, and
// returns when both can be used. There is one Caddy in a process, hence one demo at a
// time.
func Start(opts Options) (_ *Demo, err error) {
	host, port, err := siteAddress(opts.Addr)
	if err != nil {
		return nil, err
	}
	d := &Demo{URL: "http://" + net.JoinHostPort(host, port)}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.Close())
		}
	}()

	temp, err := os.MkdirTemp("", "oidc-rp-demo-")
	if err != nil {
		return nil, fmt.Errorf("making a temporary folder: %w", err)
	}
	d.onClose(func() error { return os.RemoveAll(temp) })
	if err := os.CopyFS(temp, siteFiles); err != nil {
		return nil, fmt.Errorf("unpacking the site's files: %w", err)
	}
	if err := os.WriteFile(filepath.Join(temp, "site", "Caddyfile.txt"), caddyfile, 0o600); err != nil {
		return nil, fmt.Errorf("unpacking the Caddyfile: %w", err)
	}
	if opts.Storage == "" {
		opts.Storage = filepath.Join(temp, "storage")
	}

	issuerHost, issuerPort, err := providerAddress(host, opts.ProviderPort)
	if err != nil {
		return nil, err
	}
	d.ProviderURL = "http://" + net.JoinHostPort(issuerHost, issuerPort)
	appAddr, err := d.serve("127.0.0.1:0", func(string) (http.Handler, error) { return app.Handler(), nil })
	if err != nil {
		return nil, err
	}

	level := "WARN"
	if opts.Verbose {
		level = "DEBUG"
	}
	if err := startCaddy(map[string]string{
		"DEMO_HOST":      host,
		"DEMO_PORT":      port,
		"DEMO_SITE":      filepath.Join(temp, "site"),
		"DEMO_STORAGE":   opts.Storage,
		"DEMO_APP":       appAddr,
		"DEMO_ISSUER":    d.ProviderURL,
		"DEMO_LOG_LEVEL": level,
	}); err != nil {
		return nil, err
	}
	d.onClose(stopCaddy)
	return d, addUsers()
}

// Close ends everything in the opposite order and removes the temporary files.
func (d *Demo) Close() error {
	var errs []error
	for len(d.closers) > 0 {
		last := len(d.closers) - 1
		errs = append(errs, d.closers[last]())
		d.closers = d.closers[:last]
	}
	return errors.Join(errs...)
}

// onClose has Close call a function.
func (d *Demo) onClose(closer func() error) { d.closers = append(d.closers, closer) }

// providerAddress returns the host and port of the identity provider. It gets another
// host name than the site: cookies know no ports, and those of the two would mix.
func providerAddress(siteHost string, wanted int) (host, port string, err error) {
	host = "localhost"
	if siteHost == host {
		host = "127.0.0.1"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(wanted)))
	if err != nil {
		return "", "", fmt.Errorf("starting the identity provider: %w", err)
	}
	_, port, err = net.SplitHostPort(listener.Addr().String())
	return host, port, errors.Join(err, listener.Close())
}

// serve starts an HTTP server whose handler may depend on the address it got,
// and returns this address.
func (d *Demo) serve(addr string, handler func(addr string) (http.Handler, error)) (string, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", fmt.Errorf("listening: %w", err)
	}
	h, err := handler(listener.Addr().String())
	if err != nil {
		return "", errors.Join(err, listener.Close())
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	d.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		return server.Shutdown(ctx)
	})
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			slog.Error("a server of the demo ended", "address", addr, "error", err)
		}
	}()
	return listener.Addr().String(), nil
}

// siteAddress checks the address of the flag -addr and that it is free, and
// returns its host and port. Caddy would share a port with another Caddy, and
// every second request would go astray.
func siteAddress(addr string) (host, port string, err error) {
	host, _, err = net.SplitHostPort(addr)
	if err != nil {
		return "", "", fmt.Errorf("-addr %s is not an address such as %s: %w", addr, defaultAddr, err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || ip.To4() == nil || !ip.IsLoopback()) {
		return "", "", fmt.Errorf("-addr %s is not on loopback; the demo speaks plain HTTP and has known passwords, so it must not be reached from elsewhere. Try %s", addr, defaultAddr)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", "", fmt.Errorf("%w; choose another address with -addr, for example -addr 127.0.0.1:9190", err)
	}
	_, port, err = net.SplitHostPort(listener.Addr().String())
	return host, port, errors.Join(err, listener.Close())
}
