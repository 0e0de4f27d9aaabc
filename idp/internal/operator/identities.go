package operator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/broker"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
)

// Identity is what operators see of a linked account of an external provider.
type Identity struct {
	External string     `json:"external"`
	Issuer   string     `json:"issuer"`
	Subject  string     `json:"external_subject"`
	Name     string     `json:"name,omitempty"`
	Created  *time.Time `json:"created,omitempty"`
	LastUsed *time.Time `json:"last_used,omitempty"`
}

func shownIdentity(i store.Identity) Identity {
	return Identity{i.External, i.Issuer, i.Subject, i.Name, inUTC(i.Created), inUTC(i.LastUsed)}
}

// LinkRequest asks to link an account of an external provider to a user.
type LinkRequest struct {
	External string `json:"external"`
	User     string `json:"user"`
	// Attempt is the attempt id of a refused sign-in, as it was logged. It replaces the
	// other fields that describe the external account.
	Attempt string `json:"attempt,omitempty"`
	// Subject is the external provider's identifier of the user: the sub claim, the
	// account number at GitHub or Discord, or the NameID.
	Subject string `json:"external_subject,omitempty"`
	// Issuer is the issuer of the external provider. Default: the configured one.
	Issuer string `json:"issuer,omitempty"`
	// Format, NameQualifier and SPNameQualifier are attributes of a NameID. Attribute
	// reports whether Subject is instead the value of the attribute named by the option
	// username.
	Format          string `json:"format,omitempty"`
	NameQualifier   string `json:"name_qualifier,omitempty"`
	SPNameQualifier string `json:"sp_name_qualifier,omitempty"`
	Attribute       bool   `json:"attribute,omitempty"`
	Yes             bool   `json:"yes,omitempty"`
}

// LinkedAccount is an external account and the user that it is, or was, linked to.
type LinkedAccount struct {
	Identity
	User *User `json:"user"`
}

func (l LinkedAccount) audit() []slog.Attr {
	return append(l.User.audit(), slog.String("external", l.External), slog.String("issuer", logtext.Clean(l.Issuer, logtext.MaxName)),
		slog.String("external_subject", logtext.Clean(l.Subject, logtext.MaxName)))
}

// linkIdentity links an external account to a user. The user is notified, because whoever
// owns the external account can then sign in as the user.
func linkIdentity(ctx context.Context, s *server.Server, r LinkRequest) (LinkedAccount, error) {
	user, err := found(ctx, s, r.User, store.Person)
	if err != nil {
		return LinkedAccount{}, err
	}
	if !r.Yes {
		return LinkedAccount{}, refuse(http.StatusBadRequest, "whoever has that account at %s can sign in as %s; add --yes", r.External, user.Name)
	}
	linked, err := s.Broker.LinkByHand(ctx, r.External, user.ID, broker.Named{
		Attempt: r.Attempt, Subject: r.Subject, Issuer: r.Issuer, Format: r.Format, NameQualifier: r.NameQualifier, SPNameQualifier: r.SPNameQualifier, Attribute: r.Attribute,
	})
	if err != nil {
		return LinkedAccount{}, explainedLink(ctx, s, err)
	}
	return LinkedAccount{shownIdentity(*linked), shown(user)}, nil
}

// explainedLink gives an error of LinkByHand its HTTP status code.
func explainedLink(ctx context.Context, s *server.Server, err error) error {
	var other *broker.LinkedError
	if errors.As(err, &other) {
		if user, err := s.Accounts.Get(ctx, other.UserID); err == nil {
			return refuse(http.StatusConflict, "the external account is linked to %s; unlink it there first", user.Name)
		}
		return &Error{http.StatusConflict, err}
	}
	if errors.Is(err, broker.ErrNoExternal) || errors.Is(err, broker.ErrNoAttempt) {
		return &Error{http.StatusNotFound, err}
	}
	for _, refused := range []error{
		broker.ErrNoSubject, broker.ErrNotSAML, broker.ErrTransient, broker.ErrUsername, broker.ErrManyIssuers, broker.ErrUnknownIssuer,
	} {
		if errors.Is(err, refused) {
			return &Error{http.StatusBadRequest, err}
		}
	}
	return err
}

// UnlinkRequest asks to unlink an external account from a user.
type UnlinkRequest struct {
	External string `json:"external"`
	User     string `json:"user"`
	// Subject is required if the user has several accounts at the external provider.
	Subject string `json:"external_subject,omitempty"`
}

// unlinkIdentity removes a link and ends the sessions that were started with the external
// provider. The external provider need not be in the configuration any more.
func unlinkIdentity(ctx context.Context, s *server.Server, r UnlinkRequest) (LinkedAccount, error) {
	user, err := found(ctx, s, r.User, store.Person)
	if err != nil {
		return LinkedAccount{}, err
	}
	unlinked, err := linkOf(ctx, s, r, user)
	if err != nil {
		return LinkedAccount{}, err
	}
	if err := s.Broker.Unlink(ctx, user.ID, unlinked.External, unlinked.Issuer, unlinked.Subject); err != nil {
		return LinkedAccount{}, err
	}
	if err := endBrokered(ctx, s, user.ID, unlinked.External); err != nil {
		return LinkedAccount{}, fmt.Errorf("the account was unlinked, but its sessions did not end; end them with sessions end: %w", err)
	}
	s.NotifyUnlinked(user, unlinked.External)
	return LinkedAccount{shownIdentity(*unlinked), shown(user)}, nil
}

// linkOf returns the link that a request identifies. It is an error if several match.
func linkOf(ctx context.Context, s *server.Server, r UnlinkRequest, user *store.User) (*store.Identity, error) {
	details, err := s.Accounts.DetailsOf(ctx, user.ID)
	if err != nil {
		return nil, err
	}
	var matching []store.Identity
	for _, i := range details.Identities {
		if i.External == r.External && (r.Subject == "" || r.Subject == i.Subject) {
			matching = append(matching, i)
		}
	}
	switch len(matching) {
	case 0:
		return nil, refuse(http.StatusNotFound, "%s has no such account at %s", user.Name, logtext.Clean(r.External, logtext.MaxName))
	case 1:
		return &matching[0], nil
	}
	return nil, refuse(http.StatusConflict, "%s has %d accounts at %s; name one with --subject, as user show prints it", user.Name, len(matching), r.External)
}

// endBrokered ends those sessions of a user that were started with an external provider.
func endBrokered(ctx context.Context, s *server.Server, userID, external string) error {
	sessions, err := s.Sessions.List(ctx, userID)
	if err != nil {
		return err
	}
	var errs []error
	for i := range sessions {
		if sessions[i].External == external {
			errs = append(errs, s.Sessions.EndOf(ctx, userID, sessions[i].SID))
		}
	}
	return errors.Join(errs...)
}
