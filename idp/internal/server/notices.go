package server

import (
	"context"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// notices are the mails of a sign-in. Without a mail server there are none.
type notices struct{ s *Server }

// CanMail implements signin.Notices.
func (n notices) CanMail(*store.User) bool { return false }

// EnrolmentCode implements signin.Notices.
func (n notices) EnrolmentCode(context.Context, *store.User, string) {}

// Locked implements signin.Notices.
func (n notices) Locked(context.Context, *store.User) {}

// RecoveryUsed implements signin.Notices.
func (n notices) RecoveryUsed(context.Context, *store.User) {}

// PasswordChanged implements signin.Notices.
func (n notices) PasswordChanged(context.Context, *store.User) {}

// FactorAdded implements signin.Notices.
func (n notices) FactorAdded(context.Context, *store.User, store.FactorKind) {}

func (n notices) linked(context.Context, *store.User, string) {}
