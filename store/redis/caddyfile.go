package redis

import (
	"math"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
)

// UnmarshalCaddyfile reads the store from a Caddyfile:
//
//	redis [<url>] {
//		address     <host:port>...
//		sentinel    <master> <host:port>... {
//			username <name>
//			password <password>
//		}
//		cluster
//		username    <name>
//		password    <password>
//		database    <number>
//		tls {
//			ca                 <file>...
//			client_certificate <file> <key file>
//			server_name        <name>
//		}
//		prefix      <text>
//		timeout     <duration>
//	}
func (s *Store) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	switch args := d.RemainingArgs(); {
	case len(args) > 1:
		return d.Errf("redis takes one URL, not %d", len(args))
	case len(args) == 1:
		s.URL = args[0]
		if s.URL == "" {
			return d.Err("the URL is empty")
		}
	}
	begun := d.Token()
	err := caddyargs.Block(d, "redis", caddyargs.Options{
		"address":  func() error { return caddyargs.ListArg(d, &s.Addresses) },
		"sentinel": func() error { return s.parseSentinel(d) },
		"cluster":  func() error { return caddyargs.FlagArg(d, &s.Cluster) },
		"username": func() error { return caddyargs.StringArg(d, &s.Username) },
		"password": func() error { return caddyargs.StringArg(d, &s.Password) },
		"database": func() error { return s.parseDatabase(d) },
		"tls":      func() error { return s.parseTLS(d) },
		"prefix":   func() error { return caddyargs.StringArg(d, &s.Prefix) },
		"timeout":  func() error { return s.parseTimeout(d) },
	})
	if err != nil {
		return err
	}
	if err := s.check(); err != nil {
		return caddyargs.At(begun).Errf("redis: %w", err)
	}
	return nil
}

func (s *Store) parseSentinel(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 2 {
		return d.Err("sentinel takes the master's name and at least one address")
	}
	s.Sentinel = &Sentinel{Master: args[0], Addresses: args[1:]}
	return caddyargs.Block(d, "sentinel", caddyargs.Options{
		"username": func() error { return caddyargs.StringArg(d, &s.Sentinel.Username) },
		"password": func() error { return caddyargs.StringArg(d, &s.Sentinel.Password) },
	})
}

func (s *Store) parseTLS(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	s.TLS = new(TLS)
	return caddyargs.Block(d, "tls", caddyargs.Options{
		"ca":          func() error { return caddyargs.ListArg(d, &s.TLS.CA) },
		"server_name": func() error { return caddyargs.StringArg(d, &s.TLS.ServerName) },
		"client_certificate": func() error {
			var files []string
			if err := caddyargs.ListArg(d, &files); err != nil {
				return err
			}
			if len(files) != 2 {
				return d.Err("client_certificate takes two files: the certificate and its key")
			}
			s.TLS.ClientCertificate, s.TLS.ClientKey = files[0], files[1]
			return nil
		},
	})
}

func (s *Store) parseDatabase(d *caddyfile.Dispenser) error {
	return caddyargs.IntArg(d, &s.Database, 0, math.MaxInt, "is not a number like 0 or 1")
}

func (s *Store) parseTimeout(d *caddyfile.Dispenser) error {
	var text string
	if err := caddyargs.StringArg(d, &text); err != nil {
		return err
	}
	timeout, err := caddy.ParseDuration(text)
	if err != nil || timeout < minTimeout || timeout > maxTimeout {
		return d.Errf("timeout: '%s' is not from %s to %s", text, minTimeout, maxTimeout)
	}
	s.Timeout = caddy.Duration(timeout.Round(time.Millisecond))
	return nil
}

var _ caddyfile.Unmarshaler = (*Store)(nil)
