package broker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func person(id, name string) store.User { return store.User{ID: id, Kind: store.Person, Name: name} }

// A SAML account that an operator linked signs its user in, no matter how the operator
// identified the account.
func TestASAMLAccountThatAnOperatorLinked(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	entity := p.server.URL + "/metadata"
	for name, named := range map[string]func(s *site) Named{
		"by the NameID and its qualifiers": func(s *site) Named {
			return Named{Subject: "alice-id", Format: "persistent", NameQualifier: entity, SPNameQualifier: s.broker.SAMLEntityID("partners")}
		},
		"by the attempt that was refused": func(s *site) Named { return Named{Attempt: s.signIn.lastAnswer().Attempt} },
		"by the subject as it is kept":    func(s *site) Named { return Named{Subject: p.subject(s, "alice-id")} },
		"by an entity ID that is given":   func(s *site) Named { return Named{Subject: p.subject(s, "alice-id"), Issuer: entity} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := samlSite(t, p, func(c *Config) { c.Create = false })
			s.add(person("u-bob", "bob"))
			s.signInWith(p, samlLie{})
			if a := s.signIn.lastAnswer(); a == nil || a.Outcome != Unknown {
				t.Fatalf("expected an unknown user, seen %+v: %s", a, s.signIn.lastCause())
			}
			if _, err := s.broker.LinkByHand(t.Context(), "partners", "u-bob", named(s)); err != nil {
				t.Fatal(err)
			}
			s.signInWith(p, samlLie{})
			if a := s.signIn.lastAnswer(); a == nil || a.Outcome != Linked || a.User.ID != "u-bob" {
				t.Errorf("expected the user of the link, seen %+v: %s", a, s.signIn.lastCause())
			}
			if len(s.accounts.linked) != 1 {
				t.Errorf("expected one notice, seen %v", s.accounts.linked)
			}
		})
	}
}

func TestAnOpenIDAccountThatAnOperatorLinked(t *testing.T) {
	t.Parallel()
	s := oidcSite(t, oidctest.New(t), nil)
	s.add(person("u-bob", "bob"))
	link, err := s.broker.LinkByHand(t.Context(), "corp", "u-bob", Named{Subject: "u-1001"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.broker.LinkByHand(t.Context(), "corp", "u-bob", Named{Subject: "u-1001"})
	if err != nil || !again.Created.Equal(link.Created.Truncate(time.Microsecond)) || len(s.accounts.linked) != 1 {
		t.Errorf("expected a second link to change nothing, seen %+v %v %v", again, err, s.accounts.linked)
	}
	s.login("corp")
	if a := s.signIn.lastAnswer(); a == nil || a.Outcome != Linked || a.User.ID != "u-bob" {
		t.Errorf("expected the user of the link, seen %+v: %s", a, s.signIn.lastCause())
	}
}

func TestLinksByHandThatAreRefused(t *testing.T) {
	t.Parallel()
	p := newSAMLIDP(t)
	s := samlSite(t, p, nil)
	s.add(person("u-bob", "bob"))
	s.add(person("u-carol", "carol"))
	if _, err := s.broker.LinkByHand(t.Context(), "partners", "u-carol", Named{Subject: "carol"}); err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		external string
		named    Named
		want     error
	}{
		"an external provider that there is not": {"others", Named{Subject: "x"}, ErrNoExternal},
		"an attempt that there was not":          {"partners", Named{Attempt: "NONE"}, ErrNoAttempt},
		"no subject":                             {"partners", Named{}, ErrNoSubject},
		"a subject with a space at the end":      {"partners", Named{Subject: "bob "}, ErrNoSubject},
		"a NameID that is another each time":     {"partners", Named{Subject: "x", Format: "transient"}, ErrTransient},
		"an attribute that no option names":      {"partners", Named{Subject: "x", Attribute: true}, ErrUsername},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := s.broker.LinkByHand(t.Context(), row.external, "u-bob", row.named); !errors.Is(err, row.want) {
				t.Errorf("expected %v, seen %v", row.want, err)
			}
		})
	}
	var other *LinkedError
	if _, err := s.broker.LinkByHand(t.Context(), "partners", "u-bob", Named{Subject: "carol"}); !errors.As(err, &other) || other.UserID != "u-carol" {
		t.Errorf("expected that the account is another user's, seen %v", err)
	}
	if _, err := s.broker.LinkByHand(t.Context(), "partners", "u-none", Named{Subject: "none"}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("expected no user, seen %v", err)
	}
}

// An operator can link an account by an attribute, for users whose NameID is transient.
func TestAnAttributeThatAnOperatorNames(t *testing.T) {
	t.Parallel()
	s := samlSite(t, newSAMLIDP(t), func(c *Config) { c.SAML.Username = "uid" })
	s.add(person("u-bob", "bob"))
	link, err := s.broker.LinkByHand(t.Context(), "partners", "u-bob", Named{Subject: "bob.b", Attribute: true})
	if err != nil {
		t.Fatal(err)
	}
	if want := subjectOf("attribute", "uid", "bob.b"); link.Subject != want {
		t.Errorf("expected %s, seen %s", want, link.Subject)
	}
	if _, err := s.broker.LinkByHand(t.Context(), "partners", "u-bob", Named{Subject: `["attribute","uid","x"]`}); err != nil {
		t.Errorf("expected the subject as it is kept, seen %v", err)
	}
}

// A refused attempt can be used for one link, within a day, and only at its own external
// provider.
func TestAnAttemptLinksOnce(t *testing.T) {
	t.Parallel()
	s := samlSite(t, newSAMLIDP(t), func(c *Config) { c.Create = false })
	s.add(person("u-bob", "bob"))
	attempt := func() string {
		t.Helper()
		answer, err := s.broker.resolve(t.Context(), s.broker.external("partners"), alice())
		if err != nil || answer.Outcome != Unknown || answer.Attempt == "" {
			t.Fatalf("expected an attempt of an unknown user, seen %+v %v", answer, err)
		}
		return answer.Attempt
	}
	link := func(b *Broker, attempt string) error {
		_, err := b.LinkByHand(t.Context(), b.externals[0].ID, "u-bob", Named{Attempt: attempt})
		return err
	}
	other := *s.broker.external("partners").Config
	other.ID = "others"
	if err := link(s.node([]Config{other}), attempt()); !errors.Is(err, ErrNoAttempt) {
		t.Errorf("at another external provider: expected a refusal, seen %v", err)
	}
	late := attempt()
	s.now = func() time.Time { return time.Now().Add(attemptLasts) }
	if err := link(s.broker, late); !errors.Is(err, ErrNoAttempt) {
		t.Errorf("after a day: expected a refusal, seen %v", err)
	}
	once := attempt()
	if err := link(s.broker, strings.ToLower(once)); err != nil {
		t.Fatal(err)
	}
	if err := link(s.broker, once); !errors.Is(err, ErrNoAttempt) {
		t.Errorf("a second time: expected a refusal, seen %v", err)
	}
}
