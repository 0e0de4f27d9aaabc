package redis

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"
)

const (
	defaultPrefix  = "oidc_rp:"
	defaultTimeout = 500 * time.Millisecond
	minTimeout     = 50 * time.Millisecond
	maxTimeout     = 10 * time.Second
)

// settings are the resolved options of a Store: everything that a link depends on.
type settings struct {
	Network            string // tcp or unix
	Addresses          []string
	Master             string // if set, the addresses are those of Sentinels
	Cluster            bool
	Username, Password string
	Database           int

	SentinelUsername, SentinelPassword string

	TLS                     bool
	CA                      []string
	Certificate, PrivateKey string
	ServerName              string

	Prefix  string
	Timeout time.Duration

	tls *tls.Config
}

// fingerprint returns a hash of all settings.
func (c settings) fingerprint() (string, error) {
	inputs, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(inputs)
	return hex.EncodeToString(sum[:]), nil
}

// check returns an error for invalid options. It expands nothing, so that the
// Caddyfile parser can use it as well.
func (s *Store) check() error {
	places := 0
	for _, given := range []bool{s.URL != "", len(s.Addresses) > 0, s.Sentinel != nil} {
		if given {
			places++
		}
	}
	sentinel, certificates, timeout := orZero(s.Sentinel), orZero(s.TLS), time.Duration(s.Timeout)
	for _, rule := range []struct {
		broken  bool
		message string
	}{
		{places == 0, "there is no URL, address or sentinel"},
		{places > 1, "a URL, address and sentinel exclude each other"},
		{s.Sentinel != nil && (sentinel.Master == "" || len(sentinel.Addresses) == 0), "sentinel: the master's name and at least one address are needed"},
		{s.Sentinel != nil && s.Cluster, "sentinel and cluster exclude each other"},
		{s.Database < 0, "database: the number is negative"},
		{s.Username != "" && s.Password == "", "username: the password is missing"},
		{sentinel.Username != "" && sentinel.Password == "", "sentinel: username: the password is missing"},
		{(certificates.ClientCertificate == "") != (certificates.ClientKey == ""), "tls: client_certificate and its key belong together"},
	} {
		if rule.broken {
			return errors.New(rule.message)
		}
	}
	if s.URL != "" && !strings.Contains(s.URL, "{") {
		if err := (&settings{TLS: s.TLS != nil}).parse(s.URL); err != nil {
			return fmt.Errorf("url: %w", err)
		}
	}
	if timeout != 0 && (timeout < minTimeout || timeout > maxTimeout) {
		return fmt.Errorf("timeout: %s is not from %s to %s", timeout, minTimeout, maxTimeout)
	}
	return nil
}

// orZero returns *p, or the zero value if p is nil.
func orZero[T any](p *T) (value T) {
	if p != nil {
		value = *p
	}
	return value
}

// resolve returns the expanded and checked settings. It does not change the
// options.
func (s *Store) resolve() (settings, error) {
	if err := s.check(); err != nil {
		return settings{}, err
	}
	var e expander
	c := settings{
		Network: "tcp", Cluster: s.Cluster || len(s.Addresses) > 1, Database: s.Database,
		Username: e.text("username", s.Username), Password: e.text("password", s.Password),
		Addresses: e.addresses("address", s.Addresses, "6379"),
		Prefix:    e.text("prefix", s.Prefix), Timeout: time.Duration(s.Timeout),
	}
	if c.Prefix == "" {
		c.Prefix = defaultPrefix
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if s.Sentinel != nil {
		c.Master = e.text("sentinel", s.Sentinel.Master)
		c.Addresses = e.addresses("sentinel", s.Sentinel.Addresses, "26379")
		c.SentinelUsername = e.text("sentinel username", s.Sentinel.Username)
		c.SentinelPassword = e.text("sentinel password", s.Sentinel.Password)
	}
	if s.TLS != nil {
		c.TLS = true
		for _, name := range s.TLS.CA {
			c.CA = append(c.CA, e.file("tls ca", name))
		}
		c.Certificate = e.file("tls client_certificate", s.TLS.ClientCertificate)
		c.PrivateKey = e.file("tls client_certificate", s.TLS.ClientKey)
		c.ServerName = e.text("tls server_name", s.TLS.ServerName)
	}
	address := e.text("url", s.URL)
	if e.err != nil {
		return settings{}, e.err
	}
	if address != "" {
		if err := c.parse(address); err != nil {
			return settings{}, fmt.Errorf("url: %w", err)
		}
	}
	if c.Cluster && c.Database != 0 {
		return settings{}, errors.New("database: a cluster has none")
	}
	if c.Cluster && c.Network == "unix" {
		return settings{}, errors.New("cluster: its nodes are not reached by a unix socket")
	}
	return c, c.readTLS()
}

// parse parses a URL. Its errors do not repeat it, since it may contain a password.
func (c *settings) parse(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return errors.New("it is none, or its password is not percent-encoded")
	}
	if err := c.parseScheme(u); err != nil {
		return err
	}
	if u.Fragment != "" || u.Opaque != "" {
		return errors.New("it has parts that it cannot have")
	}
	database, err := c.parseAddress(u)
	if err != nil {
		return err
	}
	if err := c.parseDatabase(u, database); err != nil {
		return err
	}
	if u.User == nil {
		return nil
	}
	if c.Username != "" || c.Password != "" {
		return errors.New("a user or password is in it and in an option")
	}
	c.Username = u.User.Username()
	if c.Password, _ = u.User.Password(); c.Password == "" {
		return errors.New("it has a user and no password")
	}
	return nil
}

// parseScheme parses the scheme, which determines whether there is TLS or a unix
// socket.
func (c *settings) parseScheme(u *url.URL) error {
	withTLS := c.TLS
	switch u.Scheme {
	case "redis", "valkey":
		if withTLS {
			return fmt.Errorf("tls: a URL with TLS begins with %ss://", u.Scheme)
		}
	case "rediss", "valkeys":
		c.TLS = true
	case "unix", "redis+unix", "valkey+unix":
		if withTLS {
			return errors.New("tls: a unix socket has none")
		}
		c.Network = "unix"
	default:
		return errors.New("it begins with redis://, rediss://, valkey://, valkeys:// or unix://")
	}
	return nil
}

// parseAddress parses the host or the path of a unix socket. It returns the
// database in the path of a URL with a host.
func (c *settings) parseAddress(u *url.URL) (database string, err error) {
	if c.Network == "unix" {
		if u.Host != "" || !strings.HasPrefix(u.Path, "/") {
			return "", errors.New("the path of the socket begins with /")
		}
		c.Addresses = []string{u.Path}
		return "", nil
	}
	if u.Hostname() == "" {
		return "", errors.New("it has no host")
	}
	c.Addresses = []string{withPort(u.Host, "6379")}
	return strings.TrimPrefix(u.Path, "/"), nil
}

// parseDatabase parses the database, in the path or the query.
func (c *settings) parseDatabase(u *url.URL, database string) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("its query is none")
	}
	for name, values := range query {
		if name != "db" || len(values) != 1 || database != "" {
			return errors.New("its query names one database, as db, and nothing else")
		}
		database = values[0]
	}
	if database == "" {
		return nil
	}
	number, err := strconv.Atoi(database)
	if err != nil || number < 0 {
		return errors.New("the database is not a number")
	}
	if c.Database != 0 && c.Database != number {
		return errors.New("it and the option name different databases")
	}
	c.Database = number
	return nil
}

func (c *settings) readTLS() error {
	if !c.TLS {
		return nil
	}
	c.tls = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if len(c.CA) > 0 {
		c.tls.RootCAs = x509.NewCertPool()
		for _, pem := range c.CA {
			if !c.tls.RootCAs.AppendCertsFromPEM([]byte(pem)) {
				return errors.New("tls ca: a file holds no certificate")
			}
		}
	}
	if c.Certificate != "" {
		pair, err := tls.X509KeyPair([]byte(c.Certificate), []byte(c.PrivateKey))
		if err != nil {
			return fmt.Errorf("tls client_certificate: %w", err)
		}
		// Send the certificate even if the server names other authorities.
		c.tls.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	return nil
}

func withPort(address, port string) string {
	if _, _, err := net.SplitHostPort(address); err == nil {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), port)
}

// expander expands placeholders, and keeps the first error.
type expander struct{ err error }

func (e *expander) text(option, text string) string {
	if e.err != nil || text == "" {
		return ""
	}
	expanded, err := caddy.NewReplacer().ReplaceOrErr(text, true, true)
	if err != nil {
		e.err = fmt.Errorf("%s: %w", option, err)
	}
	return expanded
}

func (e *expander) addresses(option string, texts []string, port string) (addresses []string) {
	for _, text := range texts {
		addresses = append(addresses, withPort(e.text(option, text), port))
	}
	return addresses
}

func (e *expander) file(option, name string) string {
	name = e.text(option, name)
	if e.err != nil || name == "" {
		return ""
	}
	content, err := os.ReadFile(name)
	if err == nil && len(content) == 0 {
		err = fmt.Errorf("%s is empty", name)
	}
	if err != nil {
		e.err = fmt.Errorf("%s: %w", option, err)
	}
	return string(content)
}
