package operator

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Group is a group of users.
type Group struct {
	Name string `json:"name"`
	// Operator protects the group: external providers cannot add users to it, or be
	// joined to accounts that are in it.
	Operator bool       `json:"operator,omitempty"`
	Created  *time.Time `json:"created,omitempty"`
}

func (g Group) audit() []slog.Attr {
	return []slog.Attr{slog.String("group", g.Name), slog.Bool("operator", g.Operator)}
}

// GroupRequest asks to add or change a group.
type GroupRequest struct {
	Name     string `json:"name"`
	Operator bool   `json:"operator,omitempty"`
}

func setGroup(ctx context.Context, s *server.Server, r GroupRequest) (Group, error) {
	g, err := s.Accounts.SetGroup(ctx, r.Name, r.Operator)
	return Group{g.Name, g.Operator, inUTC(g.Created)}, err
}

// Groups are all groups.
type Groups struct {
	Groups []Group `json:"groups"`
}

func listGroups(ctx context.Context, s *server.Server, _ Empty) (Groups, error) {
	groups, err := s.Accounts.Groups(ctx)
	all := Groups{Groups: []Group{}}
	for _, g := range groups {
		all.Groups = append(all.Groups, Group{g.Name, g.Operator, inUTC(g.Created)})
	}
	return all, err
}

func removeGroup(ctx context.Context, s *server.Server, r NameRequest) (NameRequest, error) {
	if !r.Yes {
		return r, refuse(http.StatusBadRequest, "all members leave the group; add --yes")
	}
	return r, s.Accounts.DeleteGroup(ctx, r.Name)
}

// Authenticator describes a login authenticator of the configuration.
type Authenticator struct {
	Name           string             `json:"name"`
	MFA            string             `json:"mfa"`
	Factors        []store.FactorKind `json:"factors"`
	MinLength      int                `json:"min_length"`
	MaxAge         string             `json:"max_age,omitempty"`
	LockoutAfter   int                `json:"lockout_attempts"`
	LockoutFor     string             `json:"lockout_duration"`
	SessionLasts   string             `json:"session_lifetime"`
	RememberDevice string             `json:"remember_device,omitempty"`
	Users          int                `json:"users"`
}

// Authenticators are the login authenticators of the configuration, sorted by name.
type Authenticators struct {
	Authenticators []Authenticator `json:"authenticators"`
}

func listAuthenticators(ctx context.Context, s *server.Server, _ Empty) (Authenticators, error) {
	counts, err := usersByAuthenticator(ctx, s)
	if err != nil {
		return Authenticators{}, err
	}
	all := Authenticators{Authenticators: []Authenticator{}}
	for _, name := range sortedNames(s.Authenticators) {
		a := s.Authenticators[name]
		all.Authenticators = append(all.Authenticators, Authenticator{
			Name: name, MFA: string(a.MFA), Factors: a.Factors, MinLength: a.Password.MinLength, MaxAge: lasting(a.Password.MaxAge),
			LockoutAfter: a.Lockout.Attempts, LockoutFor: lasting(a.Lockout.Duration), SessionLasts: lasting(a.Session.Lifetime),
			RememberDevice: lasting(a.Session.RememberDevice), Users: counts[name],
		})
	}
	return all, nil
}

// usersByAuthenticator counts the persons that each login authenticator applies to.
func usersByAuthenticator(ctx context.Context, s *server.Server) (map[string]int, error) {
	counts := make(map[string]int)
	for after := ""; ; {
		users, more, err := s.Accounts.List(ctx, store.UserFilter{Kind: store.Person}, after, 0)
		if err != nil {
			return nil, err
		}
		for _, user := range users {
			name := user.Authenticator
			if name == "" {
				name = authenticator.Default
			}
			counts[name]++
		}
		if !more {
			return counts, nil
		}
		after = users[len(users)-1].ID
	}
}

func sortedNames(set authenticator.Set) (names []string) {
	for name := range set {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func lasting(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

// AssignRequest assigns a login authenticator to users.
type AssignRequest struct {
	Authenticator string   `json:"authenticator"`
	Users         []string `json:"users,omitempty"`
	Group         string   `json:"group,omitempty"` // all members of this group
}

// Assigned lists the users whose authenticator has been changed.
type Assigned struct {
	Authenticator string   `json:"authenticator"`
	Users         []string `json:"users"`
}

func (a Assigned) audit() []slog.Attr {
	return []slog.Attr{slog.String("authenticator", a.Authenticator), slog.Int("users", len(a.Users))}
}

func assignAuthenticator(ctx context.Context, s *server.Server, r AssignRequest) (Assigned, error) {
	assigned := Assigned{r.Authenticator, []string{}}
	if _, ok := s.Authenticators.Named(r.Authenticator); !ok || r.Authenticator == "" {
		return assigned, refuse(http.StatusNotFound, "there is no authenticator %s", r.Authenticator)
	}
	if len(r.Users) == 0 && r.Group == "" {
		return assigned, refuse(http.StatusBadRequest, "name users, or a group")
	}
	ids, err := idsOf(ctx, s, r)
	if err != nil {
		return assigned, err
	}
	for _, id := range ids {
		user, err := s.Accounts.Set(ctx, id, accounts.Changes{Authenticator: &r.Authenticator})
		if err != nil {
			return assigned, err
		}
		assigned.Users = append(assigned.Users, user.Name)
	}
	slices.Sort(assigned.Users)
	return assigned, nil
}

// idsOf returns the IDs of the users in a request, without duplicates.
func idsOf(ctx context.Context, s *server.Server, r AssignRequest) (ids []string, err error) {
	for _, name := range r.Users {
		user, err := found(ctx, s, name, store.Person)
		if err != nil {
			return nil, err
		}
		ids = append(ids, user.ID)
	}
	for after := ""; r.Group != ""; {
		users, more, err := s.Accounts.List(ctx, store.UserFilter{Kind: store.Person, Group: r.Group}, after, 0)
		if err != nil {
			return nil, err
		}
		for _, user := range users {
			ids = append(ids, user.ID)
		}
		if !more {
			break
		}
		after = users[len(users)-1].ID
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}
