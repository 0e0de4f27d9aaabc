package sessionstore

import (
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// family creates a session at a login host, and another that is handed over from it.
func (n *node) family() (parent, child *Loaded, parentValue, childValue string) {
	n.t.Helper()
	parentValue = n.create(n.session())
	parent = n.load(parentValue)
	s := n.handedOver(parent)
	childValue = n.create(s)
	return parent, n.load(childValue), parentValue, childValue
}

// handedOver returns a session that begins a while after its parent.
func (n *node) handedOver(parent *Loaded) *session.Session {
	p := &parent.Session
	s := n.session()
	s.SignedIn, s.Parent = p.SignedIn.Add(time.Hour), &session.Parent{
		ID: p.ID, Key: parent.RecordKey(), SignedIn: p.SignedIn, Expires: p.Expires, Provider: p.Provider, Username: p.Username,
	}
	return s
}

func TestASessionEndsWithItsParent(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, n *node) {
		parent, child, _, value := n.family()
		if child == nil {
			t.Fatal("expected a session, seen none")
		}
		if *child.Session.Parent != *n.handedOver(parent).Parent {
			t.Errorf("expected its parent, seen %+v", child.Session.Parent)
		}
		if err := n.Revoke(t.Context(), parent); err != nil {
			t.Fatal(err)
		}
		if n.load(value) != nil {
			t.Error("expected no session after the end of its parent, seen one")
		}
		if _, err := n.Create(t.Context(), n.ring, here, n.handedOver(parent)); !errors.Is(err, ErrRevoked) && n.load(n.create(n.handedOver(parent))) != nil {
			t.Errorf("expected no session of a parent that is over, seen one, %v", err)
		}
	})
}

func TestAParentEndsWithItsSession(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, n *node) {
		parent, child, parentValue, value := n.family()
		sibling := n.create(n.handedOver(parent))
		if err := n.RevokeParent(t.Context(), child.Session.Parent); err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"the parent": parentValue, "the session": value, "another session": sibling} {
			if n.load(value) != nil {
				t.Errorf("%s: expected no session, seen one", name)
			}
		}
	})
}

// The end of a session that was handed over affects no other session.
func TestTheEndOfOneSessionIsNotItsParents(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, n *node) {
		parent, child, parentValue, value := n.family()
		sibling := n.create(n.handedOver(parent))
		if err := n.Revoke(t.Context(), child); err != nil {
			t.Fatal(err)
		}
		if n.load(value) != nil {
			t.Error("expected no session, seen one")
		}
		for name, value := range map[string]string{"the parent": parentValue, "another session": sibling} {
			if n.load(value) == nil {
				t.Errorf("%s: expected a session, seen none", name)
			}
		}
	})
}

// A revocation after the sign-in at the login host also ends sessions that were handed
// over, even if they began later. A later sign-in is not affected.
func TestWhatEndedTheParentEndsTheSession(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, n *node) {
		subject := "u-" + rand.Text() // nodes share a log
		s := n.session()
		s.Subject = subject
		parentValue := n.create(s)
		parent := n.load(parentValue)
		handedOver := func() *session.Session {
			s := n.handedOver(parent)
			s.Subject = subject
			return s
		}
		value := n.create(handedOver())
		at := parent.Session.SignedIn.Add(30 * time.Minute) // before the handover
		if err := n.Revocations().Add(t.Context(), revocation.ForSubject(issuerOf(&parent.Session), subject, at, at.Add(24*time.Hour))); err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"the parent": parentValue, "the session": value} {
			if n.load(value) != nil {
				t.Errorf("%s: expected no session, seen one", name)
			}
		}
		if chunks, err := n.Create(t.Context(), n.ring, here, handedOver()); !errors.Is(err, ErrRevoked) {
			t.Errorf("a handover afterwards: expected %v, seen %q, %v", ErrRevoked, chunks, err)
		}
		later := n.session()
		later.Subject = subject
		later.SignedIn = at.Add(time.Second)
		if n.load(n.create(later)) == nil {
			t.Error("a later sign-in: expected a session, seen none")
		}
	})
}
