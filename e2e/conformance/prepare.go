package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"debug/buildinfo"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// driver prepares what all plans share. It writes its files to the folder.
func (f flags) driver(ctx context.Context, folder string, out io.Writer) (*driver, error) {
	site, err := url.Parse(f.site)
	if err != nil {
		return nil, err
	}
	if site.Scheme != "https" || site.Host == "" || site.Path != "" {
		return nil, fmt.Errorf("-site must be an https origin without a path, got %q", f.site)
	}
	d := &driver{caddy: f.caddy, origin: f.site, bind: f.bind, limit: f.patience, only: f.module, out: out}
	if d.credentials, err = newCredentials(site.Hostname()); err != nil {
		return nil, err
	}
	trusted, err := f.trusted(ctx)
	if err != nil {
		return nil, err
	}
	if trusted != nil {
		d.trust = filepath.Join(folder, "suite.pem")
		if err := os.WriteFile(d.trust, trusted, 0o600); err != nil {
			return nil, err
		}
	}
	if err := d.prepareCaddy(ctx, folder); err != nil {
		return nil, err
	}
	d.http = f.client(site, d.credentials.authority, trusted)
	d.suite = &suite{base: strings.TrimRight(f.suite, "/") + "/", token: os.Getenv("CONFORMANCE_TOKEN"), http: d.http, poll: f.poll}
	return d, nil
}

// trusted returns the certificates for TLS to the suite, or nil for the system's.
func (f flags) trusted(ctx context.Context) ([]byte, error) {
	if f.ca != "" {
		return os.ReadFile(f.ca)
	}
	if !f.insecure {
		return nil, nil
	}
	u, err := url.Parse(f.suite)
	if err != nil {
		return nil, err
	}
	dialer := &tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} // the operator asked for it
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(local(u.Hostname()), port(u)))
	if err != nil {
		return nil, fmt.Errorf("reading the suite's certificate: %w", err)
	}
	defer conn.Close()
	var b strings.Builder
	for _, c := range conn.(*tls.Conn).ConnectionState().PeerCertificates {
		if err := pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}); err != nil {
			return nil, err
		}
	}
	return []byte(b.String()), nil
}

// client returns a client that trusts the certificates of the site and the suite.
func (f flags) client(site *url.URL, authority *x509.CertPool, trusted []byte) *http.Client {
	pool, err := x509.SystemCertPool()
	if err != nil || trusted != nil {
		pool = x509.NewCertPool()
		pool.AppendCertsFromPEM(trusted)
	}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		if host == site.Hostname() {
			host = f.bind
		}
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(local(host), port))
	}
	// The site's authority is trusted only for the site.
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, VerifyConnection: func(s tls.ConnectionState) error {
		roots := pool
		if s.ServerName == site.Hostname() {
			roots = authority
		}
		between := x509.NewCertPool()
		for _, c := range s.PeerCertificates[1:] {
			between.AddCert(c)
		}
		_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: s.ServerName})
		return err
	}}
	return &http.Client{
		Transport:     &http.Transport{DialContext: dial, TLSClientConfig: config, DisableKeepAlives: true},
		Timeout:       f.patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// local resolves the names that every browser resolves to this machine.
func local(host string) string {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return "127.0.0.1"
	}
	return host
}

// tree returns the folder of the repository that the command runs in.
func tree() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "e2e", "conformance", "Caddyfile")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("run this in the repository, or name -caddy, -results and -out")
		}
		dir = parent
	}
}

// prepareCaddy builds Caddy with the plugin from this tree, unless the operator has named
// one, and finds its commit.
func (d *driver) prepareCaddy(ctx context.Context, folder string) (err error) {
	if d.caddy != "" {
		d.commit, err = commitOf(d.caddy)
		return err
	}
	tree, err := tree()
	if err != nil {
		return err
	}
	d.caddy = filepath.Join(folder, "caddy")
	if err := build(ctx, tree, d.caddy); err != nil {
		return err
	}
	d.commit, err = commitOfTree(ctx, tree)
	return err
}

func build(ctx context.Context, tree, out string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", out, "./cmd/caddy")
	cmd.Dir = tree
	cmd.Env = append(os.Environ(), "GOWORK=off")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building Caddy: %w\n%s", err, text)
	}
	return nil
}

const changed = " with changes"

func commitOfTree(ctx context.Context, tree string) (string, error) {
	git := func(args ...string) (string, error) {
		text, err := exec.CommandContext(ctx, "git", append([]string{"-C", tree}, args...)...).Output()
		if err != nil {
			return "", fmt.Errorf("git %s: %w", args[0], err)
		}
		return strings.TrimSpace(string(text)), nil
	}
	commit, err := git("rev-parse", "--short=7", "HEAD")
	if err != nil {
		return "", err
	}
	changes, err := git("status", "--porcelain", "--", "*.go", "go.mod", "go.sum", "pages")
	if err == nil && changes != "" {
		commit += changed
	}
	return commit, err
}

// commitOf returns the commit that a Caddy was built from, if Go has recorded it.
func commitOf(program string) (string, error) {
	b, err := buildinfo.ReadFile(program)
	if err != nil {
		return "", fmt.Errorf("%s: %w", program, err)
	}
	commit := "unknown"
	for _, s := range b.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) > 7:
			commit = s.Value[:7]
		case s.Key == "vcs.modified" && s.Value == "true":
			commit += changed
		}
	}
	return commit, nil
}
