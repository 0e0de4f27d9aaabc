package handover_test

import (
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/knownusers"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

func somePeople() handover.People {
	return handover.People{
		{
			Host:   "https://auth.one.test",
			Parent: session.Parent{ID: session.ID{1}, Key: "k", SignedIn: time.UnixMilli(1000), Expires: time.Unix(5000, 0), Provider: "corp", Username: "alice"},
			User:   knownusers.User{ID: "corp/alice", Name: "alice", Provider: "corp", Default: true, Tenant: "t"},
		},
		{
			Host:   "https://auth.two.test",
			Parent: session.Parent{ID: session.ID{2}, SignedIn: time.UnixMilli(1), Expires: time.Unix(6000, 0), Provider: "p", Username: "bob"},
			User:   knownusers.User{ID: "bob", Name: "bob", Provider: "p"},
		},
	}
}

func TestPeopleComeBack(t *testing.T) {
	t.Parallel()
	for _, people := range []handover.People{nil, somePeople()[:1], somePeople()} {
		var again handover.People
		if err := again.Decode(people.Encode()); err != nil || !reflect.DeepEqual(again, people) {
			t.Errorf("expected %+v, seen %+v, %v", people, again, err)
		}
	}
}

func TestASessionIsListedOnce(t *testing.T) {
	t.Parallel()
	people := somePeople()
	changed := people[0]
	changed.User.Tenant = "other"
	people.Add(&changed)
	if len(people) != 2 || people[1].User.Tenant != "other" {
		t.Errorf("expected two people, the changed one last, seen %+v", people)
	}
	if people.Remove(func(p *handover.Person) bool { return p.Parent.ID == session.ID{9} }) {
		t.Error("expected that no one was removed")
	}
}

// Concurrent changes on several nodes lose no entry.
func TestChangesOfAListAreNotLost(t *testing.T) {
	t.Parallel()
	for kind, all := range nodes(t, 3, steady) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var group sync.WaitGroup
			for n := range 30 {
				group.Go(func() {
					err := all[n%3].Change(t.Context(), "00", func(list []byte) ([]byte, error) { return append(list, byte('a'+n%26)), nil })
					if err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if list, err := all[0].List(t.Context(), "00"); len(list) != 30 || err != nil {
				t.Errorf("expected 30 entries, seen %d, %v", len(list), err)
			}
			if err := all[1].Change(t.Context(), "00", func([]byte) ([]byte, error) { return nil, nil }); err != nil {
				t.Error(err)
			}
			list, err := all[2].List(t.Context(), "00")
			if people, _ := handover.OpenPeople(newRing(t, "a"), "00", list); len(people) != 0 || err != nil {
				t.Errorf("expected an empty list, seen %v, %v", people, err)
			}
		})
	}
}

// A list opens only under its own name. A list that does not open counts as empty.
func TestAListIsSealedForItsName(t *testing.T) {
	t.Parallel()
	keys := newRing(t, "a")
	sealed := handover.SealPeople(keys, "00", somePeople())
	for name, want := range map[string]int{"00": 2, "01": 0} {
		if people, err := handover.OpenPeople(keys, name, sealed); len(people) != want || err != nil {
			t.Errorf("list %s: expected %d people, seen %d, %v", name, want, len(people), err)
		}
	}
	names := handover.ListNames()
	for n := range 300 {
		name := handover.ListOf(session.ID{byte(n), byte(n >> 8)})
		if !reflect.DeepEqual(name, names[indexOf(names, name)]) {
			t.Fatalf("%s is the name of no list", name)
		}
	}
}

func indexOf(names []string, name string) int {
	for i, one := range names {
		if one == name {
			return i
		}
	}
	panic(fmt.Sprintf("no list is called %s", name))
}

func FuzzPeople(f *testing.F) {
	f.Add(somePeople().Encode())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		var people, again handover.People
		if people.Decode(encoded) != nil {
			return
		}
		if err := again.Decode(people.Encode()); err != nil || !reflect.DeepEqual(people, again) {
			t.Fatalf("expected %+v, seen %+v, %v", people, again, err)
		}
	})
}
