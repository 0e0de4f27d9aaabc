package operator

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// User is what operators see of an account.
type User struct {
	Name          string     `json:"name"`
	Subject       string     `json:"subject"`
	Kind          store.Kind `json:"kind"`
	Email         string     `json:"email,omitempty"`
	EmailVerified bool       `json:"email_verified,omitempty"`
	DisplayName   string     `json:"display_name,omitempty"`
	GivenName     string     `json:"given_name,omitempty"`
	FamilyName    string     `json:"family_name,omitempty"`
	Language      string     `json:"language,omitempty"`
	Authenticator string     `json:"authenticator,omitempty"`
	Groups        []string   `json:"groups,omitempty"`
	Status        string     `json:"status"` // active, locked or removed
	HasPassword   bool       `json:"has_password"`
	Created       *time.Time `json:"created,omitempty"`
	LastSignIn    *time.Time `json:"last_sign_in,omitempty"`

	user *store.User
}

func (u *User) audit() []slog.Attr { return about(u.user) }

func shown(user *store.User) *User {
	u := &User{
		Name: user.Name, Subject: user.ID, Kind: user.Kind, Email: user.Email, EmailVerified: user.EmailVerified,
		DisplayName: user.DisplayName, GivenName: user.GivenName, FamilyName: user.FamilyName, Language: user.Language,
		Authenticator: user.Authenticator, Groups: user.Groups, Status: "active", HasPassword: user.Password.Hash != "",
		Created: inUTC(user.Created), LastSignIn: inUTC(user.LastSignIn), user: user,
	}
	switch {
	case !user.Removed.IsZero():
		u.Status = "removed"
	case user.Locked:
		u.Status = "locked"
	}
	return u
}

// AddUserRequest asks for a new account.
type AddUserRequest struct {
	Name          string   `json:"name"`
	Email         string   `json:"email,omitempty"`
	EmailVerified bool     `json:"email_verified,omitempty"`
	DisplayName   string   `json:"display_name,omitempty"`
	GivenName     string   `json:"given_name,omitempty"`
	FamilyName    string   `json:"family_name,omitempty"`
	Language      string   `json:"language,omitempty"`
	Authenticator string   `json:"authenticator,omitempty"`
	Groups        []string `json:"groups,omitempty"`
	// Password is the initial password. If it is empty, the response contains a link with
	// which the user sets one.
	Password string `json:"password,omitempty"`
	// MustChange requires the user to set another password at the first sign-in.
	MustChange bool `json:"must_change,omitempty"`
}

// AddedUser is a new account.
type AddedUser struct {
	*User
	*Link
}

func (a AddedUser) audit() []slog.Attr { return a.User.audit() }

func addUser(ctx context.Context, s *server.Server, r AddUserRequest) (AddedUser, error) {
	user, err := s.Accounts.Create(ctx, accounts.NewUser{
		Name: r.Name, Email: r.Email, EmailVerified: r.EmailVerified, DisplayName: r.DisplayName, GivenName: r.GivenName,
		FamilyName: r.FamilyName, Language: r.Language, Authenticator: r.Authenticator, Groups: r.Groups,
		Password: r.Password, MustChange: r.MustChange,
	})
	if err != nil {
		return AddedUser{}, err
	}
	added := AddedUser{User: shown(user)}
	if r.Password == "" {
		added.Link, err = linkFor(ctx, s, accounts.LinkReset, user)
	}
	return added, err
}

// ListUsersRequest asks for a page of users.
type ListUsersRequest struct {
	Group   string `json:"group,omitempty"`
	Search  string `json:"search,omitempty"` // part of the name, display name or address
	Removed bool   `json:"removed,omitempty"`
	After   string `json:"after,omitempty"` // the subject of the last user of the previous page
	Limit   int    `json:"limit,omitempty"`
}

// Users is a page of users.
type Users struct {
	Users []*User `json:"users"`
	// Next is the value of After for the next page. It is empty on the last page.
	Next string `json:"next,omitempty"`
}

func listUsers(ctx context.Context, s *server.Server, r ListUsersRequest) (Users, error) {
	return usersOf(ctx, s, store.UserFilter{Kind: store.Person, Group: r.Group, Search: r.Search, Removed: r.Removed}, r.After, r.Limit)
}

func usersOf(ctx context.Context, s *server.Server, filter store.UserFilter, after string, limit int) (Users, error) {
	page := Users{Users: []*User{}}
	users, more, err := s.Accounts.List(ctx, filter, after, limit)
	if err != nil {
		return page, err
	}
	for _, user := range users {
		page.Users = append(page.Users, shown(user))
	}
	if more {
		page.Next = users[len(users)-1].ID
	}
	return page, nil
}

// UserRequest identifies a user by name, e-mail address or subject.
type UserRequest struct {
	User string `json:"user"`
}

// Factor is what operators see of a factor.
type Factor struct {
	Kind     store.FactorKind `json:"kind"`
	Label    string           `json:"label,omitempty"`
	Created  *time.Time       `json:"created,omitempty"`
	LastUsed *time.Time       `json:"last_used,omitempty"`
}

// UserDetails is everything that operators see of an account.
type UserDetails struct {
	*User
	Factors       []Factor   `json:"factors"`
	RecoveryCodes int        `json:"recovery_codes"`
	Identities    []Identity `json:"identities"`
	Keys          []Key      `json:"keys,omitempty"`
	Sessions      []Session  `json:"sessions"`
	// LockedUntil is when the lockout caused by wrong attempts ends.
	LockedUntil *time.Time `json:"locked_until,omitempty"`
	// CodesLocked reports whether the second factor is locked. An operator can unlock it,
	// or the user with a reset by mail and then another factor.
	CodesLocked bool `json:"codes_locked,omitempty"`
}

func showUser(ctx context.Context, s *server.Server, r UserRequest) (*UserDetails, error) {
	user, err := found(ctx, s, r.User)
	if err != nil {
		return nil, err
	}
	details, err := s.Accounts.DetailsOf(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	d := &UserDetails{
		User: shown(user), Factors: []Factor{}, Identities: []Identity{}, Sessions: []Session{}, RecoveryCodes: details.RecoveryCodes,
		LockedUntil: inUTC(details.Lockout.Until), CodesLocked: details.Lockout.Codes,
	}
	for _, f := range details.Factors {
		if f.Confirmed {
			d.Factors = append(d.Factors, Factor{f.Kind, f.Label, inUTC(f.Created), inUTC(f.LastUsed)})
		}
	}
	for _, i := range details.Identities {
		d.Identities = append(d.Identities, shownIdentity(i))
	}
	for i := range details.AccessKeys {
		d.Keys = append(d.Keys, shownKey(&details.AccessKeys[i], user.Name))
	}
	for i := range details.Sessions {
		d.Sessions = append(d.Sessions, shownSession(&details.Sessions[i], user.Name))
	}
	return d, nil
}

// SetUserRequest asks to change an account. Missing members change nothing.
type SetUserRequest struct {
	User          string    `json:"user"`
	Email         *string   `json:"email,omitempty"`
	EmailVerified *bool     `json:"email_verified,omitempty"`
	DisplayName   *string   `json:"display_name,omitempty"`
	GivenName     *string   `json:"given_name,omitempty"`
	FamilyName    *string   `json:"family_name,omitempty"`
	Language      *string   `json:"language,omitempty"`
	Authenticator *string   `json:"authenticator,omitempty"`
	Groups        *[]string `json:"groups,omitempty"`
	AddGroups     []string  `json:"add_groups,omitempty"`
	RemoveGroups  []string  `json:"remove_groups,omitempty"`
	MustChange    *bool     `json:"must_change,omitempty"`
	MustEnrol     *bool     `json:"must_enrol,omitempty"`
}

func setUser(ctx context.Context, s *server.Server, r SetUserRequest) (*User, error) {
	return changed(ctx, s, r.User, func(user *store.User) (*store.User, error) {
		return s.Accounts.Set(ctx, user.ID, accounts.Changes{
			Email: r.Email, EmailVerified: r.EmailVerified, DisplayName: r.DisplayName, GivenName: r.GivenName, FamilyName: r.FamilyName,
			Language: r.Language, Authenticator: r.Authenticator, Groups: r.Groups, AddGroups: r.AddGroups, RemoveGroups: r.RemoveGroups,
			MustChange: r.MustChange, MustEnrol: r.MustEnrol,
		})
	})
}

// changed finds a user, calls change, and returns the changed user.
func changed(ctx context.Context, s *server.Server, name string, change func(*store.User) (*store.User, error)) (*User, error) {
	user, err := found(ctx, s, name)
	if err != nil {
		return nil, err
	}
	if user, err = change(user); err != nil {
		return nil, err
	}
	return shown(user), nil
}

// ended is like changed, but also ends all sessions of the user.
func ended(ctx context.Context, s *server.Server, name string, change func(*store.User) (*store.User, error)) (*User, error) {
	return changed(ctx, s, name, func(user *store.User) (*store.User, error) {
		after, err := change(user)
		if err != nil {
			return nil, err
		}
		if err := s.Sessions.EndAll(ctx, user.ID, ""); err != nil {
			return nil, errors.Join(errors.New("the account was changed, but its sessions did not end; try again"), err)
		}
		return after, nil
	})
}

func lockUser(ctx context.Context, s *server.Server, r UserRequest) (*User, error) {
	return ended(ctx, s, r.User, func(user *store.User) (*store.User, error) { return s.Accounts.Lock(ctx, user.ID) })
}

func unlockUser(ctx context.Context, s *server.Server, r UserRequest) (*User, error) {
	return changed(ctx, s, r.User, func(user *store.User) (*store.User, error) { return s.Accounts.Unlock(ctx, user.ID) })
}

// RemoveUserRequest asks to remove an account.
type RemoveUserRequest struct {
	User string `json:"user"`
	// ReuseName frees the names for other users.
	ReuseName bool `json:"reuse_name,omitempty"`
	// Yes confirms the removal.
	Yes bool `json:"yes,omitempty"`
}

func removeUser(ctx context.Context, s *server.Server, r RemoveUserRequest) (*User, error) {
	if !r.Yes {
		return nil, refuse(400, "removing a user cannot be undone; add --yes")
	}
	return ended(ctx, s, r.User, func(user *store.User) (*store.User, error) {
		return s.Accounts.Remove(ctx, user.ID, r.ReuseName)
	})
}

// NameRequest identifies a group or a reserved name.
type NameRequest struct {
	Name string `json:"name"`
	Yes  bool   `json:"yes,omitempty"`
}

func (n NameRequest) audit() []slog.Attr { return []slog.Attr{slog.String("name", n.Name)} }

func reuseName(ctx context.Context, s *server.Server, r NameRequest) (NameRequest, error) {
	if !r.Yes {
		return r, refuse(400, "whoever gets the name next may inherit what applications keep under it; add --yes")
	}
	return r, s.Accounts.ReuseName(ctx, r.Name)
}
