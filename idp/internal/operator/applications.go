package operator

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// AddApplicationRequest asks for a user that is a program.
type AddApplicationRequest struct {
	Name        string   `json:"name"`
	DisplayName string   `json:"display_name,omitempty"`
	Groups      []string `json:"groups,omitempty"`
}

func addApplication(ctx context.Context, s *server.Server, r AddApplicationRequest) (*User, error) {
	user, err := s.Accounts.Create(ctx, accounts.NewUser{Kind: store.Application, Name: r.Name, DisplayName: r.DisplayName, Groups: r.Groups})
	if err != nil {
		return nil, err
	}
	return shown(user), nil
}

func listApplications(ctx context.Context, s *server.Server, r ListUsersRequest) (Users, error) {
	return usersOf(ctx, s, store.UserFilter{Kind: store.Application, Group: r.Group, Search: r.Search, Removed: r.Removed}, r.After, r.Limit)
}

func removeApplication(ctx context.Context, s *server.Server, r RemoveUserRequest) (*User, error) {
	user, err := found(ctx, s, r.User, store.Application)
	if err != nil {
		return nil, err
	}
	r.User = user.ID
	return removeUser(ctx, s, r)
}

// Key is an access key of an application.
type Key struct {
	ID          string     `json:"id"`
	Application string     `json:"application"`
	Created     *time.Time `json:"created,omitempty"`
	Expires     *time.Time `json:"expires,omitempty"`
	LastUsed    *time.Time `json:"last_used,omitempty"`
	// Secret is the key itself, which the program has to send. It is returned once, when
	// the key is created.
	Secret string `json:"key,omitempty"`
}

func (k Key) audit() []slog.Attr {
	return []slog.Attr{slog.String("access_key", k.ID), slog.String("user", k.Application)}
}

func shownKey(key *store.AccessKey, application string) Key {
	return Key{ID: key.ID, Application: application, Created: inUTC(key.Created), Expires: inUTC(key.Expires), LastUsed: inUTC(key.LastUsed)}
}

// AddKeyRequest asks for an access key.
type AddKeyRequest struct {
	Application string `json:"application"`
	// ExpiresIn is the lifetime of the key in seconds. Zero means no expiry.
	ExpiresIn int64 `json:"expires_in,omitempty"`
}

// maxKeySeconds is about ten years, in seconds.
const maxKeySeconds = 10 * 366 * 24 * 60 * 60

func addKey(ctx context.Context, s *server.Server, r AddKeyRequest) (Key, error) {
	user, err := found(ctx, s, r.Application, store.Application)
	if err != nil {
		return Key{}, err
	}
	if r.ExpiresIn < 0 || r.ExpiresIn > maxKeySeconds {
		return Key{}, refuse(http.StatusBadRequest, "expires_in is not from 0 to %d seconds", maxKeySeconds)
	}
	var expires time.Time
	if r.ExpiresIn > 0 {
		expires = s.Now().Add(time.Duration(r.ExpiresIn) * time.Second)
	}
	key, secret, err := s.Accounts.AddKey(ctx, user.ID, expires)
	if err != nil {
		return Key{}, err
	}
	added := shownKey(key, user.Name)
	added.Secret = secret
	return added, nil
}

// Keys is a list of access keys.
type Keys struct {
	Keys []Key `json:"keys"`
}

// ApplicationRequest names an application.
type ApplicationRequest struct {
	Application string `json:"application"`
}

func listKeys(ctx context.Context, s *server.Server, r ApplicationRequest) (Keys, error) {
	all := Keys{Keys: []Key{}}
	user, err := found(ctx, s, r.Application, store.Application)
	if err != nil {
		return all, err
	}
	details, err := s.Accounts.DetailsOf(ctx, user.ID)
	for i := range details.AccessKeys {
		all.Keys = append(all.Keys, shownKey(&details.AccessKeys[i], user.Name))
	}
	return all, err
}

// RemoveKeyRequest names an access key.
type RemoveKeyRequest struct {
	Application string `json:"application"`
	ID          string `json:"id"`
}

func removeKey(ctx context.Context, s *server.Server, r RemoveKeyRequest) (Key, error) {
	user, err := found(ctx, s, r.Application, store.Application)
	if err != nil {
		return Key{}, err
	}
	return Key{ID: r.ID, Application: user.Name}, s.Accounts.RemoveKey(ctx, user.ID, r.ID)
}
