package server

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/lockout"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// makeMail starts the mail queue if there is a mail server.
func (s *Server) makeMail() error {
	if s.MailSender == nil {
		return nil
	}
	s.Mail = mail.Start(mail.Options{
		Sender: s.MailSender, Logger: s.Logger, Now: s.Now,
		Writer:  mail.Writer{Texts: s.texts, Site: s.Name, Account: s.Issuer.String() + "/account", Contact: s.Contact},
		Outcome: func(kind mail.Kind, outcome string) { s.Metrics.Mail(string(kind), outcome) },
	})
	return nil
}

// mailEnds is how long Close waits for mails that have not been sent.
const mailEnds = 5 * time.Second

func (s *Server) closeMail() {
	if s.Mail == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), mailEnds)
	defer cancel()
	s.Mail.Close(ctx)
}

// notices implements signin.Notices by sending mails. Without a mail server, it does
// nothing.
type notices struct{ s *Server }

// post sends a letter to a user whose address is verified.
func (n notices) post(user *store.User, l mail.Letter) {
	if !n.CanMail(user) {
		return
	}
	l.To, l.User, l.At = user.Email, user, n.s.Now()
	n.s.Mail.Post(l)
}

// CanMail implements signin.Notices.
func (n notices) CanMail(user *store.User) bool {
	return n.s.Mail != nil && user.Email != "" && user.EmailVerified
}

// EnrolmentCode implements signin.Notices. Mails that exceed the limits are not sent; the
// caller is not told.
func (n notices) EnrolmentCode(ctx context.Context, user *store.User, from netip.Addr, code string, until time.Time) {
	ok, err := n.s.Accounts.AllowMail(ctx, user.ID, from)
	if err != nil {
		n.s.Logger.LogAttrs(ctx, slog.LevelError, "could not count a mail", slog.String("event", "mail_failed"), slog.Any("error", err))
	}
	if ok {
		n.post(user, mail.Letter{Kind: mail.Enrol, Code: code, Until: until})
	}
}

// Locked implements signin.Notices.
func (n notices) Locked(ctx context.Context, user *store.User) {
	var status lockout.Status
	err := n.s.Store.View(ctx, func(tx store.Tx) (err error) {
		status, err = lockout.StatusOf(tx, user.ID, n.s.Now())
		return err
	})
	if err != nil {
		n.s.Logger.LogAttrs(ctx, slog.LevelError, "could not read what is locked", slog.String("event", "mail_failed"), slog.Any("error", err))
	}
	n.post(user, mail.Letter{Kind: mail.Locked, Until: status.Until})
}

// RecoveryUsed implements signin.Notices.
func (n notices) RecoveryUsed(_ context.Context, user *store.User) {
	n.post(user, mail.Letter{Kind: mail.RecoveryUsed})
}

// PasswordChanged implements signin.Notices.
func (n notices) PasswordChanged(_ context.Context, user *store.User) {
	n.post(user, mail.Letter{Kind: mail.PasswordChanged})
}

// FactorAdded implements signin.Notices.
func (n notices) FactorAdded(_ context.Context, user *store.User, factor *store.Factor) {
	name := factor.Label
	if name == "" {
		name = string(factor.Kind)
	}
	n.post(user, mail.Letter{Kind: mail.FactorAdded, Name: name})
}

// linked tells a user that an external account has been linked.
func (n notices) linked(user *store.User, external string) {
	n.post(user, mail.Letter{Kind: mail.Linked, Provider: external})
}
