package broker

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/opconfig"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// partners returns an external provider with some rules.
func partners(change func(*Config)) Config {
	c := Config{
		ID: "partners", Name: "Partners", Domains: []string{"partners.example"},
		OIDC: &opconfig.Options{Issuer: "https://idp.partners.example", ClientID: "rp", ClientSecret: "secret"},
	}
	if change != nil {
		change(&c)
	}
	return c
}

// alice returns what the external provider says about a user.
func alice() *Assertion {
	return &Assertion{
		External: "partners", Issuer: "https://idp.partners.example", Subject: "s-1", Name: "Alice",
		Claims: Claims{Email: "alice@partners.example", Name: "Alice Müller", Groups: []string{"staff"}},
	}
}

// local returns the account that already exists.
func local() store.User {
	return store.User{ID: "u-local", Kind: store.Person, Name: "alice", Email: "alice@partners.example", EmailVerified: true}
}

func (s *site) add(users ...store.User) {
	s.t.Helper()
	s.store.change(func(tx store.Tx) error {
		for _, user := range users {
			if user.Created.IsZero() {
				user.Created = time.Now()
			}
			if err := s.accounts.Add(tx, &user); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *site) link(userID string) {
	s.t.Helper()
	a := alice()
	s.store.change(func(tx store.Tx) error {
		return tx.PutIdentity(store.Identity{External: a.External, Issuer: a.Issuer, Subject: a.Subject, UserID: userID})
	})
}

// withLink, withCreate and withBoth are rules of an external provider.
func withLink(c *Config)   { c.Link = LinkVerifiedEmail }
func withCreate(c *Config) { c.Create = true }
func withBoth(c *Config)   { c.Create, c.Link = true, LinkVerifiedEmail }

func TestWhoseAccountAnExternalAccountIs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config  func(*Config)
		users   []store.User
		linked  string
		change  func(*Assertion)
		groups  []store.Group
		want    Outcome
		account string // the id, or the name of a new one
	}{
		"A linked account is the user's":                           {nil, []store.User{local()}, "u-local", nil, nil, Linked, "u-local"},
		"An unknown user has no account":                           {nil, nil, "", nil, nil, Unknown, ""},
		"The e-mail address alone links nothing":                   {nil, []store.User{local()}, "", nil, nil, Unknown, ""},
		"A verified address leads to the account, to be signed in": {withLink, []store.User{local()}, "", nil, nil, LinkNeeded, "u-local"},
		"An address in another domain links nothing": {withLink, []store.User{{ID: "u-admin", Kind: store.Person, Name: "admin", Email: "admin@home.example", EmailVerified: true}}, "",
			func(a *Assertion) { a.Claims.Email = "admin@home.example" }, nil, Unknown, ""},
		"An address that was not verified here links nothing": {withLink, []store.User{changed(func(u *store.User) { u.EmailVerified = false })}, "", nil, nil, Unknown, ""},
		"A user name that looks like the address links nothing": {withLink, []store.User{changed(func(u *store.User) { u.Name, u.Email, u.EmailVerified = u.Email, "", true })}, "",
			nil, nil, Unknown, ""},
		"No e-mail address links nothing": {withLink, []store.User{local()}, "", func(a *Assertion) { a.Claims.Email = "" }, nil, Unknown, ""},
		"An operator's account is never linked by its address": {withLink, []store.User{changed(func(u *store.User) { u.Groups = []string{"operators"} })}, "", nil,
			[]store.Group{{Name: "operators", Operator: true}}, Unknown, ""},
		"A group that is no operator group does not matter": {withLink, []store.User{changed(func(u *store.User) { u.Groups = []string{"readers"} })}, "", nil,
			[]store.Group{{Name: "operators", Operator: true}, {Name: "readers"}}, LinkNeeded, "u-local"},
		"A removed account is not linked":                     {withLink, []store.User{changed(func(u *store.User) { u.Removed = time.Now() })}, "", nil, nil, Unknown, ""},
		"A locked account is not linked":                      {withLink, []store.User{changed(func(u *store.User) { u.Locked = true })}, "", nil, nil, Unknown, ""},
		"An application is not linked":                        {withLink, []store.User{changed(func(u *store.User) { u.Kind = store.Application })}, "", nil, nil, Unknown, ""},
		"A linked account that is removed counts no more":     {withCreate, []store.User{changed(func(u *store.User) { u.Removed = time.Now() })}, "u-local", nil, nil, Unknown, ""},
		"A linked account that is locked counts no more":      {nil, []store.User{changed(func(u *store.User) { u.Locked = true })}, "u-local", nil, nil, Unknown, ""},
		"A new account has a name of the external provider's": {withCreate, nil, "", nil, nil, Created, "partners/alice"},
		"A new account never has a name of ours":              {withCreate, []store.User{local()}, "", func(a *Assertion) { a.Name = "alice" }, nil, Created, "partners/alice"},
		"A link comes before a new account":                   {withBoth, []store.User{local()}, "", nil, nil, LinkNeeded, "u-local"},
		"A name with an address is cut":                       {withCreate, nil, "", func(a *Assertion) { a.Name = "Bob@home.example" }, nil, Created, "partners/bob"},
		"A name with a slash names no other provider":         {withCreate, nil, "", func(a *Assertion) { a.Name = "../corp/admin" }, nil, Created, "partners/corp-admin"},
		"Another subject of the same name has another account": {withCreate, []store.User{{ID: "u-2", Kind: store.Person, Name: "partners/alice"}}, "", nil, nil,
			Created, "partners/alice-" + endingOf(alice())},
		"Another issuer's subject is another user":   {nil, []store.User{local()}, "u-local", func(a *Assertion) { a.Issuer = "https://evil.example" }, nil, Unknown, ""},
		"Another provider's subject is another user": {nil, []store.User{local()}, "u-local", func(a *Assertion) { a.External = "corp" }, nil, Unknown, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(string) []Config { return []Config{partners(tc.config)} })
			for _, group := range tc.groups {
				s.store.change(func(tx store.Tx) error { return tx.PutGroup(group) })
			}
			s.add(tc.users...)
			if tc.linked != "" {
				s.link(tc.linked)
			}
			a := alice()
			if tc.change != nil {
				tc.change(a)
			}
			answer, err := s.broker.resolve(context.Background(), s.broker.external("partners"), a)
			if err != nil {
				t.Fatalf("expected an answer, seen %v", err)
			}
			if answer.Outcome != tc.want {
				t.Fatalf("expected %s, seen %s", tc.want, answer.Outcome)
			}
			if seen := accountOf(answer); seen != tc.account {
				t.Errorf("expected the account %q, seen %q", tc.account, seen)
			}
		})
	}
}

func changed(change func(*store.User)) store.User {
	user := local()
	change(&user)
	return user
}

func accountOf(answer *Answer) string {
	switch answer.Outcome {
	case Linked:
		return answer.User.ID
	case Created:
		return answer.User.Name
	case LinkNeeded:
		return answer.Pending.Identity.UserID
	}
	return ""
}

func TestANewAccountTakesNoAddressThatAnotherOneHas(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(string) []Config { return []Config{partners(withCreate)} })
	s.add(changed(func(u *store.User) { u.EmailVerified = false }))
	answer, err := s.broker.resolve(context.Background(), s.broker.external("partners"), alice())
	if err != nil {
		t.Fatal(err)
	}
	if seen := answer.User.Email; seen != "" {
		t.Errorf("expected no address, seen %q", seen)
	}
	if owner := s.store.owner("alice@partners.example"); owner != "u-local" {
		t.Errorf("expected the address to stay with its owner, seen %q", owner)
	}
}

func TestALinkIsMadeAfterASignIn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		user   string // the user who signs in
		before func(*site, *Pending)
		want   error
	}{
		"The user of the account links": {"u-local", nil, nil},
		"Another user does not":         {"u-other", nil, ErrLinkRefused},
		"The option is gone":            {"u-local", func(s *site, _ *Pending) { s.broker.external("partners").Link = "" }, ErrLinkRefused},
		"The provider is disabled":      {"u-local", func(s *site, _ *Pending) { s.broker.external("partners").Disabled = true }, ErrLinkRefused},
		"The time for it ends": {"u-local", func(s *site, _ *Pending) {
			s.now = func() time.Time { return time.Now().Add(pendingLasts + time.Second) }
		}, ErrLinkExpired},
		"The account became an operator's":                        {"u-local", func(s *site, _ *Pending) { s.makeOperator() }, ErrLinkRefused},
		"Another account has the address now, and its user links": {"u-other", func(s *site, _ *Pending) { s.giveAddressTo("u-other") }, ErrLinkRefused},
		"Another account has the address now":                     {"u-local", func(s *site, _ *Pending) { s.giveAddressTo("u-other") }, ErrLinkRefused},
		"The account has another address now":                     {"u-local", func(s *site, _ *Pending) { s.setUser(func(u *store.User) { u.Email = "new@partners.example" }) }, ErrLinkRefused},
		"The identity was linked by another one before":           {"u-local", func(s *site, _ *Pending) { s.link("u-other") }, ErrLinkRefused},
		"An address of another domain is not believed":            {"u-local", func(_ *site, p *Pending) { p.Email = "alice@home.example" }, ErrLinkRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(string) []Config {
				return []Config{partners(func(c *Config) { c.Link, c.Groups = LinkVerifiedEmail, []string{"staff"} })}
			})
			s.add(local(), store.User{ID: "u-other", Kind: store.Person, Name: "other"})
			e := s.broker.external("partners")
			answer, err := s.broker.resolve(context.Background(), e, alice())
			if err != nil || answer.Outcome != LinkNeeded {
				t.Fatalf("expected that a link is needed, seen %v, %v", answer, err)
			}
			if tc.before != nil {
				tc.before(s, answer.Pending)
			}
			err = s.broker.Link(context.Background(), answer.Pending, tc.user)
			if !errors.Is(err, tc.want) {
				t.Fatalf("expected %v, seen %v", tc.want, err)
			}
			answer, err = s.broker.resolve(context.Background(), e, alice())
			if err != nil {
				t.Fatal(err)
			}
			isLinked := answer.Outcome == Linked && answer.User.ID == "u-local"
			if isLinked != (tc.want == nil) {
				t.Errorf("expected linked: %t, seen %s", tc.want == nil, answer.Outcome)
			}
			if told := len(s.accounts.linked); (told == 1) != (tc.want == nil) {
				t.Errorf("expected a notice: %t, seen %d", tc.want == nil, told)
			}
		})
	}
}

func (s *site) setUser(change func(*store.User)) {
	user := s.store.user("u-local")
	before := user.Email
	change(user)
	s.store.change(func(tx store.Tx) error {
		if before != user.Email {
			if err := tx.Release(before); err != nil {
				return err
			}
		}
		return s.accounts.Add(tx, user)
	})
}

// giveAddressTo moves the address of u-local to another account, where it is verified.
func (s *site) giveAddressTo(id string) {
	address := s.store.user("u-local").Email
	s.setUser(func(u *store.User) { u.Email = "" })
	other := s.store.user(id)
	other.Email, other.EmailVerified = address, true
	s.store.change(func(tx store.Tx) error { return s.accounts.Add(tx, other) })
}

func (s *site) makeOperator() {
	s.store.change(func(tx store.Tx) error { return tx.PutGroup(store.Group{Name: "operators", Operator: true}) })
	s.setUser(func(u *store.User) { u.Groups = []string{"operators"} })
}

func TestGroupsOfAnExternalProvider(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config         func(*Config)
		before, theirs []string
		want           []string
	}{
		"Without a mapping no group exists here":       {nil, []string{"own"}, []string{"staff", "operators"}, []string{"own"}},
		"A group that is named keeps its name":         {func(c *Config) { c.Groups = []string{"staff"} }, []string{"own"}, []string{"staff", "operators"}, []string{"own", "staff"}},
		"A group that is mapped has another name":      {func(c *Config) { c.GroupNames = map[string]string{"Staff": "employees"} }, nil, []string{"Staff", "employees"}, []string{"employees"}},
		"A group that is not said any more goes":       {func(c *Config) { c.Groups = []string{"staff"} }, []string{"own", "staff"}, nil, []string{"own"}},
		"A group of the same name as ours is no other": {func(c *Config) { c.GroupNames = map[string]string{"operators": "partners"} }, []string{"operators"}, []string{"operators"}, []string{"operators", "partners"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(string) []Config { return []Config{partners(tc.config)} })
			s.add(changed(func(u *store.User) { u.Groups = tc.before }))
			s.link("u-local")
			a := alice()
			a.Claims.Groups = tc.theirs
			a.fill(s.broker.external("partners").Config, nil, time.Now())
			if _, err := s.broker.resolve(context.Background(), s.broker.external("partners"), a); err != nil {
				t.Fatal(err)
			}
			if seen := s.store.user("u-local").Groups; !slices.Equal(seen, tc.want) {
				t.Errorf("expected the groups %q, seen %q", tc.want, seen)
			}
		})
	}
}

// External providers neither add users to operator groups nor remove them, even if a
// mapping names such a group.
func TestNoExternalProviderNamesAnOperatorGroup(t *testing.T) {
	t.Parallel()
	operators := func(c *Config) { c.Create, c.Groups = true, []string{"operators", "staff"} }
	for name, tc := range map[string]struct{ before, theirs, want []string }{
		"It gives none":   {nil, []string{"operators", "staff"}, []string{"staff"}},
		"It takes none":   {[]string{"operators", "staff"}, nil, []string{"operators"}},
		"A new user":      {nil, []string{"operators"}, nil},
		"It changes none": {[]string{"operators"}, []string{"operators"}, []string{"operators"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(string) []Config { return []Config{partners(operators)} })
			s.store.change(func(tx store.Tx) error { return tx.PutGroup(store.Group{Name: "operators", Operator: true}) })
			if name != "A new user" {
				s.add(changed(func(u *store.User) { u.Groups = tc.before }))
				s.link("u-local")
			}
			a := alice()
			a.Claims.Groups = tc.theirs
			answer, err := s.broker.resolve(context.Background(), s.broker.external("partners"), a)
			if err != nil {
				t.Fatal(err)
			}
			if seen := s.store.user(answer.User.ID).Groups; !slices.Equal(seen, tc.want) {
				t.Errorf("expected the groups %q, seen %q", tc.want, seen)
			}
		})
	}
}

func TestALinkIsRemovedByItsUserAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(string) []Config { return []Config{partners(nil)} })
	s.add(local())
	s.link("u-local")
	a := alice()
	unlink := func(user string) error {
		return s.broker.Unlink(context.Background(), user, a.External, a.Issuer, a.Subject)
	}
	if err := unlink("u-other"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another user: expected %v, seen %v", store.ErrNotFound, err)
	}
	if err := unlink("u-local"); err != nil {
		t.Errorf("the user: expected no error, seen %v", err)
	}
	if err := unlink("u-local"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("again: expected %v, seen %v", store.ErrNotFound, err)
	}
}
