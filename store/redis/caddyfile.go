package redis

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
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
	err := block(d, "redis", map[string]func() error{
		"address":  func() error { return someArgs(d, &s.Addresses) },
		"sentinel": func() error { return s.parseSentinel(d) },
		"cluster":  func() error { return noArgs(d, &s.Cluster) },
		"username": func() error { return oneArg(d, &s.Username) },
		"password": func() error { return oneArg(d, &s.Password) },
		"database": func() error { return s.parseDatabase(d) },
		"tls":      func() error { return s.parseTLS(d) },
		"prefix":   func() error { return oneArg(d, &s.Prefix) },
		"timeout":  func() error { return s.parseTimeout(d) },
	})
	if err != nil {
		return err
	}
	if err := s.check(); err != nil {
		place := caddyfile.NewDispenser([]caddyfile.Token{begun})
		place.Next()
		return place.Errf("redis: %w", err)
	}
	return nil
}

func (s *Store) parseSentinel(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 2 {
		return d.Err("sentinel takes the master's name and at least one address")
	}
	s.Sentinel = &Sentinel{Master: args[0], Addresses: args[1:]}
	return block(d, "sentinel", map[string]func() error{
		"username": func() error { return oneArg(d, &s.Sentinel.Username) },
		"password": func() error { return oneArg(d, &s.Sentinel.Password) },
	})
}

func (s *Store) parseTLS(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	s.TLS = new(TLS)
	return block(d, "tls", map[string]func() error{
		"ca":          func() error { return someArgs(d, &s.TLS.CA) },
		"server_name": func() error { return oneArg(d, &s.TLS.ServerName) },
		"client_certificate": func() error {
			var files []string
			if err := someArgs(d, &files); err != nil {
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
	var text string
	if err := oneArg(d, &text); err != nil {
		return err
	}
	number, err := strconv.Atoi(text)
	if err != nil || number < 0 {
		return d.Errf("database: '%s' is not a number like 0 or 1", text)
	}
	s.Database = number
	return nil
}

func (s *Store) parseTimeout(d *caddyfile.Dispenser) error {
	var text string
	if err := oneArg(d, &text); err != nil {
		return err
	}
	timeout, err := caddy.ParseDuration(text)
	if err != nil || timeout < minTimeout || timeout > maxTimeout {
		return d.Errf("timeout: '%s' is not from %s to %s", text, minTimeout, maxTimeout)
	}
	s.Timeout = caddy.Duration(timeout.Round(time.Millisecond))
	return nil
}

// block reads a block of options, each at most once.
func block(d *caddyfile.Dispenser, of string, options map[string]func() error) error {
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		parse, known := options[word]
		if !known {
			return suggest.Hint(d.Errf("unrecognized option '%s' of %s", word, of), word, slices.Collect(maps.Keys(options))...)
		}
		if seen[word] {
			return d.Errf("%s is there twice", word)
		}
		seen[word] = true
		if err := parse(); err != nil {
			return err
		}
	}
	return nil
}

// oneArg reads exactly one argument, which is not empty. Its errors do not
// repeat it: it may be a secret.
func oneArg(d *caddyfile.Dispenser, field *string) error {
	word := d.Val()
	args := d.RemainingArgs()
	if len(args) != 1 {
		return d.Errf("%s takes one argument, not %d", word, len(args))
	}
	if args[0] == "" {
		return d.Errf("%s is empty", word)
	}
	*field = args[0]
	return nil
}

// someArgs reads one or more arguments, each once.
func someArgs(d *caddyfile.Dispenser, field *[]string) error {
	word := d.Val()
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Errf("%s takes at least one argument", word)
	}
	seen := make(map[string]bool)
	for i, arg := range args {
		if arg == "" || seen[arg] {
			return d.Errf("%s: argument %d is empty or there twice", word, i+1)
		}
		seen[arg] = true
	}
	*field = args
	return nil
}

// noArgs reads a flag.
func noArgs(d *caddyfile.Dispenser, field *bool) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	*field = true
	return nil
}

var _ caddyfile.Unmarshaler = (*Store)(nil)
