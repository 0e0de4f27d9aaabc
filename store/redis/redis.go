// Package redis keeps sessions in Redis 6 or newer, or Valkey: one server, one
// behind Sentinels, or a cluster.
//
// # What the server must allow
//
// A user of its own needs these rules and no others, where the prefix is the
// default one:
//
//	ACL SETUSER oidc_rp on >password resetkeys ~oidc_rp:* resetchannels -@all
//	    +client|tracking +select +ping +echo
//	    +get +set +unlink +pttl +multi +exec +eval +evalsha
//
// In a cluster also +cluster|slots and +cluster|shards, behind Sentinels also
// +role. With +info the log says when the server may evict sessions. A user
// at the Sentinels needs
//
//	ACL SETUSER watcher on >password allchannels -@all +client|tracking +ping
//	    +subscribe +unsubscribe +sentinel|sentinels +sentinel|master
//	    +sentinel|get-master-addr-by-name
//
// # What is kept nearby, and for how long
//
// Load answers from copies in memory, of records and of their absence. The
// server reports when one changes, and no copy is used for longer than ten
// seconds, whatever the server reports. All copies of a connection end with it. A
// server that is silent is found out by a PING: no copy is trusted longer than
// 0.8 s and the timeout after the server was last heard, which is 1.3 s unless
// the option timeout says otherwise.
package redis

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store"
)

func init() { caddy.RegisterModule(new(Store)) }

// Store keeps sessions in Redis or Valkey. One of `url`, `addresses` and `sentinel`
// says where the server is. All nodes of a site with the same server, database and
// prefix share their sessions.
//
// Texts may hold placeholders such as `{env.NAME}` and `{file./path}`.
type Store struct {
	// The server's address: `redis://`, `rediss://` (with TLS), `valkey://`,
	// `valkeys://`, or `unix://` with the path of a socket. It may contain a
	// percent-encoded user name and password, and may end with the database number,
	// as in `redis://127.0.0.1:6379/1` or `unix:///run/redis.sock?db=1`.
	URL string `json:"url,omitempty"`

	// Servers as `host:port`, instead of a URL. The default port is 6379. Several
	// servers are nodes of a cluster.
	Addresses []string `json:"addresses,omitempty"`

	// The Sentinels that know the server, instead of a URL.
	Sentinel *Sentinel `json:"sentinel,omitempty"`

	// Whether the server is a node of a cluster; it knows the other nodes. A
	// cluster has no numbered databases.
	Cluster bool `json:"cluster,omitempty"`

	// The user name for the server. Default: the server's user `default`.
	Username string `json:"username,omitempty"`

	// The user's password. Default: none.
	Password string `json:"password,omitempty"`

	// The database number. Default: 0.
	Database int `json:"database,omitempty"`

	// TLS settings, for Sentinels as well. Default: TLS with the system's
	// authorities if the URL has `rediss` or `valkeys`, otherwise no TLS.
	TLS *TLS `json:"tls,omitempty"`

	// The prefix of all keys. Default: `oidc_rp:`.
	Prefix string `json:"prefix,omitempty"`

	// How long a response may take, from `50ms` to `10s`. Default: `500ms`.
	Timeout caddy.Duration `json:"timeout,omitempty"`

	*link   `json:"-"`
	release func() error
}

// Sentinel is a server that Sentinels know.
type Sentinel struct {
	// The name by which the Sentinels know the server.
	Master string `json:"master,omitempty"`

	// Sentinels as `host:port`. The default port is 26379.
	Addresses []string `json:"addresses,omitempty"`

	// The user name for the Sentinels. Default: their user `default`.
	Username string `json:"username,omitempty"`

	// The password for the Sentinels. Default: none.
	Password string `json:"password,omitempty"`
}

// TLS configures TLS to the server.
type TLS struct {
	// PEM files of the certificate authorities to trust. Default: the system's.
	CA []string `json:"ca,omitempty"`

	// PEM file of a client certificate to present. Default: none.
	ClientCertificate string `json:"client_certificate,omitempty"`

	// PEM file of the client certificate's private key.
	ClientKey string `json:"client_key,omitempty"`

	// The name in the server's certificate. Default: the host of its address.
	ServerName string `json:"server_name,omitempty"`
}

// CaddyModule returns the module's name and constructor.
func (*Store) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  store.Namespace + ".redis",
		New: func() caddy.Module { return new(Store) },
	}
}

// Provision implements caddy.Provisioner. It does not connect.
func (s *Store) Provision(ctx caddy.Context) error {
	resolved, err := s.resolve()
	if err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	s.link, s.release, err = acquire(resolved, ctx.Logger())
	return err
}

// Cleanup implements caddy.CleanerUpper. It releases the connections.
func (s *Store) Cleanup() error {
	if s.release == nil {
		return nil
	}
	release := s.release
	s.release = nil
	return release()
}

// MarshalLogObject implements zapcore.ObjectMarshaler. It keeps passwords, and the
// URL, out of logs.
func (s *Store) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("prefix", s.Prefix)
	enc.AddBool("cluster", s.Cluster)
	enc.AddInt("database", s.Database)
	return nil
}

// links holds connections and copies of records across reloads.
var links = caddy.NewUsagePool()

var errClosed = errors.New("the configuration has ended")

// Interface guards
var (
	_ caddy.Module            = (*Store)(nil)
	_ caddy.Provisioner       = (*Store)(nil)
	_ caddy.CleanerUpper      = (*Store)(nil)
	_ zapcore.ObjectMarshaler = (*Store)(nil)
	_ store.Store             = (*Store)(nil)
)
