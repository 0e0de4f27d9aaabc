package passwords

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/vault"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
)

// cheap returns Passwords with low costs, for tests that do not test the costs.
func cheap(v Vault) *Passwords {
	p := New(v)
	p.SetLowCosts()
	return p
}

func newVault() *vault.Keys { return vault.New(clustertest.NewLocked(), time.Now) }

var caller = from("192.0.2.1")

const right = "correct horse battery"

func mustHash(t testing.TB, p *Passwords, userID, password string) string {
	t.Helper()
	hash, err := p.Hash(t.Context(), caller, userID, password)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func wantVerify(t *testing.T, what string, p *Passwords, userID, hash, password string, want bool) (upgraded string) {
	t.Helper()
	ok, upgraded, err := p.Verify(t.Context(), caller, userID, hash, password)
	if err != nil {
		t.Errorf("%s: expected no error, seen %v", what, err)
	}
	if ok != want {
		t.Errorf("%s: expected %t, seen %t", what, want, ok)
	}
	return upgraded
}

func TestAPasswordIsVerified(t *testing.T) {
	t.Parallel()
	p := cheap(newVault())
	hash := mustHash(t, p, "anna", "Schlüssel zum Glück")
	if upgraded := wantVerify(t, "the password", p, "anna", hash, "Schlüssel zum Glück", true); upgraded != "" {
		t.Errorf("expected the hash to stay, seen %s", upgraded)
	}
	wantVerify(t, "the same in other characters", p, "anna", hash, "Schlu\u0308ssel zum Glu\u0308ck", true)
	wantVerify(t, "in another case", p, "anna", hash, "schlüssel zum Glück", false)
	wantVerify(t, "another user's hash", p, "otto", hash, "Schlüssel zum Glück", false)
	wantVerify(t, "nothing", p, "anna", hash, "", false)
	wantVerify(t, "no hash", p, "anna", "", "Schlüssel zum Glück", false)
	wantVerify(t, "a very long one", p, "anna", hash, strings.Repeat("x", 1<<20), false)
	wantVerify(t, "no UTF-8", p, "anna", hash, "\xff", false)
	if again := mustHash(t, p, "anna", "Schlüssel zum Glück"); again == hash {
		t.Error("expected a salt of its own, seen the same hash")
	}
}

func TestCostsOfHashes(t *testing.T) {
	t.Parallel()
	p := New(newVault())
	hash := mustHash(t, p, "anna", right)
	if !strings.HasPrefix(hash, "$argon2id$v=19$m=65536,t=3,p=2,keyid=") {
		t.Errorf("expected the costs and a key id, seen %s", hash)
	}
	wantVerify(t, "the password", p, "anna", hash, right, true)
}

func TestWithoutTheKeyAHashSaysNothing(t *testing.T) {
	t.Parallel()
	hash := mustHash(t, cheap(newVault()), "anna", right)
	e, err := parse(hash)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{right, "anna\x00" + right} {
		if plain := argon2.IDKey([]byte(text), e.salt, e.time, e.memory, e.threads, hashSize); string(plain) == string(e.hash) {
			t.Errorf("expected a hash with a key, seen the one of %q", text)
		}
	}
	if _, _, err := cheap(newVault()).Verify(t.Context(), caller, "anna", hash, right); !errors.Is(err, vault.ErrUnknownKey) {
		t.Errorf("with other keys: expected %v, seen %v", vault.ErrUnknownKey, err)
	}
}

func TestOldHashesAreUpgraded(t *testing.T) {
	t.Parallel()
	keys := newVault()
	p := cheap(keys)
	before := mustHash(t, p, "anna", right)
	if _, err := keys.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := wantVerify(t, "after a rotation", p, "anna", before, right, true)
	if after == "" || after == before {
		t.Fatalf("expected another hash, seen %q", after)
	}
	if again := wantVerify(t, "the new hash", p, "anna", after, right, true); again != "" {
		t.Errorf("expected it to stay, seen %s", again)
	}
	if upgraded := wantVerify(t, "a wrong password", p, "anna", before, "wrong", false); upgraded != "" {
		t.Errorf("expected no hash of a wrong password, seen %s", upgraded)
	}
}

func TestImportedHashes(t *testing.T) {
	t.Parallel()
	p := cheap(newVault())
	argon := func(variant string, costs params) string {
		e := &encoded{params: costs, salt: []byte("a salt of theirs")}
		if variant == "argon2i" {
			e.hash = argon2.Key([]byte(right), e.salt, costs.time, costs.memory, costs.threads, 24)
		} else {
			e.hash = argon2.IDKey([]byte(right), e.salt, costs.time, costs.memory, costs.threads, 24)
		}
		e.variant = variant
		return e.String()
	}
	blowfish, err := bcrypt.GenerateFromPassword([]byte(right), 4)
	if err != nil {
		t.Fatal(err)
	}
	for name, theirs := range map[string]string{
		"bcrypt":                string(blowfish),
		"bcrypt of PHP":         strings.Replace(string(blowfish), "$2a$", "$2y$", 1),
		"bcrypt of OpenBSD":     strings.Replace(string(blowfish), "$2a$", "$2b$", 1),
		"argon2id of low costs": argon("argon2id", params{memory: 4096, time: 1, threads: 1}),
		"argon2i":               argon("argon2i", params{memory: 1024, time: 3, threads: 4}),
	} {
		hash, err := p.Import(t.Context(), "anna", theirs)
		if err != nil {
			t.Errorf("%s: expected no error, seen %v", name, err)
			continue
		}
		if strings.Contains(hash, theirs) {
			t.Errorf("%s: expected it to be sealed, seen %s", name, hash)
		}
		wantVerify(t, name+": a wrong password", p, "anna", hash, "wrong", false)
		upgraded := wantVerify(t, name, p, "anna", hash, right, true)
		if !strings.HasPrefix(upgraded, "$argon2id$v=19$m=64,t=1,p=1,keyid=") {
			t.Errorf("%s: expected one of our hashes, seen %q", name, upgraded)
		}
		wantVerify(t, name+": our hash", p, "anna", upgraded, right, true)
		if _, _, err := p.Verify(t.Context(), caller, "otto", hash, right); !errors.Is(err, vault.ErrBroken) {
			t.Errorf("%s: in another row: expected %v, seen %v", name, vault.ErrBroken, err)
		}
	}
}

func TestBcryptCutsNoPassword(t *testing.T) {
	t.Parallel()
	p := cheap(newVault())
	long := strings.Repeat("x", 72)
	blowfish, err := bcrypt.GenerateFromPassword([]byte(long), 4)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := p.Import(t.Context(), "anna", string(blowfish))
	if err != nil {
		t.Fatal(err)
	}
	wantVerify(t, "72 bytes", p, "anna", hash, long, true)
	wantVerify(t, "73 bytes", p, "anna", hash, long+"y", false)
}

func TestLimitsOfImports(t *testing.T) {
	t.Parallel()
	const tail = "$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA"
	for hash, want := range map[string]bool{
		"$argon2id$v=19$m=262144,t=10,p=16" + tail:                      true,
		"$argon2id$v=19$m=262145,t=1,p=1" + tail:                        false,
		"$argon2id$v=19$m=65536,t=11,p=1" + tail:                        false,
		"$argon2id$v=19$m=65536,t=1,p=17" + tail:                        false,
		"$argon2id$v=19$m=65536,t=0,p=1" + tail:                         false,
		"$argon2id$v=19$m=65536,t=1,p=0" + tail:                         false,
		"$argon2id$v=19$m=7,t=1,p=1" + tail:                             false,
		"$argon2id$v=19$m=4294967296,t=1,p=1" + tail:                    false,
		"$argon2id$v=19$m=-1,t=1,p=1" + tail:                            false,
		"$argon2id$v=19$t=1,m=64,p=1" + tail:                            false,
		"$argon2id$v=19$m=64,t=1,p=1,x=1" + tail:                        false,
		"$argon2id$v=19$m=64,t=1,p=1,keyid=00ff" + tail:                 false, // imported hashes have no key id
		"$argon2id$v=16$m=64,t=1,p=1" + tail:                            false,
		"$argon2d$v=19$m=64,t=1,p=1" + tail:                             false,
		"$argon2id$v=19$m=64,t=1,p=1$c2Fs$aGFzaGhhc2hoYXNoaGFzaA":       false,
		"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaA":                false,
		"$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ=$aGFzaGhhc2hoYXNoaGE=": false,
		"$2a$13$" + strings.Repeat("a", 53):                             true,
		"$2a$14$" + strings.Repeat("a", 53):                             false,
		"$2a$03$" + strings.Repeat("a", 53):                             false,
		"$2a$13$" + strings.Repeat("a", 52):                             false,
		"$2a$13$" + strings.Repeat("a", 54):                             false,
		"$1$salt$hash":                                                  false,
		"{SSHA}c29tZXRoaW5n":                                            false,
		"5f4dcc3b5aa765d61d8327deb882cf99":                              false,
		"":                                                              false,
		"$argon2id$" + strings.Repeat("$", 600):                         false,
	} {
		if err := CheckImport(hash); (err == nil) != want {
			t.Errorf("%.60s: expected accepted=%t, seen %v", hash, want, err)
		}
	}
}

func TestPasswordsThatCannotBe(t *testing.T) {
	t.Parallel()
	p := cheap(newVault())
	for _, password := range []string{"", "\xff", strings.Repeat("x", 129), strings.Repeat("😀", 129)} {
		if hash, err := p.Hash(t.Context(), caller, "anna", password); err == nil {
			t.Errorf("%.20q: expected an error, seen %s", password, hash)
		}
	}
}

func TestRulesThatCostSomething(t *testing.T) {
	t.Parallel()
	p := cheap(newVault())
	old := []string{mustHash(t, p, "anna", "present password"), mustHash(t, p, "anna", "password before"), mustHash(t, p, "anna", "the first password")}
	personal := authenticator.Personal{Name: "anna", Email: "anna@partners.test", Sites: []string{"example.org"}}
	for name, test := range map[string]struct {
		rules    authenticator.PasswordRules
		password string
		due      bool
		want     authenticator.Code
	}{
		"a strength of 1 where 2 are required": {authenticator.PasswordRules{MinStrength: 2}, "password1234", false, authenticator.TooWeak},
		"a strength of 1 where 1 is":           {authenticator.PasswordRules{MinStrength: 1}, "password1234", false, ""},
		"no strength is required":              {authenticator.PasswordRules{}, "password1234", false, ""},
		"a strong one":                         {authenticator.PasswordRules{MinStrength: 4}, "correct horse battery staple", false, ""},
		"too short is not looked at":           {authenticator.PasswordRules{MinStrength: 4}, "short", false, authenticator.TooShort},
		"nothing is remembered":                {authenticator.PasswordRules{History: 0}, "present password", false, ""},
		"but another one is due":               {authenticator.PasswordRules{History: 0}, "present password", true, authenticator.UsedBefore},
		"one is remembered":                    {authenticator.PasswordRules{History: 1}, "present password", false, authenticator.UsedBefore},
		"one is remembered, not the second":    {authenticator.PasswordRules{History: 1}, "password before", false, ""},
		"two are remembered":                   {authenticator.PasswordRules{History: 2}, "password before", false, authenticator.UsedBefore},
		"two, not the third":                   {authenticator.PasswordRules{History: 2}, "the first password", false, ""},
		"more than there are":                  {authenticator.PasswordRules{History: 24}, "the first password", false, authenticator.UsedBefore},
		"a new one":                            {authenticator.PasswordRules{History: 24}, "another password", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := authenticator.New(authenticator.Default)
			test.rules.MinLength, test.rules.MaxLength = a.Password.MinLength, a.Password.MaxLength
			a.Password = test.rules
			failures, err := p.Check(t.Context(), caller, a, Change{UserID: "anna", Password: test.password, Old: old, Due: test.due, Personal: personal})
			if err != nil {
				t.Fatal(err)
			}
			var seen authenticator.Code
			if len(failures) > 0 {
				seen = failures[0].Code
			}
			if seen != test.want {
				t.Errorf("expected %q, seen %v", test.want, failures)
			}
		})
	}
}

func TestStrengthLooksAtTheBeginningAlone(t *testing.T) {
	t.Parallel()
	begin := strings.Repeat("a", strengthOf)
	if strength := Strength(begin+"7Gq!pX2#vLw9", authenticator.Personal{}); strength != Strength(begin, authenticator.Personal{}) {
		t.Errorf("expected the strength of the first %d characters, seen %d", strengthOf, strength)
	}
	if strength := Strength("partners.test", authenticator.Personal{Email: "partners.test"}); strength != 0 {
		t.Errorf("expected the user's own words to be weak, seen %d", strength)
	}
}

func TestABusyQueueIsAnError(t *testing.T) {
	t.Parallel()
	p := cheap(newVault())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	release, err := p.queue.acquire(t.Context(), caller, slots)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if _, _, err := p.Verify(ctx, caller, "anna", "", right); !errors.Is(err, context.Canceled) {
		t.Errorf("expected %v of who went away, seen %v", context.Canceled, err)
	}
}

// Concurrent logins never need more memory than two hashes.
func TestMemoryOfManyLoginsAtOnce(t *testing.T) {
	p := New(newVault())
	mustHash(t, p, "anna", right)
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var highest uint64
	done, ended := make(chan bool), make(chan bool)
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				highest = max(highest, now.HeapAlloc)
			}
		}
	}()
	var wait sync.WaitGroup
	for i := range 12 {
		wait.Go(func() {
			if _, _, err := p.Verify(t.Context(), from(fmt.Sprintf("192.0.%d.1", i)), "anna", "", right); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	close(done)
	<-ended
	const hash, slack = 64 << 20, 8 << 20
	if used := highest - before.HeapAlloc; highest > before.HeapAlloc && used > slots*hash+slack {
		t.Errorf("expected at most %d MiB, seen %d MiB", slots*hash>>20, used>>20)
	}
}

func BenchmarkVerify(b *testing.B) {
	p := New(newVault())
	hash := mustHash(b, p, "anna", right)
	for b.Loop() {
		if ok, _, err := p.Verify(b.Context(), caller, "anna", hash, right); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}

func BenchmarkStrength(b *testing.B) {
	for b.Loop() {
		Strength(strings.Repeat("Pass1", 8), authenticator.Personal{})
	}
}

// FuzzParse checks that a parsed hash stays the same when it is written and parsed again,
// and that its costs are within the limits.
func FuzzParse(f *testing.F) {
	f.Add("$argon2id$v=19$m=65536,t=3,p=2,keyid=00ff$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA")
	f.Add("$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA")
	f.Add("$argon2id$v=19$m=+64,t=01,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA")
	f.Add("$$$$$")
	f.Fuzz(func(t *testing.T, text string) {
		e, err := parse(text)
		if err != nil {
			return
		}
		again, err := parse(e.String())
		if err != nil {
			t.Fatalf("%q: expected %q to be read, seen %v", text, e, err)
		}
		if again.String() != e.String() {
			t.Errorf("%q: expected %q, seen %q", text, e, again)
		}
		if e.memory > maxMemory || e.time > maxTime || e.threads > maxThreads {
			t.Errorf("%q: expected costs within the limits, seen %+v", text, e.params)
		}
	})
}
