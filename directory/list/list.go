// Package list is the directory of the users that the configuration lists.
//
// It knows only their names, and nothing about sign-ins.
package list

import (
	"context"
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
)

func init() { caddy.RegisterModule(List{}) }

// List knows the users that the configuration names.
type List struct {
	// The names of the users, as in `{http.auth.user.id}`: with several
	// providers, users of all but the default one are `<provider>/<name>`.
	// `{env.NAME}` and `{file./path}` are supported.
	Names []string `json:"names"`

	// The ids of the providers whose users the list covers. Default: all.
	ProviderIDs []string `json:"providers,omitempty"`

	names map[string]bool
}

// CaddyModule returns the module's registration.
func (List) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: directory.Namespace + ".list", New: func() caddy.Module { return new(List) }}
}

// Provision resolves the names.
func (l *List) Provision(caddy.Context) error {
	if len(l.Names) == 0 {
		return errors.New("names: the list is empty")
	}
	l.names = make(map[string]bool, len(l.Names))
	repl := caddy.NewReplacer()
	for i, text := range l.Names {
		name, err := repl.ReplaceOrErr(text, true, true)
		if err != nil {
			return fmt.Errorf("names: %w", err)
		}
		if name == "" {
			return fmt.Errorf("names: name %d is empty", i+1)
		}
		l.names[name] = true
	}
	return nil
}

// UnmarshalCaddyfile reads the options. Syntax:
//
//	known_users list <name>... {
//		provider <id>...
//	}
func (l *List) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directory's name
	if err := caddyargs.ListArg(d, &l.Names); err != nil {
		return err
	}
	return caddyargs.Block(d, "list", caddyargs.Options{
		"provider": func() error { return caddyargs.ListArg(d, &l.ProviderIDs) },
	})
}

// Knows reports whether the list has the user's ID. It is a map lookup and
// never returns an error.
func (l *List) Knows(_ context.Context, user directory.User) (bool, error) {
	return l.names[user.ID], nil
}

// Providers implements directory.Limited.
func (l *List) Providers() []string { return l.ProviderIDs }

// Interface guards
var (
	_ caddy.Provisioner     = (*List)(nil)
	_ caddyfile.Unmarshaler = (*List)(nil)
	_ directory.Directory   = (*List)(nil)
	_ directory.Limited     = (*List)(nil)
)
