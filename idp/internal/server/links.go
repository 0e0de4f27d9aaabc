package server

import (
	"context"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/selfservice"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// LinkURL returns the complete URL of a link that an operator hands over.
func (s *Server) LinkURL(link *accounts.Link) string {
	return selfservice.LinkURL(s.Issuer.String(), link)
}

// NotifyReset tells a user that an operator has reset the password or the factors.
func (s *Server) NotifyReset(user *store.User) {
	notices{s}.post(user, mail.Letter{Kind: mail.OperatorReset})
}

// SendInvite sends an invitation to its address, if this provider sends mail.
func (s *Server) SendInvite(link *accounts.Link) {
	if s.Mail == nil || link.Email == "" {
		return
	}
	s.Mail.Post(mail.Letter{Kind: mail.Invite, To: link.Email, Link: s.LinkURL(link), Code: link.Code(), Until: link.Expires})
}

// NotifyFactorAdded tells a user that an operator has added a factor.
func (s *Server) NotifyFactorAdded(ctx context.Context, user *store.User, added *store.Factor) {
	notices{s}.FactorAdded(ctx, user, added)
}

// NotifyUnlinked tells a user that an external account has been unlinked.
func (s *Server) NotifyUnlinked(user *store.User, external string) {
	notices{s}.post(user, mail.Letter{Kind: mail.Unlinked, Provider: s.externalName(external)})
}
