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

// defaultAddr is the default of the flag -addr.
const defaultAddr = "127.0.0.1:9090"

// siteFiles has the public pages. Caddy serves them from a copy on disk, like
// the pages of a real site.
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

// users are the users of the identity provider.
var users = []user{{
	Name: "alice", Password: "wonderland",
	DisplayName: "Alice Adams", GivenName: "Alice", FamilyName: "Adams", Email: "alice@example.com",
	Groups: []string{"admins", "staff"},
}, {
	Name: "bob", Password: "buildings",
	DisplayName: "Bob Brown", GivenName: "Bob", FamilyName: "Brown", Email: "bob@example.com",
	Groups: []string{"staff"},
}}

// Options are the options of the command line.
type Options struct {
	// Addr is the host and port of the site. The host must be on loopback. Port
	// 0 means any free port.
	Addr string
	// ProviderPort is the port of the identity provider. 0 means any free port.
	ProviderPort int
	// Storage is the folder of Caddy's storage. Default: a temporary folder.
	Storage string
	// Verbose makes Caddy log everything, not only warnings and errors.
	Verbose bool
}

// Demo is a running demo.
type Demo struct {
	// URL and ProviderURL are the addresses of the site and the provider.
	URL, ProviderURL string

	closers []func() error // called in reverse order
}

// Start starts the application, and Caddy with the identity provider, and returns
// when both can be used. A process can have only one Caddy, and therefore only one
// demo at a time.
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

// Close stops everything in reverse order and removes the temporary files.
func (d *Demo) Close() error {
	var errs []error
	for len(d.closers) > 0 {
		last := len(d.closers) - 1
		errs = append(errs, d.closers[last]())
		d.closers = d.closers[:last]
	}
	return errors.Join(errs...)
}

// onClose registers a function for Close to call.
func (d *Demo) onClose(closer func() error) { d.closers = append(d.closers, closer) }

// providerAddress returns the host and port of the identity provider. The host
// differs from that of the site, because cookies do not distinguish ports and the two
// would get each other's cookies.
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

// serve starts an HTTP server and returns its address. The handler may depend
// on that address.
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

// siteAddress checks the address of the flag -addr and returns its host and
// port. It returns an error if the port is in use: Caddy would share it with
// another Caddy, which would get some of the requests.
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
