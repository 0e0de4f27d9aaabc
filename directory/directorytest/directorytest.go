// Package directorytest is the test suite that every directory of known users
// must pass.
//
// It tests the contract of directory.Directory, and knows no particular
// directory.
package directorytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory"
)

// Open returns a provisioned directory that knows exactly these users, all of
// which are users of the default provider.
type Open func(t *testing.T, users ...directory.User) directory.Directory

// Run tests a directory. Each check opens its own directory and runs in parallel
// with the others.
func Run(t *testing.T, open Open) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, open)
		})
	}
}

// checks has a check for each sentence of the contract.
var checks = []struct {
	name string
	run  func(*testing.T, Open)
}{
	{"users are known by their whole names", wholeNames},
	{"names may hold any characters", anyCharacters},
	{"a user of another provider is another user", otherProviders},
	{"many requests are answered at once", manyAtOnce},
	{"a context that has ended ends the call", endedContext},
	{"the providers stay the same", sameProviders},
	{"it answers after Cleanup", afterCleanup},
}

// User returns a user of the default provider. Percent signs and slashes in its
// ID are percent-encoded.
func User(name string) directory.User {
	id := ""
	for _, c := range name {
		switch c {
		case '%':
			id += "%25"
		case '/':
			id += "%2F"
		default:
			id += string(c)
		}
	}
	return directory.User{ID: id, Name: name, Provider: "corp", Default: true}
}

// patience is how long an answer may take.
const patience = 10 * time.Second

// knows returns the answer about a user. It fails the test if there is an
// error.
func knows(t *testing.T, d directory.Directory, user directory.User) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	known, err := d.Knows(ctx, user)
	if err != nil {
		t.Errorf("%q: expected an answer, seen the error %v", user.ID, err)
	}
	return known
}

func expect(t *testing.T, d directory.Directory, user directory.User, expected bool) {
	t.Helper()
	if known := knows(t, d, user); known != expected {
		t.Errorf("%q of %s: expected known %t, seen %t", user.ID, user.Provider, expected, known)
	}
}

func wholeNames(t *testing.T, open Open) {
	d := open(t, User("alice"), User("bob@corp.example"))
	for _, name := range []string{"alice", "bob@corp.example"} {
		expect(t, d, User(name), true)
	}
	for _, name := range []string{
		"", "alic", "alice2", "lice", "Alice", "ALICE", "a", "*", "alice,true", "alıce", "bob", "bob@corp.example.org", "alice bob@corp.example", "carol",
	} {
		expect(t, d, User(name), false)
	}
}

// oddNames are names that could be misread by a file format, a filter or an
// encoding.
var oddNames = []string{
	`Doe, Jane`, `o'brien`, `quo"te`, `back\slash`, `two words`, `a/b`, `100%`, `a+b@corp.example`, `müller`, `用户`, `x" or userName pr or userName eq "y`, `{env.HOME}`,
	`a&b=c`, `a#b`, `<b>`, `userName eq 1`, `true`, `null`,
}

func anyCharacters(t *testing.T, open Open) {
	for i, name := range oddNames {
		t.Run(fmt.Sprint("name ", i), func(t *testing.T) { // the name of the test is used in the names of folders
			t.Parallel()
			d := open(t, User("alice"), User(name))
			expect(t, d, User("alice"), true)
			expect(t, d, User(name), true)
			for j, other := range oddNames {
				if i != j {
					expect(t, d, User(other), false)
				}
			}
		})
	}
}

func otherProviders(t *testing.T, open Open) {
	d := open(t, User("alice"))
	expect(t, d, User("alice"), true)
	expect(t, d, directory.User{ID: "partners/alice", Name: "alice", Provider: "partners"}, false)
	expect(t, d, directory.User{ID: "a-tenant/alice", Name: "alice", Provider: "corp", Default: true, Tenant: "a-tenant"}, false)
	expect(t, d, User("alice"), true)
}

func manyAtOnce(t *testing.T, open Open) {
	d := open(t, User("alice"), User("bob"))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				expect(t, d, User("alice"), true)
				expect(t, d, User("carol"), false)
				expect(t, d, User("bob"), true)
			}
		})
	}
	group.Wait()
}

func endedContext(t *testing.T, open Open) {
	d := open(t, User("alice"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	type answer struct {
		known bool
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		known, err := d.Knows(ctx, User("carol"))
		answered <- answer{known, err}
	}()
	select {
	case a := <-answered:
		if a.known {
			t.Error("expected no answer or a negative one, seen a positive one")
		}
		if a.err != nil && !errors.Is(a.err, context.Canceled) {
			t.Errorf("expected the context's error, seen %v", a.err)
		}
	case <-time.After(patience):
		t.Fatal("expected the call to return soon after its context has ended")
	}
	expect(t, d, User("alice"), true)
}

func sameProviders(t *testing.T, open Open) {
	d := open(t, User("alice"))
	limited, ok := d.(directory.Limited)
	if !ok {
		return
	}
	first := slices.Clone(limited.Providers())
	knows(t, d, User("alice"))
	if again := limited.Providers(); !slices.Equal(first, again) {
		t.Errorf("expected the providers %q, seen %q", first, again)
	}
}

func afterCleanup(t *testing.T, open Open) {
	d := open(t, User("alice"))
	if cleaner, ok := d.(interface{ Cleanup() error }); ok {
		if err := cleaner.Cleanup(); err != nil {
			t.Errorf("expected Cleanup to work, seen %v", err)
		}
	}
	expect(t, d, User("alice"), true)
	expect(t, d, User("carol"), false)
}
