package accounts

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func TestAUserIsFoundByNameAndByAddress(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	anna := h.create(NewUser{Name: "Anna", Email: "Anna.M@Example.com", Password: right, DisplayName: "Anna M.", Language: "de-ch", Groups: []string{"staff", "board", "staff"}})
	if anna.Name != "anna" || anna.Language != "de-CH" || !slices.Equal(anna.Groups, []string{"board", "staff"}) {
		t.Errorf("expected what is kept to be in its usual form, seen %+v", anna)
	}
	for _, text := range []string{"anna", "ANNA", " anna", "anna.m@example.com", "ANNA.M@EXAMPLE.COM"} {
		if user, err := h.Find(t.Context(), text); err != nil || user.ID != anna.ID {
			t.Errorf("%q: expected the user, seen %v, %v", text, user, err)
		}
	}
	for _, text := range []string{"", "otto", "anna\x00", anna.ID, strings.Repeat("x", 1<<20)} {
		if user, err := h.Find(t.Context(), text); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%.20q: expected %v, seen %v, %v", text, store.ErrNotFound, user, err)
		}
	}
	h.wantPassword("the password", anna, right, true)
	h.wantPassword("a wrong password", anna, "wrong", false)
	err := h.store.View(t.Context(), func(tx store.Tx) error {
		groups, err := tx.Groups()
		if len(groups) != 2 {
			t.Errorf("expected the groups to exist, seen %v", groups)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNamesAndAddressesShareOneNamespace(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.create(NewUser{Name: "anna", Email: "anna@example.com"})
	h.create(NewUser{Name: "otto@example.com", Email: "otto@example.com", EmailVerified: true})
	for name, n := range map[string]NewUser{
		"the same name":              {Name: "anna"},
		"the name in other letters":  {Name: "ＡＮＮＡ"},
		"the same address":           {Name: "maria", Email: "ANNA@example.com"},
		"an address that is a name":  {Name: "maria", Email: "Otto@Example.com"},
		"a name that is an address":  {Name: "anna@example.com", Email: "anna@example.com", EmailVerified: true},
		"the same name, application": {Name: "anna", Kind: store.Application},
	} {
		if user, err := h.Create(t.Context(), n); !errors.Is(err, store.ErrExists) {
			t.Errorf("%s: expected %v, seen %v, %v", name, store.ErrExists, user, err)
		}
	}
	if user, err := h.Find(t.Context(), "maria"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("expected nothing of a user who was not created, seen %v, %v", user, err)
	}
}

func TestUsersThatCannotBe(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for name, test := range map[string]struct {
		user  NewUser
		field string
	}{
		"no name":                           {NewUser{}, "name"},
		"the form of a client's subject":    {NewUser{Name: "client/wiki"}, "name"},
		"a name with a slash":               {NewUser{Name: "github/anna"}, "name"},
		"an external named client":          {NewUser{Name: "anna", External: "client"}, "name"},
		"somebody's address":                {NewUser{Name: "anna@example.com"}, "name"},
		"an own address, not verified":      {NewUser{Name: "anna@example.com", Email: "anna@example.com"}, "name"},
		"no address":                        {NewUser{Name: "anna", Email: "anna"}, "email"},
		"an address that adds a header":     {NewUser{Name: "anna", Email: "anna@example.com\r\nBcc: all@example.com"}, "email"},
		"a name that turns around":          {NewUser{Name: "anna", DisplayName: "\u202eanna"}, "display_name"},
		"a name of two lines":               {NewUser{Name: "anna", GivenName: "an\nna"}, "given_name"},
		"a long name":                       {NewUser{Name: "anna", FamilyName: strings.Repeat("x", 129)}, "family_name"},
		"no language":                       {NewUser{Name: "anna", Language: "german!"}, "language"},
		"no authenticator":                  {NewUser{Name: "anna", Authenticator: "admins"}, "authenticator"},
		"a group with a comma":              {NewUser{Name: "anna", Groups: []string{"a,b"}}, "groups"},
		"too many groups":                   {NewUser{Name: "anna", Groups: manyGroups(maxGroups + 1)}, "groups"},
		"an application with a password":    {NewUser{Name: "robot", Kind: store.Application, Password: right}, "password"},
		"an application with authenticator": {NewUser{Name: "robot", Kind: store.Application, Authenticator: "default"}, "authenticator"},
		"a hash that costs too much":        {NewUser{Name: "anna", Imported: "$2a$14$" + strings.Repeat("a", 53)}, "password"},
	} {
		user, err := h.Create(t.Context(), test.user)
		var invalid *InvalidError
		if !errors.As(err, &invalid) {
			t.Errorf("%s: expected an error, seen %v, %v", name, user, err)
			continue
		}
		if invalid.Field != test.field {
			t.Errorf("%s: expected an error about %s, seen %s: %v", name, test.field, invalid.Field, err)
		}
	}
}

func manyGroups(count int) (groups []string) {
	for i := range count {
		groups = append(groups, fmt.Sprint("g", i))
	}
	return groups
}

func TestTheFirstPasswordKeepsToTheRules(t *testing.T) {
	t.Parallel()
	admins := authenticator.New("admins")
	admins.Password.MinLength = 30
	h := newHarness(t, admins)
	for name, test := range map[string]struct {
		user NewUser
		want string
	}{
		"its own authenticator": {NewUser{Name: "anna", Authenticator: "admins", Password: right}, "too_short"},
		"the user name":         {NewUser{Name: "annamaria", Password: "annamaria 1234"}, "contains_name"},
		"the site":              {NewUser{Name: "anna", Password: "tennis club 1899"}, "contains_site"},
	} {
		user, err := h.Create(t.Context(), test.user)
		var broken *PasswordError
		if !errors.As(err, &broken) {
			t.Errorf("%s: expected an error, seen %v, %v", name, user, err)
			continue
		}
		if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), test.user.Password) {
			t.Errorf("%s: expected %s and not the password, seen %v", name, test.want, err)
		}
	}
}

func TestSubjectsAreRandom(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for range 1000 {
		id := newSubject()
		if seen[id] || len(id) < 26 || strings.ContainsAny(id, "/@ ") {
			t.Errorf("expected a subject of its own, of at least 128 bits, seen %s", id)
		}
		seen[id] = true
	}
}

func TestOneOfManyGetsAName(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	var wait sync.WaitGroup
	var mu sync.Mutex
	created := 0
	for i := range 20 {
		wait.Go(func() {
			_, err := h.Create(t.Context(), NewUser{Name: []string{"anna", "ANNA"}[i%2], Email: fmt.Sprintf("a%d@example.com", i)})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				created++
			case !errors.Is(err, store.ErrExists):
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if created != 1 {
		t.Errorf("expected one user of this name, seen %d", created)
	}
}

func TestTheFirstAccountLeavesAMark(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	mark := func() (mark string) {
		err := h.store.View(t.Context(), func(tx store.Tx) (err error) {
			mark, err = tx.Setting(store.SettingHadAccount)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return mark
	}
	if mark := mark(); mark != "" {
		t.Errorf("before: expected no mark, seen %s", mark)
	}
	h.create(NewUser{Name: "anna"})
	first := mark()
	if first == "" {
		t.Error("after: expected a mark, seen none")
	}
}
