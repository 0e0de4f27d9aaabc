package accounts

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func TestAnInviteIsBoundToItsAddress(t *testing.T) {
	t.Parallel()
	h := newHarness(t, authenticator.New("guests"))
	link, err := h.NewInvite(t.Context(), "Anna@Example.com", Invite{Groups: []string{"guests"}, Authenticator: "guests"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.CreateByLink(t.Context(), LinkInvite, link.Code(), NewUser{Name: "anna", Password: "short", Caller: caller}); err == nil {
		t.Error("a short password: expected an error, seen none")
	}
	user, err := h.CreateByLink(t.Context(), LinkInvite, link.Code(), NewUser{
		Name: "anna", Email: "otto@example.com", Groups: []string{"operators"}, Authenticator: "default", Kind: store.Application, Password: right, Caller: caller,
	})
	if err != nil {
		t.Fatalf("after a refused password: expected the invite to work, seen %v", err)
	}
	if user.Email != "Anna@example.com" || !user.EmailVerified {
		t.Errorf("expected the invited address, verified, seen %s, %t", user.Email, user.EmailVerified)
	}
	if !slices.Equal(user.Groups, []string{"guests"}) || user.Authenticator != "guests" || user.Kind != store.Person {
		t.Errorf("expected what the invite says, seen %+v", user)
	}
	_, err = h.CreateByLink(t.Context(), LinkInvite, link.Code(), NewUser{Name: "maria", Password: right, Caller: caller})
	h.wantError("the invite again", err, store.ErrNotFound)
	_, err = h.NewInvite(t.Context(), "anna@example.com", Invite{})
	h.wantError("an invite to an address that is taken", err, store.ErrExists)
}

func TestAnOpenInviteVerifiesNoAddress(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	link, err := h.NewInvite(t.Context(), "", Invite{})
	if err != nil {
		t.Fatal(err)
	}
	user, err := h.CreateByLink(t.Context(), LinkInvite, link.Code(), NewUser{Name: "anna", Email: "anna@example.com", EmailVerified: true, Password: right, Caller: caller})
	if err != nil {
		t.Fatal(err)
	}
	if user.EmailVerified {
		t.Error("expected an address that is not verified, seen that it is")
	}
}

func TestInvitesThatCannotBe(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	var invalid *InvalidError
	for name, err := range map[string]error{
		"no address":       second(h.NewInvite(t.Context(), "anna", Invite{})),
		"no authenticator": second(h.NewInvite(t.Context(), "", Invite{Authenticator: "guests"})),
		"no group":         second(h.NewInvite(t.Context(), "", Invite{Groups: []string{"a,b"}})),
	} {
		if !errors.As(err, &invalid) {
			t.Errorf("%s: expected an error, seen %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestInvitesAreListedAndRemoved(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	first, err := h.NewInvite(t.Context(), "anna@example.com", Invite{})
	if err != nil {
		t.Fatal(err)
	}
	h.clock.add(24 * time.Hour)
	if _, err := h.NewInvite(t.Context(), "", Invite{Groups: []string{"guests"}}); err != nil {
		t.Fatal(err)
	}
	list := func() []*Link {
		links, err := h.Invites(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return links
	}
	if links := list(); len(links) != 2 || links[0].Email != "anna@example.com" || links[1].Invite.Groups[0] != "guests" {
		t.Errorf("expected two invites, seen %v", links)
	}
	h.clock.add(6*24*time.Hour - time.Second)
	if links := list(); len(links) != 2 {
		t.Errorf("a moment before the first one's end: expected two, seen %d", len(links))
	}
	if err := h.RemoveInvite(t.Context(), first.ID()); err != nil {
		t.Fatal(err)
	}
	h.wantError("again", h.RemoveInvite(t.Context(), first.ID()), store.ErrNotFound)
	h.clock.add(24 * time.Hour)
	if links := list(); len(links) != 1 {
		t.Errorf("expected one, seen %d", len(links))
	}
	h.clock.add(time.Second)
	if links := list(); len(links) != 0 {
		t.Errorf("after the end: expected none, seen %d", len(links))
	}
}

func TestTheFirstUser(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	if had, err := h.HadAccount(t.Context()); had || err != nil {
		t.Errorf("expected no account, seen %t, %v", had, err)
	}
	before, err := h.FirstUserLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	link, err := h.FirstUserLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.CreateByLink(t.Context(), LinkFirstUser, before.Code(), NewUser{Name: "anna", Password: right, Caller: caller})
	h.wantError("the link before", err, store.ErrNotFound)
	var wait sync.WaitGroup
	var created atomic.Int64
	for _, name := range []string{"anna", "otto", "maria"} {
		wait.Go(func() {
			if _, err := h.CreateByLink(t.Context(), LinkFirstUser, link.Code(), NewUser{Name: name, Password: right, Caller: caller}); err == nil {
				created.Add(1)
			}
		})
	}
	wait.Wait()
	if created.Load() != 1 {
		t.Errorf("expected one first user, seen %d", created.Load())
	}
	_, err = h.FirstUserLink(t.Context())
	h.wantError("a link after that", err, ErrHadAccount)
	users, _, err := h.List(t.Context(), store.UserFilter{}, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range users {
		if _, err := h.Remove(t.Context(), user.ID, true); err != nil {
			t.Fatal(err)
		}
	}
	_, err = h.FirstUserLink(t.Context())
	h.wantError("a link after all were removed", err, ErrHadAccount)
}

func TestALinkToTheFirstUserEndsWithAnyAccount(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	link, err := h.FirstUserLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h.create(NewUser{Name: "anna"})
	_, err = h.CreateByLink(t.Context(), LinkFirstUser, link.Code(), NewUser{Name: "otto", Password: right, Caller: caller})
	h.wantError("the link", err, ErrHadAccount)
}

func TestMailIsLimited(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	allowed := func(userID, address string, times int) (count int) {
		for range times {
			ok, err := h.AllowMail(t.Context(), userID, netip.MustParseAddr(address))
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				count++
			}
		}
		return count
	}
	if count := allowed("anna", "192.0.2.1", 5); count != 3 {
		t.Errorf("one account: expected three mails, seen %d", count)
	}
	if count := allowed("anna", "198.51.100.1", 1); count != 0 {
		t.Errorf("one account from elsewhere: expected none, seen %d", count)
	}
	if count := allowed("", "192.0.2.77", 30); count != 15 {
		t.Errorf("one block: expected 15 more, seen %d", count)
	}
	if count := allowed("otto", "192.0.2.99", 1); count != 0 {
		t.Errorf("another account, the same block: expected none, seen %d", count)
	}
	h.clock.add(time.Hour)
	if count := allowed("anna", "192.0.2.1", 5); count != 3 {
		t.Errorf("an hour later: expected three, seen %d", count)
	}
}
