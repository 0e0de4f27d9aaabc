// Package scim is the directory whose users are at a SCIM server (RFC 7644).
//
// It knows how to ask such a server, what its answers mean, and how long they
// count. It does not know where users come from.
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
	// timeout is how long the server may take for an answer.
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
	tenants *sync.Once // logs that tenants are not supported
	release func() error
}

// CaddyModule returns the module's registration.
func (SCIM) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: directory.Namespace + ".scim", New: func() caddy.Module { return new(SCIM) }}
}

// pool holds what servers have said while a configuration asks them: a reload
// forgets nothing.
var pool = caddy.NewUsagePool()

var placeholders = placeholder.Expander{Replace: func(text string) (string, error) {
	return caddy.NewReplacer().ReplaceOrErr(text, true, true)
}}

// Provision prepares the requests, and makes none.
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

// newTransport returns how requests are sent.
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

// token returns the bearer token as it is now.
func (s *SCIM) token() (string, error) { return placeholders.Expand(s.Token) }

// checkToken refuses a token that cannot be read, and warns of one that is the name
// of a file.
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

// join takes part in what the server has said to configurations that ask it in the
// same way. With another token it may be another server.
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

// Cleanup gives back what Provision took. Requests that are under way go on.
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
			return nil // it is checked when it is resolved
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

// Knows reports whether the server knows a user: a map lookup while an answer
// counts.
func (s *SCIM) Knows(ctx context.Context, user directory.User) (bool, error) {
	switch {
	case user.Name == "" || len(s.ProviderIDs) == 0 && !user.Default:
		return false, nil
	case user.Tenant != "":
		// Users of two tenants can have the same name, which is all that the server
		// is asked for.
		s.tenants.Do(func() {
			s.logger.Warn("a SCIM directory cannot know users of a provider with several tenants, because their names may be the same", zap.String("event", "directory_useless"), zap.String("provider", user.Provider))
		})
		return false, nil
	}
	return s.answers.knows(ctx, who{user.Provider, user.Name}, &s.terms)
}

// Providers returns the ids of the providers whose users the directory is for.
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
