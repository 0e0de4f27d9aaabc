package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// authorize is the provider's endpoint to which a login redirects.
const authorize = oidctest.Authorize

// profiled is the duration of a CPU profile in seconds.
const profiled = 20

var notInNames = regexp.MustCompile(`[^a-zA-Z0-9]+`)

// profile writes a CPU profile of a server under load, which it gets from
// Caddy's admin endpoint.
func (w *world) profile(r row, c *contender) error {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", filepath.Join(c.server.folder, "admin"))
	}}}
	if err := os.MkdirAll(w.profiles, 0o755); err != nil {
		return err
	}
	name := filepath.Join(w.profiles, notInNames.ReplaceAllString(r.name, "-")+".pprof")
	done := make(chan error, 1)
	go func() {
		done <- fetch(client, fmt.Sprintf("http://127.0.0.1/debug/pprof/profile?seconds=%d", profiled), name)
	}()
	for end := time.Now().Add((profiled + 1) * time.Second); time.Now().Before(end); {
		if err := c.load.run(w.size.requests); err != nil {
			return errors.Join(err, <-done)
		}
	}
	return <-done
}

func fetch(client *http.Client, address, name string) error {
	response, err := client.Get(address)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the profile: %s", response.Status)
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, response.Body)
	return errors.Join(err, f.Close())
}
