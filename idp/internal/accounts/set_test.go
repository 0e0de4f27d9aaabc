package accounts

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/lockout"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func (h *harness) mustSet(id string, c Changes) *store.User {
	h.t.Helper()
	user, err := h.Set(h.t.Context(), id, c)
	if err != nil {
		h.t.Fatal(err)
	}
	return user
}

func TestSetChangesWhatIsGivenAlone(t *testing.T) {
	t.Parallel()
	h := newHarness(t, authenticator.New("admins"))
	anna := h.create(NewUser{Name: "anna", Email: "anna@example.com", DisplayName: "Anna", Groups: []string{"a", "b"}, Password: right})
	user := h.mustSet(anna.ID, Changes{})
	if user.Email != anna.Email || user.DisplayName != "Anna" || !slices.Equal(user.Groups, anna.Groups) || user.Password.Hash != anna.Password.Hash {
		t.Errorf("no change: expected the same user, seen %+v", user)
	}
	yes := true
	user = h.mustSet(anna.ID, Changes{
		DisplayName: new("Anna M."), Language: new("fr"), Authenticator: new("admins"),
		AddGroups: []string{"c"}, RemoveGroups: []string{"a"}, MustChange: &yes, MustEnrol: &yes,
	})
	if user.DisplayName != "Anna M." || user.Language != "fr" || user.Authenticator != "admins" || !user.Password.MustChange || !user.MustEnrol {
		t.Errorf("expected all to change, seen %+v", user)
	}
	if !slices.Equal(user.Groups, []string{"b", "c"}) {
		t.Errorf("expected the groups b and c, seen %v", user.Groups)
	}
	user = h.mustSet(anna.ID, Changes{Groups: &[]string{}})
	if len(user.Groups) != 0 {
		t.Errorf("expected no group, seen %v", user.Groups)
	}
	for name, c := range map[string]Changes{
		"authenticator": {Authenticator: new("guests")}, "groups": {AddGroups: []string{"a,b"}}, "display_name": {DisplayName: new("a\nb")},
		"language": {Language: new("!")}, "email": {Email: new("anna")},
	} {
		_, err := h.Set(t.Context(), anna.ID, c)
		var invalid *InvalidError
		if !errors.As(err, &invalid) || invalid.Field != name {
			t.Errorf("expected an error about %s, seen %v", name, err)
		}
	}
	_, err := h.Set(t.Context(), "unknown", Changes{})
	h.wantError("no user", err, store.ErrNotFound)
}

func TestChangesOfTheAddress(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	yes, no := true, false
	anna := h.create(NewUser{Name: "anna", Email: "anna@example.com", EmailVerified: true})
	otto := h.create(NewUser{Name: "otto@example.com", Email: "otto@example.com", EmailVerified: true})
	if user := h.mustSet(anna.ID, Changes{Email: new("anna@example.org")}); user.EmailVerified {
		t.Error("another address: expected it not to be verified, seen that it is")
	}
	if user := h.mustSet(anna.ID, Changes{EmailVerified: &yes}); !user.EmailVerified || user.Email != "anna@example.org" {
		t.Errorf("expected the address to be verified, seen %+v", user)
	}
	_, err := h.Find(t.Context(), "anna@example.com")
	h.wantError("the old address", err, store.ErrNotFound)
	_, err = h.Set(t.Context(), otto.ID, Changes{Email: new("anna@example.com"), EmailVerified: &yes})
	h.wantError("the old address for somebody else", err, store.ErrExists)
	if user := h.mustSet(anna.ID, Changes{Email: new("anna@example.com")}); user.Email != "anna@example.com" {
		t.Errorf("expected the old address to be the user's own, seen %s", user.Email)
	}
	for name, c := range map[string]Changes{"not verified": {EmailVerified: &no}, "another one": {Email: new("o@example.com")}, "none": {Email: new("")}} {
		_, err := h.Set(t.Context(), otto.ID, c)
		var invalid *InvalidError
		if !errors.As(err, &invalid) {
			t.Errorf("an address that is the user name, %s: expected an error, seen %v", name, err)
		}
	}
	user := h.mustSet(otto.ID, Changes{Email: new("otto@example.org"), EmailVerified: &yes})
	if user.Name != "otto@example.org" {
		t.Errorf("expected the user name to follow the address, seen %s", user.Name)
	}
	_, err = h.Create(t.Context(), NewUser{Name: "otto@example.com", Email: "otto@example.com", EmailVerified: true})
	h.wantError("the old name for somebody else", err, store.ErrExists)
	if user := h.mustSet(anna.ID, Changes{Email: new("")}); user.Email != "" || user.EmailVerified {
		t.Errorf("expected no address, seen %+v", user)
	}
}

func TestLockAndUnlock(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.create(NewUser{Name: "anna"})
	rule := authenticator.Lockout{Attempts: 1, Duration: time.Hour}
	h.update(func(tx store.Tx) error {
		_, err := lockout.Failed(tx, lockout.Attempt{UserID: anna.ID, Rule: rule, Kind: lockout.Password}, h.clock.Now())
		return err
	})
	if user, err := h.Lock(t.Context(), anna.ID); err != nil || !user.Locked {
		t.Errorf("expected the user to be locked, seen %+v, %v", user, err)
	}
	details, err := h.DetailsOf(t.Context(), anna.ID)
	if err != nil {
		t.Fatal(err)
	}
	if details.Lockout.Until.IsZero() {
		t.Error("expected a lock of wrong attempts, seen none")
	}
	if user, err := h.Unlock(t.Context(), anna.ID); err != nil || user.Locked {
		t.Errorf("expected the user not to be locked, seen %+v, %v", user, err)
	}
	if details, err = h.DetailsOf(t.Context(), anna.ID); err != nil || !details.Lockout.Until.IsZero() {
		t.Errorf("expected no lock of wrong attempts, seen %+v, %v", details.Lockout, err)
	}
}

// furnished creates a user who has one of everything.
func (h *harness) furnished(name string) *store.User {
	user := h.create(NewUser{Name: name, Email: name + "@example.com", DisplayName: "A name", Groups: []string{"staff"}, Password: right})
	h.update(func(tx store.Tx) error {
		return errors.Join(
			tx.PutFactor(store.Factor{ID: name + "1", UserID: user.ID, Kind: store.TOTP, Confirmed: true, Secret: []byte("sealed"), Created: h.clock.Now()}),
			tx.SetRecoveryCodes(user.ID, []store.Hash{store.HashOf(name)}),
			tx.PutIdentity(store.Identity{External: "partners", Issuer: "https://partners.test", Subject: name, UserID: user.ID, Created: h.clock.Now()}),
		)
	})
	h.ticket(user.ID, ticketDevice)
	return user
}

func TestARemovedUserLeavesTheNamesAlone(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.furnished("anna")
	removed, err := h.Remove(t.Context(), anna.ID, false)
	if err != nil {
		t.Fatal(err)
	}
	if removed.Removed.IsZero() || removed.Password.Hash != "" || removed.Email != "" || removed.DisplayName != "" || len(removed.Groups) != 0 {
		t.Errorf("expected nothing but the ID and the name, seen %+v", removed)
	}
	_, err = h.Find(t.Context(), "anna")
	h.wantError("the name", err, store.ErrNotFound)
	_, err = h.Get(t.Context(), anna.ID)
	h.wantError("the ID", err, store.ErrNotFound)
	details, err := h.DetailsOf(t.Context(), anna.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(details.Factors)+details.RecoveryCodes+h.tickets(anna.ID, ticketDevice) != 0 {
		t.Errorf("expected no factors, codes and devices, seen %+v", details)
	}
	if len(details.Identities) != 1 {
		t.Errorf("expected the external account to stay reserved, seen %v", details.Identities)
	}
	for _, n := range []NewUser{{Name: "anna"}, {Name: "maria", Email: "anna@example.com"}} {
		_, err := h.Create(t.Context(), n)
		h.wantError("the name or the address for somebody else", err, store.ErrExists)
	}
	users, _, err := h.List(t.Context(), store.UserFilter{}, "", 10)
	if err != nil || len(users) != 0 {
		t.Errorf("expected no user in the list, seen %v, %v", users, err)
	}
	_, err = h.Remove(t.Context(), anna.ID, true)
	h.wantError("again", err, store.ErrNotFound)

	if err := h.ReuseName(t.Context(), "Anna@example.com"); err != nil {
		t.Fatal(err)
	}
	second := h.create(NewUser{Name: "anna", Email: "anna@example.com"})
	if second.ID == anna.ID {
		t.Error("expected another ID, seen the same")
	}
	details, err = h.DetailsOf(t.Context(), anna.ID)
	if err != nil || len(details.Identities) != 0 {
		t.Errorf("expected the external account to be free, seen %v, %v", details.Identities, err)
	}
}

func TestNamesThatMayBeUsedAgain(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.furnished("anna")
	if _, err := h.Remove(t.Context(), anna.ID, true); err != nil {
		t.Fatal(err)
	}
	otto := h.create(NewUser{Name: "anna", Email: "anna@example.com"})
	h.wantError("a name in use", h.ReuseName(t.Context(), "anna"), ErrNameInUse)
	h.wantError("an address in use", h.ReuseName(t.Context(), "anna@example.com"), ErrNameInUse)
	h.wantError("no name", h.ReuseName(t.Context(), "otto"), store.ErrNotFound)
	h.mustSet(otto.ID, Changes{Email: new("new@example.com")})
	if err := h.ReuseName(t.Context(), "anna@example.com"); err != nil {
		t.Errorf("an old address: expected no error, seen %v", err)
	}
	h.create(NewUser{Name: "maria", Email: "anna@example.com"})
}

func TestResetFactors(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.furnished("anna")
	user, err := h.ResetFactors(t.Context(), anna.ID)
	if err != nil {
		t.Fatal(err)
	}
	details, err := h.DetailsOf(t.Context(), anna.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !user.MustEnrol || len(details.Factors)+details.RecoveryCodes != 0 {
		t.Errorf("expected no factor and one to be due, seen %+v", details)
	}
	h.wantPassword("the password", anna, right, true)
}

func TestListsComeInPages(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for _, name := range []string{"d", "b", "e", "a", "c"} {
		h.create(NewUser{Name: name, Groups: []string{"all"}})
	}
	var seen []string
	after, pages := "", 0
	for more := true; more; pages++ {
		users, next, err := h.List(t.Context(), store.UserFilter{Group: "all"}, after, 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, user := range users {
			seen = append(seen, user.Name)
			after = user.ID
		}
		more = next
	}
	if want := []string{"a", "b", "c", "d", "e"}; !slices.Equal(seen, want) {
		t.Errorf("expected %v, seen %v", want, seen)
	}
	if pages != 3 {
		t.Errorf("expected three pages, seen %d", pages)
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.create(NewUser{Name: "anna", Groups: []string{"staff"}})
	if _, err := h.SetGroup(t.Context(), "operators", true); err != nil {
		t.Fatal(err)
	}
	if group, err := h.SetGroup(t.Context(), "staff", true); err != nil || !group.Operator || !group.Created.Equal(anna.Created) {
		t.Errorf("expected the group to be changed, seen %+v, %v", group, err)
	}
	if _, err := h.SetGroup(t.Context(), "a;b", false); err == nil {
		t.Error("a name with a semicolon: expected an error, seen none")
	}
	groups, err := h.Groups(t.Context())
	if err != nil || len(groups) != 2 {
		t.Errorf("expected two groups, seen %v, %v", groups, err)
	}
	if err := h.DeleteGroup(t.Context(), "staff"); err != nil {
		t.Fatal(err)
	}
	h.wantError("again", h.DeleteGroup(t.Context(), "staff"), store.ErrNotFound)
	if user := h.get(anna.ID); len(user.Groups) != 0 {
		t.Errorf("expected the member to be in no group, seen %v", user.Groups)
	}
}

func TestExternalAccounts(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	user := &store.User{Name: "Partners/Anna", Email: "anna@partners.test", EmailVerified: true, DisplayName: "two\nlines", GivenName: "Anna", Language: "!", Groups: []string{"Domain Users"}}
	h.update(func(tx store.Tx) error { return h.NewUser(tx, user) })
	if user.ID == "" || user.Name != "partners/anna" || user.Kind != store.Person || user.DisplayName != "" || user.GivenName != "Anna" {
		t.Errorf("expected an account without what cannot be shown, seen %+v", user)
	}
	if found, err := h.Find(t.Context(), "partners/anna"); err != nil || found.ID != user.ID {
		t.Errorf("expected the account to be found, seen %v, %v", found, err)
	}
	for _, name := range []string{"anna", "client/anna", "partners/a/b", "partners/"} {
		err := h.store.Update(t.Context(), func(tx store.Tx) error { return h.NewUser(tx, &store.User{Name: name}) })
		var invalid *InvalidError
		if !errors.As(err, &invalid) {
			t.Errorf("%s: expected an error, seen %v", name, err)
		}
	}
	err := h.store.Update(t.Context(), func(tx store.Tx) error { return h.NewUser(tx, &store.User{Name: "partners/ANNA"}) })
	h.wantError("the name again", err, store.ErrExists)
}
