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

// Link is a link that can be used once, by whoever has it. Only the operator sees it.
type Link struct {
	URL string `json:"link,omitempty"`
	// Code can be typed on the page at URL instead of following the link.
	Code    string     `json:"code,omitempty"`
	Expires *time.Time `json:"link_expires,omitempty"`
}

// shownLink returns a link as operators see it. The code is in the fragment of the URL,
// which browsers do not send to servers.
func shownLink(s *server.Server, link *accounts.Link) *Link {
	return &Link{URL: s.LinkURL(link), Code: link.Code(), Expires: inUTC(link.Expires)}
}

func linkFor(ctx context.Context, s *server.Server, kind accounts.LinkKind, user *store.User) (*Link, error) {
	link, err := s.Accounts.NewLink(ctx, kind, user.ID, "")
	if err != nil {
		return nil, err
	}
	return shownLink(s, link), nil
}

// Empty is a request or a response without members.
type Empty struct{}

func firstUser(ctx context.Context, s *server.Server, _ Empty) (*Link, error) {
	link, err := s.Accounts.FirstUserLink(ctx)
	if err != nil {
		return nil, err
	}
	return shownLink(s, link), nil
}

// ResetRequest asks to reset a user's password or factors.
type ResetRequest struct {
	User string `json:"user"`
	Yes  bool   `json:"yes,omitempty"`
}

// Reset is the response to a ResetRequest: the user and the new link.
type Reset struct {
	*Link
	User *User `json:"user"`
}

func (r Reset) audit() []slog.Attr { return r.User.audit() }

// resetPassword makes a link with which a user can set a new password. The user is
// notified, because anyone to whom the operator gives the link can use it.
func resetPassword(ctx context.Context, s *server.Server, r ResetRequest) (Reset, error) {
	user, err := found(ctx, s, r.User, store.Person)
	if err != nil {
		return Reset{}, err
	}
	if !r.Yes {
		return Reset{}, refuse(http.StatusBadRequest, "whoever has the link can set the password of %s; add --yes", user.Name)
	}
	link, err := linkFor(ctx, s, accounts.LinkReset, user)
	if err != nil {
		return Reset{}, err
	}
	s.NotifyReset(user)
	return Reset{link, shown(user)}, nil
}

// resetFactors removes all factors of a user, who must enrol one at the next sign-in.
// That requires the password and the link that resetFactors returns.
func resetFactors(ctx context.Context, s *server.Server, r ResetRequest) (Reset, error) {
	user, err := found(ctx, s, r.User, store.Person)
	if err != nil {
		return Reset{}, err
	}
	if !r.Yes {
		return Reset{}, refuse(http.StatusBadRequest, "%s loses all factors, and enrols one with the link; add --yes", user.Name)
	}
	after, err := ended(ctx, s, user.ID, func(user *store.User) (*store.User, error) { return s.Accounts.ResetFactors(ctx, user.ID) })
	if err != nil {
		return Reset{}, err
	}
	link, err := linkFor(ctx, s, accounts.LinkEnrol, user)
	if err != nil {
		return Reset{}, err
	}
	s.NotifyReset(user)
	return Reset{link, after}, nil
}

// InviteRequest asks for an invitation.
type InviteRequest struct {
	// Email is the address that the invitation is for. Using the invitation verifies it.
	Email string `json:"email,omitempty"`
	// Open allows anyone who has the link to use it.
	Open          bool     `json:"open,omitempty"`
	Groups        []string `json:"groups,omitempty"`
	Authenticator string   `json:"authenticator,omitempty"`
}

// Invite is an invitation that can still be used.
type Invite struct {
	ID            string     `json:"id"`
	Email         string     `json:"email,omitempty"`
	Groups        []string   `json:"groups,omitempty"`
	Authenticator string     `json:"authenticator,omitempty"`
	Created       *time.Time `json:"created,omitempty"`
	Expires       *time.Time `json:"expires,omitempty"`
	*Link
}

func (i Invite) audit() []slog.Attr { return []slog.Attr{slog.String("invite", i.ID)} }

func shownInvite(link *accounts.Link) Invite {
	i := Invite{ID: link.ID(), Email: link.Email, Created: inUTC(link.Created), Expires: inUTC(link.Expires)}
	if link.Invite != nil {
		i.Groups, i.Authenticator = link.Invite.Groups, link.Invite.Authenticator
	}
	return i
}

// addInvite creates an invitation. The link is shown to the operator, and mailed to the
// address that the invitation is for if this provider sends mail.
func addInvite(ctx context.Context, s *server.Server, r InviteRequest) (Invite, error) {
	switch {
	case !s.Invites:
		return Invite{}, refuse(http.StatusConflict, "this provider takes no invites; set registration invite in oidc_idp")
	case (r.Email == "") == !r.Open:
		return Invite{}, refuse(http.StatusBadRequest, "name the e-mail address that the invite is for, or add --open so that whoever has the link may use it")
	}
	link, err := s.Accounts.NewInvite(ctx, r.Email, accounts.Invite{Groups: r.Groups, Authenticator: r.Authenticator})
	if err != nil {
		return Invite{}, err
	}
	invite := shownInvite(link)
	invite.Link = shownLink(s, link)
	s.SendInvite(link)
	return invite, nil
}

// Invites are the invitations that can still be used.
type Invites struct {
	Invites []Invite `json:"invites"`
}

func listInvites(ctx context.Context, s *server.Server, _ Empty) (Invites, error) {
	links, err := s.Accounts.Invites(ctx)
	all := Invites{Invites: []Invite{}}
	for _, link := range links {
		all.Invites = append(all.Invites, shownInvite(link))
	}
	return all, err
}

// IDRequest identifies something by its id.
type IDRequest struct {
	ID string `json:"id"`
}

func (i IDRequest) audit() []slog.Attr { return []slog.Attr{slog.String("id", i.ID)} }

func removeInvite(ctx context.Context, s *server.Server, r IDRequest) (IDRequest, error) {
	return r, s.Accounts.RemoveInvite(ctx, r.ID)
}
