// Package file is the directory of the users that a file lists: one name per
// line, or CSV.
//
// It knows the format of such files, and how long their content stays valid when
// they become unreadable. It knows nothing about sign-ins.
package file

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/caddyargs"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clock"
)

func init() { caddy.RegisterModule(File{}) }

// File knows the users that a file names: one name per line, or CSV with a header
// that has the column `userName` and may have the column `active`. Changes take
// effect within seconds. Lines that cannot be parsed are ignored. If the file can
// no longer be read, its last content is used for an hour; after that, no user is
// known.
type File struct {
	// The path of the file. It has names as in `{http.auth.user.id}`: with
	// several providers, users of all but the default one are
	// `<provider>/<name>`.
	Path string `json:"path"`

	// The ids of the providers whose users the file covers. Default: all.
	ProviderIDs []string `json:"providers,omitempty"`

	content *content
}

// CaddyModule returns the module's registration.
func (File) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: directory.Namespace + ".file", New: func() caddy.Module { return new(File) }}
}

// Provision reads the file.
func (f *File) Provision(ctx caddy.Context) error {
	if f.Path == "" {
		return errors.New("path is missing")
	}
	path, err := caddy.NewReplacer().ReplaceOrErr(f.Path, true, true)
	if err != nil {
		return fmt.Errorf("path: %w", err)
	}
	f.content, err = open(path, clock.ForConfig().Now, ctx.Logger(), time.Sleep)
	return err
}

// UnmarshalCaddyfile reads the options. Syntax:
//
//	known_users file <path> {
//		provider <id>...
//	}
func (f *File) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directory's name
	if err := caddyargs.StringArg(d, &f.Path); err != nil {
		return err
	}
	return caddyargs.Block(d, "file", caddyargs.Options{
		"provider": func() error { return caddyargs.ListArg(d, &f.ProviderIDs) },
	})
}

// Knows reports whether the file has the user's ID. It is a map lookup and
// never returns an error.
func (f *File) Knows(_ context.Context, user directory.User) (bool, error) {
	return f.content.users()[user.ID], nil
}

// Providers implements directory.Limited.
func (f *File) Providers() []string { return f.ProviderIDs }

// Interface guards
var (
	_ caddy.Provisioner     = (*File)(nil)
	_ caddyfile.Unmarshaler = (*File)(nil)
	_ directory.Directory   = (*File)(nil)
	_ directory.Limited     = (*File)(nil)
)
