package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/names"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// This file determines the account for an external account:
//
//   - the one that it is linked to, and no other;
//   - else, with `link verified_email`, the one that has its e-mail address, if
//     the address is in the external provider's domains and was verified here,
//     too, and the account is in no operator group; and then only after the user
//     has signed in to that account once;
//   - else, with `create on`, a new one;
//   - else none.
//
// Names never match. A link is made once, and lasts until the user or an operator
// removes it.

// Pending is a link that the user has to confirm by signing in. It is not secret,
// but it must be kept where the browser cannot change it.
type Pending struct {
	Identity store.Identity `json:"identity"`
	Email    string         `json:"email"`
	Groups   []string       `json:"groups,omitempty"`
	Expires  time.Time      `json:"expires"`
}

// pendingLasts is how long a user may take to sign in to the existing account.
const pendingLasts = 30 * time.Minute

// Reasons why an external account is not linked.
var (
	ErrLinkExpired = errors.New("the link was not confirmed in time")
	ErrLinkRefused = errors.New("the accounts cannot be linked")
)

// resolve determines the account for an external account.
func (b *Broker) resolve(ctx context.Context, e *external, a *Assertion) (answer *Answer, err error) {
	err = b.Store.Update(ctx, func(tx store.Tx) error {
		answer, err = b.resolveIn(tx, e, a)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find the account of a brokered login: %w", err)
	}
	answer.Assertion, answer.Title = a, e.title()
	return answer, nil
}

func (b *Broker) resolveIn(tx store.Tx, e *external, a *Assertion) (*Answer, error) {
	known, err := tx.Identity(a.External, a.Issuer, a.Subject)
	if err == nil {
		return b.resolveLinked(tx, e, a, known)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if e.Link == LinkVerifiedEmail {
		user, err := candidate(tx, e, a.Claims.Email)
		if err != nil {
			return nil, err
		}
		if user != nil {
			return &Answer{Outcome: LinkNeeded, Pending: &Pending{
				Identity: b.identityOf(a, user.ID), Email: a.Claims.Email, Groups: a.Claims.Groups, Expires: b.Now().Add(pendingLasts),
			}}, nil
		}
	}
	if e.Create {
		return b.create(tx, e, a)
	}
	attempt, err := b.keepAttempt(tx, a)
	return &Answer{Outcome: Unknown, Attempt: attempt}, err
}

func (b *Broker) resolveLinked(tx store.Tx, e *external, a *Assertion, known *store.Identity) (*Answer, error) {
	user, err := tx.User(known.UserID)
	if errors.Is(err, store.ErrNotFound) {
		return &Answer{Outcome: Unknown}, nil
	}
	if err != nil {
		return nil, err
	}
	if !canSignIn(user) {
		return &Answer{Outcome: Unknown}, nil
	}
	known.LastUsed = b.Now()
	if a.Name != "" {
		known.Name = a.Name
	}
	if err := tx.PutIdentity(*known); err != nil {
		return nil, err
	}
	return &Answer{Outcome: Linked, User: user}, b.syncGroups(tx, e, user, a.Claims.Groups)
}

// canSignIn reports whether a person may sign in to an account. A locked account is
// treated like one that does not exist.
func canSignIn(user *store.User) bool {
	return user.Removed.IsZero() && !user.Locked && user.Kind == store.Person
}

// candidate returns the account that may be linked by its e-mail address, or nil.
func candidate(tx store.Tx, e *external, email string) (*store.User, error) {
	if !e.vouchesFor(email) {
		return nil, nil
	}
	key := names.Key(email)
	user, err := tx.UserByName(key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// The match may be a user name, or an address that is not verified.
	if user.Email == "" || names.Key(user.Email) != key || !user.EmailVerified || !canSignIn(user) {
		return nil, nil
	}
	operator, err := isOperator(tx, user)
	if err != nil || operator {
		return nil, err
	}
	return user, nil
}

func isOperator(tx store.Tx, user *store.User) (bool, error) {
	groups, err := tx.Groups()
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(groups, func(g store.Group) bool { return g.Operator && slices.Contains(user.Groups, g.Name) }), nil
}

func (b *Broker) identityOf(a *Assertion, userID string) store.Identity {
	now := b.Now()
	return store.Identity{External: a.External, Issuer: a.Issuer, Subject: a.Subject, UserID: userID, Name: a.Name, Created: now, LastUsed: now}
}

// syncGroups adds a user to the groups that the external provider names, and
// removes them from mapped groups that it does not name. Other groups are left
// alone, and so are operator groups, whose members only operators manage.
func (b *Broker) syncGroups(tx store.Tx, e *external, user *store.User, groups []string) error {
	could := e.localGroups()
	if len(could) == 0 {
		return nil
	}
	all, err := tx.Groups()
	if err != nil {
		return err
	}
	could, groups = ordinary(all, could), ordinary(all, groups)
	wanted := slices.DeleteFunc(slices.Clone(user.Groups), func(name string) bool { return slices.Contains(could, name) })
	wanted = append(wanted, groups...)
	slices.Sort(wanted)
	before := slices.Sorted(slices.Values(user.Groups))
	if slices.Equal(wanted, before) {
		return nil
	}
	if err := b.ensureGroups(tx, all, groups); err != nil {
		return err
	}
	user.Groups = wanted
	return tx.PutUser(user)
}

// ordinary returns the names that are not those of operator groups.
func ordinary(all []store.Group, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.ContainsFunc(all, func(g store.Group) bool { return g.Operator && g.Name == name })
	})
}

// ensureGroups creates the groups that do not exist yet.
func (b *Broker) ensureGroups(tx store.Tx, all []store.Group, names []string) error {
	for _, name := range names {
		if !slices.ContainsFunc(all, func(g store.Group) bool { return g.Name == name }) {
			if err := tx.PutGroup(store.Group{Name: name, Created: b.Now()}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Link links an external account to the account of a user who has just signed in to
// it. It checks all rules again.
func (b *Broker) Link(ctx context.Context, pending *Pending, userID string) error {
	e := b.external(pending.Identity.External)
	switch {
	case e == nil || e.Link != LinkVerifiedEmail || userID != pending.Identity.UserID:
		return ErrLinkRefused
	case !b.Now().Before(pending.Expires):
		return ErrLinkExpired
	}
	var user *store.User
	err := b.Store.Update(ctx, func(tx store.Tx) (err error) {
		id := pending.Identity
		switch _, err := tx.Identity(id.External, id.Issuer, id.Subject); {
		case err == nil:
			return ErrLinkRefused
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		if user, err = candidate(tx, e, pending.Email); err != nil {
			return err
		}
		if user == nil || user.ID != userID {
			return ErrLinkRefused
		}
		if err := tx.PutIdentity(id); err != nil {
			return err
		}
		return b.syncGroups(tx, e, user, pending.Groups)
	})
	if err != nil {
		return fmt.Errorf("link an external account: %w", err)
	}
	b.Accounts.Linked(ctx, user, e.title())
	return nil
}

// Unlink removes a link of a user, or returns store.ErrNotFound.
func (b *Broker) Unlink(ctx context.Context, userID, external, issuer, subject string) error {
	return b.Store.Update(ctx, func(tx store.Tx) error {
		id, err := tx.Identity(external, issuer, subject)
		if err != nil {
			return err
		}
		if id.UserID != userID {
			return store.ErrNotFound
		}
		return tx.DeleteIdentity(external, issuer, subject)
	})
}
