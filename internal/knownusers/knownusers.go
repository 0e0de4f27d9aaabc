// Package knownusers asks the directories of an instance about a user.
//
// It knows which of them cover the users of a provider, and how to combine
// their answers. It does not know how directories work, nor what happens to
// users that none of them knows.
package knownusers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/observe"
)

// User is a user to look up in directories.
type User = directory.User

// Entry is one directory of an instance.
type Entry struct {
	// Name is the name of the module, for errors.
	Name      string
	Directory directory.Directory
	// Providers are the ids of the providers whose users the directory covers;
	// empty means all.
	Providers []string
}

// Directories are those of an instance. If there are none, every user is known.
type Directories []Entry

// Know reports whether at least one directory knows a user. It queries them in
// order. It returns an error if none knows the user and at least one of them
// failed.
func (d Directories) Know(ctx context.Context, user User) (bool, error) {
	if len(d) == 0 {
		return true, nil
	}
	var errs []error
	for _, entry := range d {
		if len(entry.Providers) > 0 && !slices.Contains(entry.Providers, user.Provider) {
			continue
		}
		known, err := entry.ask(ctx, user)
		if err != nil {
			errs = append(errs, fmt.Errorf("known_users %s: %w", entry.Name, err))
		} else if known {
			return true, nil
		}
	}
	return false, errors.Join(errs...)
}

// ask queries one directory.
func (e *Entry) ask(ctx context.Context, user User) (bool, error) {
	ctx, span := observe.Start(ctx, "oidc_rp.directory")
	known, err := e.Directory.Knows(ctx, user)
	if span != nil {
		outcome := "unknown"
		switch {
		case err != nil:
			outcome = "unavailable"
		case known:
			outcome = "known"
		}
		span.Set(observe.AttrDirectory, e.Name).Set(observe.AttrOutcome, outcome).End(err != nil)
	}
	return known, err
}

// RetryAfter returns how long to wait before the directories are queried again, if
// an error of Know contains that; otherwise zero.
func RetryAfter(err error) time.Duration {
	var unavailable *directory.UnavailableError
	if errors.As(err, &unavailable) {
		return unavailable.RetryAfter
	}
	return 0
}
