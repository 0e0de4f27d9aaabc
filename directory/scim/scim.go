// Package scim is the directory of the users of a SCIM server (RFC 7644).
//
// It knows how to ask such a server, what its answers mean, and how long they
// are valid. It knows nothing about sign-ins.
package scim

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clock"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
)

func init() { caddy.RegisterModule(SCIM{}) }

const (
	defaultCache = 5 * time.Minute
	defaultGrace = time.Hour
	// timeout is how long the server may take to answer.
	timeout = 5 * time.Second
)

// SCIM knows the users of a SCIM server (RFC 7644). It asks for `userName eq
// "<name>"`. A user is known if the response has exactly one resource, whose
// `userName` is the name and whose `active` is absent or true.
//
// The server is asked for the name as the provider gave it, without the id of the
// provider. It is therefore asked only about users of one provider: the default
// one, unless `providers` names others.
type SCIM struct {
	// The base URL of the server, without `/Users`. It must be `https`, except
	// on loopback. Redirects are not followed.
	URL string `json:"url"`

	// The bearer token for the server. Use `{env.NAME}` or `{file./path}`; a file
	// is read at each use. Default: none.
	Token string `json:"token,omitempty"`

	// How long the server's answers are cached. Users who are removed there are
	// signed out here at most this much later. An answer that there is no such user
	// is cached for at most 30 seconds. Default: `5m`.
	Cache caddy.Duration `json:"cache,omitempty"`

	// How long a known user stays known while the server does not answer. After
	// that, the user's requests get 503. Default: `1h`.
	Grace *caddy.Duration `json:"grace,omitempty"`

	// Whether to ignore the case of ASCII letters in names. Default: false.
	IgnoreCase bool `json:"ignore_case,omitempty"`

	// PEM files of the certificate authorities to trust. They are reread when
	// they change. Default: the system's authorities.
	CA []string `json:"ca,omitempty"`

	// The ids of the providers whose users the directory covers. Default: the
	// default provider of the site.
	ProviderIDs []string `json:"providers,omitempty"`

	logger  *zap.Logger
	answers *answers
	terms   terms
	tenants *sync.Once // for logging that tenants are not supported
	release func() error
}

// CaddyModule returns the module's registration.
func (SCIM) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: directory.Namespace + ".scim", New: func() caddy.Module { return new(SCIM) }}
}

// pool has the answers of servers, which survive a reload.
var pool = caddy.NewUsagePool()

var placeholders = placeholder.Expander{Replace: func(text string) (string, error) {
	return caddy.NewReplacer().ReplaceOrErr(text, true, true)
}}

// Provision checks the options. It makes no request.
func (s *SCIM) Provision(ctx caddy.Context) error {
	s.logger, s.tenants = ctx.Logger(), new(sync.Once)
	clock := clock.ForConfig()
	text, err := placeholders.Expand(s.URL)
	if err != nil {
		return fmt.Errorf("url: %w", err)
	}
	base, err := parseURL(text)
	if err != nil {
		return fmt.Errorf("url: %w", err)
	}
	if err := s.checkToken(); err != nil {
		return err
	}
	transport, err := s.newTransport(base, clock.Now)
	if err != nil {
		return err
	}
	c := &client{base: base, token: s.token, http: transport, ignoreCase: s.IgnoreCase, odd: s.logOdd(clock.Now)}
	s.terms = terms{
		cache: time.Duration(s.Cache), grace: defaultGrace,
		now: clock.Now, patience: func() time.Duration { return clock.Timeout(timeout) },
		ask:    func(ctx context.Context, name string) (bool, error) { return c.ask(ctx, name, clock.Now()) },
		notify: s.logEvent(clock.Now),
	}
	if s.Cache == 0 {
		s.terms.cache = defaultCache
	}
	if s.Grace != nil {
		s.terms.grace = time.Duration(*s.Grace)
	}
	if s.terms.cache < 0 || s.terms.grace < 0 {
		return errors.New("cache and grace must not be negative")
	}
	return s.join(base)
}

// newTransport returns the transport for the option ca.
func (s *SCIM) newTransport(base *url.URL, now func() time.Time) (transport, error) {
	var files []string
	for _, text := range s.CA {
		file, err := placeholders.Expand(text)
		if err != nil {
			return transport{}, fmt.Errorf("ca: %w", err)
		}
		files = append(files, file)
	}
	return newTransport(base, files, now, s.logFile)
}

// token returns the current bearer token.
func (s *SCIM) token() (string, error) { return placeholders.Expand(s.Token) }

// checkToken returns an error if the token cannot be read, and logs a warning if it
// is the name of a file.
func (s *SCIM) checkToken() error {
	token, err := s.token()
	if err != nil {
		return fmt.Errorf("token: %w", err)
	}
	if placeholder.NamesFile(token) {
		s.logger.Warn("the value of this option looks like a file name, and is used literally; to use the content of the file, write a placeholder", zap.String("event", "option_names_file"),
			zap.String("option", "known_users scim: token"), zap.String("placeholder", "{file."+token+"}"))
	}
	return nil
}

// join sets s.answers, which are shared by configurations that ask the server in
// the same way. The token is part of that, because the answers may depend on it.
func (s *SCIM) join(base *url.URL) error {
	way, err := json.Marshal([]any{base.String(), s.Token, s.IgnoreCase, s.CA})
	if err != nil {
		return err
	}
	key := sha256.Sum256(way)
	value, _, err := pool.LoadOrNew(key, func() (caddy.Destructor, error) { return newAnswers(), nil })
	if err != nil {
		return err
	}
	s.answers = value.(*answers)
	s.release = func() error {
		_, err := pool.Delete(key)
		return err
	}
	return nil
}

// Cleanup releases the answers. Requests in progress continue.
func (s *SCIM) Cleanup() error {
	if s.release == nil {
		return nil
	}
	release := s.release
	s.release = nil
	return release()
}

// UnmarshalCaddyfile reads the options. Syntax:
//
//	known_users scim <url> {
//		token       <token>
//		cache       <duration>
//		grace       <duration>
//		ignore_case
//		ca          <file>...
//		provider    <id>...
//	}
func (s *SCIM) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directory's name
	err := caddyargs.CheckedArg(d, &s.URL, func(text string) error {
		if strings.Contains(text, "{") {
			return nil // Provision checks it after resolving placeholders
		}
		_, err := parseURL(text)
		return err
	})
	if err != nil {
		return err
	}
	return caddyargs.Block(d, "scim", caddyargs.Options{
		"token":       func() error { return caddyargs.StringArg(d, &s.Token) },
		"cache":       func() error { return caddyargs.PositiveDurationArg(d, &s.Cache) },
		"grace":       func() error { return caddyargs.DurationArg(d, &s.Grace) },
		"ignore_case": func() error { return caddyargs.FlagArg(d, &s.IgnoreCase) },
		"ca":          func() error { return caddyargs.ListArg(d, &s.CA) },
		"provider":    func() error { return caddyargs.ListArg(d, &s.ProviderIDs) },
	})
}

// Knows reports whether the server knows a user. It is a map lookup while the
// remembered answer is valid. It returns an UnavailableError if the server does
// not answer.
func (s *SCIM) Knows(ctx context.Context, user directory.User) (bool, error) {
	switch {
	case user.Name == "" || len(s.ProviderIDs) == 0 && !user.Default:
		return false, nil
	case user.Tenant != "":
		// Users of different tenants can have the same name, and the server is
		// asked only for the name.
		s.tenants.Do(func() {
			s.logger.Warn("a SCIM directory cannot know users of a provider with several tenants, because their names may be the same", zap.String("event", "directory_useless"), zap.String("provider", user.Provider))
		})
		return false, nil
	}
	return s.answers.knows(ctx, who{user.Provider, user.Name}, &s.terms)
}

// Providers implements directory.Limited. Without ids, Knows covers only the
// default provider.
func (s *SCIM) Providers() []string { return s.ProviderIDs }

// MarshalLogObject keeps the token out of logs that print whole modules.
func (s *SCIM) MarshalLogObject(enc zapcore.ObjectEncoder) error {
	enc.AddString("url", s.URL)
	return nil
}

// Interface guards
var (
	_ caddy.Provisioner       = (*SCIM)(nil)
	_ caddy.CleanerUpper      = (*SCIM)(nil)
	_ caddyfile.Unmarshaler   = (*SCIM)(nil)
	_ directory.Directory     = (*SCIM)(nil)
	_ directory.Limited       = (*SCIM)(nil)
	_ zapcore.ObjectMarshaler = (*SCIM)(nil)
)
