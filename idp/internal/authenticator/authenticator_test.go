package authenticator

import (
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func TestTheDefaultsAreAllowed(t *testing.T) {
	t.Parallel()
	if err := New(Default).Check(); err != nil {
		t.Errorf("expected no error, seen %v", err)
	}
}

func TestLimitsOfOptions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*Authenticator)
		option string // the option that the error names; empty if the settings are allowed
	}{
		"the shortest password":           {func(a *Authenticator) { a.Password.MinLength = 8 }, ""},
		"shorter":                         {func(a *Authenticator) { a.Password.MinLength = 7 }, "min_length"},
		"the longest":                     {func(a *Authenticator) { a.Password.MaxLength = 128 }, ""},
		"longer":                          {func(a *Authenticator) { a.Password.MaxLength = 129 }, "max_length"},
		"the shortest limit":              {func(a *Authenticator) { a.Password.MaxLength, a.Password.MinLength = 8, 8 }, ""},
		"a shorter limit":                 {func(a *Authenticator) { a.Password.MaxLength, a.Password.MinLength = 7, 8 }, "max_length"},
		"one length":                      {func(a *Authenticator) { a.Password.MaxLength, a.Password.MinLength = 20, 20 }, ""},
		"no length":                       {func(a *Authenticator) { a.Password.MaxLength, a.Password.MinLength = 20, 21 }, "min_length"},
		"all kinds":                       {func(a *Authenticator) { a.Password.Require = []Kind{Lower, Upper, Digit, Symbol} }, ""},
		"another kind":                    {func(a *Authenticator) { a.Password.Require = []Kind{"emoji"} }, "require"},
		"the highest strength":            {func(a *Authenticator) { a.Password.MinStrength = 4 }, ""},
		"a higher strength":               {func(a *Authenticator) { a.Password.MinStrength = 5 }, "min_strength"},
		"a strength below zero":           {func(a *Authenticator) { a.Password.MinStrength = -1 }, "min_strength"},
		"the longest history":             {func(a *Authenticator) { a.Password.History = MaxHistory }, ""},
		"a longer history":                {func(a *Authenticator) { a.Password.History = MaxHistory + 1 }, "history"},
		"a history below zero":            {func(a *Authenticator) { a.Password.History = -1 }, "history"},
		"an age below zero":               {func(a *Authenticator) { a.Password.MaxAge = -1 }, "max_age"},
		"one attempt":                     {func(a *Authenticator) { a.Lockout.Attempts = 1 }, ""},
		"no attempt":                      {func(a *Authenticator) { a.Lockout.Attempts = 0 }, "lockout"},
		"many attempts":                   {func(a *Authenticator) { a.Lockout.Attempts = maxAttempts + 1 }, "lockout"},
		"a lock of a day":                 {func(a *Authenticator) { a.Lockout.Duration = MaxWait }, ""},
		"a longer lock":                   {func(a *Authenticator) { a.Lockout.Duration = MaxWait + 1 }, "lockout"},
		"no lock":                         {func(a *Authenticator) { a.Lockout.Duration = 0 }, "lockout"},
		"another MFA":                     {func(a *Authenticator) { a.MFA = "sometimes" }, "mfa"},
		"no factor":                       {func(a *Authenticator) { a.Factors = nil }, ""},
		"no factor where one is required": {func(a *Authenticator) { a.MFA, a.Factors = Required, nil }, "factors"},
		"another factor":                  {func(a *Authenticator) { a.Factors = []store.FactorKind{"sms"} }, "factors"},
		"no lifetime":                     {func(a *Authenticator) { a.Session.Lifetime = 0 }, "lifetime"},
		"a long lifetime":                 {func(a *Authenticator) { a.Session.Lifetime = maxLifetime + 1 }, "lifetime"},
		"an idle timeout below zero":      {func(a *Authenticator) { a.Session.IdleTimeout = -1 }, "idle_timeout"},
		"a device that is remembered for a month": {func(a *Authenticator) { a.Session.RememberDevice = 30 * 24 * time.Hour }, ""},
		"a device that is remembered for ever":    {func(a *Authenticator) { a.Session.RememberDevice = maxLifetime + 1 }, "remember_device"},
		"a name with a space":                     {func(a *Authenticator) { a.Name = "the admins" }, "authenticator"},
		"no name":                                 {func(a *Authenticator) { a.Name = "" }, "authenticator"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := New("admins")
			test.change(a)
			err := a.Check()
			if test.option == "" && err != nil {
				t.Errorf("expected no error, seen %v", err)
			}
			if test.option != "" && (err == nil || !strings.HasPrefix(err.Error(), test.option)) {
				t.Errorf("expected an error about %s, seen %v", test.option, err)
			}
		})
	}
}

func TestTheDefaultAuthenticatorAlwaysExists(t *testing.T) {
	t.Parallel()
	set, err := NewSet()
	if err != nil {
		t.Fatal(err)
	}
	if a := set.Of(&store.User{}); a != set[Default] || a == nil {
		t.Errorf("expected the default one, seen %v", a)
	}
	changed := New(Default)
	changed.Password.MinLength = 20
	admins := New("admins")
	if set, err = NewSet(changed, admins); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]*Authenticator{"": changed, Default: changed, "admins": admins} {
		if a := set.Of(&store.User{Authenticator: name}); a != want {
			t.Errorf("%q: expected the authenticator %s, seen %s", name, want.Name, a.Name)
		}
	}
	if _, err := NewSet(admins, New("admins")); err == nil {
		t.Error("expected an error for two of one name, seen none")
	}
	if _, err := NewSet(&Authenticator{Name: "empty"}); err == nil {
		t.Error("expected an error for one without options, seen none")
	}
}

func TestUsersOfARemovedAuthenticatorNeedAFactor(t *testing.T) {
	t.Parallel()
	plain := New(Default)
	plain.MFA, plain.Factors = Off, nil
	set, err := NewSet(plain)
	if err != nil {
		t.Fatal(err)
	}
	a := set.Of(&store.User{Authenticator: "admins"})
	if a.MFA != Required {
		t.Errorf("expected a factor to be required, seen %s", a.MFA)
	}
	if err := a.Check(); err != nil {
		t.Errorf("expected an authenticator that can be, seen %v", err)
	}
	if plain.MFA != Off {
		t.Errorf("expected the default one to stay, seen %s", plain.MFA)
	}
}
