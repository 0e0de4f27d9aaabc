package databasetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// wholeUser returns a user with a value in every field.
func wholeUser() *store.User {
	return &store.User{
		ID: "u1", Kind: store.Person, Name: "Ada", Email: "ada@example.com", EmailVerified: true,
		DisplayName: "Ada Lovelace", GivenName: "Ada", FamilyName: "Lovelace", Language: "en-GB",
		Authenticator: "admins", Groups: []string{"admins", "staff"},
		Created: Start, LastSignIn: after(time.Hour), Locked: true, Removed: after(2 * time.Hour),
		Password:  store.Password{Hash: "$argon2id$1", Changed: after(time.Minute), MustChange: true, History: []string{"$2", "$3"}},
		MustEnrol: true,
	}
}

var userTests = map[string]func(*testing.T, *subject){
	"the beginnings of hashes are those of users who are there": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error {
			var all []error
			for id, hash := range map[string]string{"u1": "$a$one$1", "u2": "$a$one$2", "u3": "$a$two$3", "u4": "$b$one$4", "u5": "", "u6": "%a$one$5"} {
				all = append(all, x.PutUser(&store.User{ID: id, Kind: store.Person, Password: store.Password{Hash: hash}}))
			}
			return errors.Join(append(all, x.PutUser(&store.User{ID: "gone", Kind: store.Person, Removed: Start, Password: store.Password{Hash: "$a$six$6"}}))...)
		})
		got := read(s, func(x store.Tx) ([]string, error) { return x.HashBeginnings("$a$", 6) })
		slices.Sort(got)
		same(t, "beginnings", []string{"$a$one", "$a$two"}, got)
	},
	"a user comes back whole": func(t *testing.T, s *subject) {
		want := wholeUser()
		complete(t, want)
		complete(t, want.Password)
		s.update(func(x store.Tx) error { return x.PutUser(want) })
		same(t, "user", want, read(s, func(x store.Tx) (*store.User, error) { return x.User("u1") }))
	},
	"a user with nothing but an ID comes back": func(t *testing.T, s *subject) {
		want := &store.User{ID: "u1"}
		s.update(func(x store.Tx) error { return x.PutUser(want) })
		same(t, "user", want, read(s, func(x store.Tx) (*store.User, error) { return x.User("u1") }))
	},
	"a change replaces every field and the memberships": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error { return x.PutUser(wholeUser()) })
		want := &store.User{ID: "u1", Kind: store.Application, Name: "Robot", Groups: []string{"ci", "staff"}}
		s.update(func(x store.Tx) error { return x.PutUser(want) })
		same(t, "user", want, read(s, func(x store.Tx) (*store.User, error) { return x.User("u1") }))
	},
	"a user who does not exist is not found": func(t *testing.T, s *subject) {
		missing(s, func(x store.Tx) (*store.User, error) { return x.User("u2") })
	},
	"times are kept to the microsecond, in UTC": func(t *testing.T, s *subject) {
		zone := time.FixedZone("", 3600)
		s.update(func(x store.Tx) error {
			return x.PutUser(&store.User{ID: "u1", Created: time.Date(2026, 3, 1, 13, 0, 0, 123456789, zone)})
		})
		same(t, "created", Start, read(s, func(x store.Tx) (*store.User, error) { return x.User("u1") }).Created)
	},
}

var nameTests = map[string]func(*testing.T, *subject){
	"a user is found by each of the names": func(t *testing.T, s *subject) {
		s.person("u1")
		s.update(func(x store.Tx) error {
			return errors.Join(x.Reserve(store.Name{Key: "ada", Kind: store.UserName, UserID: "u1"}),
				x.Reserve(store.Name{Key: "ada@example.com", Kind: store.Email, UserID: "u1"}))
		})
		for _, key := range []string{"ada", "ada@example.com"} {
			same(t, key, "u1", read(s, func(x store.Tx) (*store.User, error) { return x.UserByName(key) }).ID)
		}
		same(t, "names", []store.Name{{Key: "ada", Kind: store.UserName, UserID: "u1"}, {Key: "ada@example.com", Kind: store.Email, UserID: "u1"}},
			read(s, func(x store.Tx) ([]store.Name, error) { return x.NamesOf("u1") }))
		missing(s, func(x store.Tx) (*store.User, error) { return x.UserByName("Ada") })
	},
	"a name may be reserved before its user is written": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error {
			return errors.Join(x.Reserve(store.Name{Key: "ada", Kind: store.UserName, UserID: "u1"}), x.PutUser(&store.User{ID: "u1"}))
		})
	},
	"a name of no user is refused": func(t *testing.T, s *subject) {
		err := s.store.Update(t.Context(), func(x store.Tx) error {
			return x.Reserve(store.Name{Key: "ada", Kind: store.UserName, UserID: "u1"})
		})
		if err == nil {
			t.Error("expected an error, seen none")
		}
		s.person("u2") // the connection is usable again
		missing(s, func(x store.Tx) (*store.User, error) { return x.UserByName("ada") })
	},
	"a name of another user is refused, one's own is not": func(t *testing.T, s *subject) {
		s.person("u1", "u2")
		s.update(func(x store.Tx) error { return x.Reserve(store.Name{Key: "ada", Kind: store.UserName, UserID: "u1"}) })
		s.fails(store.ErrExists, func(x store.Tx) error { return x.Reserve(store.Name{Key: "ada", Kind: store.Email, UserID: "u2"}) })
		s.update(func(x store.Tx) error { return x.Reserve(store.Name{Key: "ada", Kind: store.Email, UserID: "u1"}) })
		same(t, "names", []store.Name{{Key: "ada", Kind: store.Email, UserID: "u1"}},
			read(s, func(x store.Tx) ([]store.Name, error) { return x.NamesOf("u1") }))
	},
	"a transaction goes on after a refused name": func(t *testing.T, s *subject) {
		s.person("u1", "u2")
		s.update(func(x store.Tx) error { return x.Reserve(store.Name{Key: "ada", Kind: store.UserName, UserID: "u1"}) })
		s.update(func(x store.Tx) error {
			if err := x.Reserve(store.Name{Key: "ada", Kind: store.UserName, UserID: "u2"}); !errors.Is(err, store.ErrExists) {
				t.Errorf("expected %q, seen %v", store.ErrExists, err)
			}
			return x.Reserve(store.Name{Key: "ada2", Kind: store.UserName, UserID: "u2"})
		})
		same(t, "user", "u2", read(s, func(x store.Tx) (*store.User, error) { return x.UserByName("ada2") }).ID)
	},
	"a removed user keeps the names until they are released": func(t *testing.T, s *subject) {
		s.person("u1", "u2")
		s.update(func(x store.Tx) error {
			return errors.Join(x.Reserve(store.Name{Key: "ada", Kind: store.UserName, UserID: "u1"}), x.PutUser(&store.User{ID: "u1", Removed: Start}))
		})
		same(t, "removed", Start, read(s, func(x store.Tx) (*store.User, error) { return x.UserByName("ada") }).Removed)
		s.fails(store.ErrExists, func(x store.Tx) error { return x.Reserve(store.Name{Key: "ada", Kind: store.UserName, UserID: "u2"}) })
		s.update(func(x store.Tx) error {
			return errors.Join(x.Release("ada"), x.Release("ada"), x.Reserve(store.Name{Key: "ada", Kind: store.UserName, UserID: "u2"}))
		})
		same(t, "user", "u2", read(s, func(x store.Tx) (*store.User, error) { return x.UserByName("ada") }).ID)
	},
}

// listed adds five users for lists.
func listed(s *subject) {
	s.update(func(x store.Tx) error {
		for _, u := range []store.User{
			{ID: "5", Kind: store.Person, Name: "bob", DisplayName: "Bob Ångström", Groups: []string{"staff"}},
			{ID: "2", Kind: store.Person, Name: "Ada", Email: "ada_l@example.com", Groups: []string{"staff", "admins"}},
			{ID: "3", Kind: store.Application, Name: "robot", Groups: []string{"ci"}},
			{ID: "4", Kind: store.Person, Name: "Carol", DisplayName: "100% Carol", Removed: Start},
			{ID: "1", Kind: store.Person, Name: "zoë"},
		} {
			if err := x.PutUser(&u); err != nil {
				return err
			}
		}
		return nil
	})
}

var filters = []struct {
	name   string
	filter store.UserFilter
	want   string
}{
	{"all that are not removed", store.UserFilter{}, "[2 5 3 1]"},
	{"removed ones as well", store.UserFilter{Removed: true}, "[2 5 4 3 1]"},
	{"persons", store.UserFilter{Kind: store.Person}, "[2 5 1]"},
	{"applications", store.UserFilter{Kind: store.Application}, "[3]"},
	{"a group", store.UserFilter{Group: "staff"}, "[2 5]"},
	{"a group without members", store.UserFilter{Group: "nothing"}, "[]"},
	{"a part of the name, whatever its case", store.UserFilter{Search: "DA"}, "[2]"},
	{"a part of the display name, with letters beyond ASCII", store.UserFilter{Search: "ÅNGS"}, "[5]"},
	{"a part of the address", store.UserFilter{Search: "@example"}, "[2]"},
	{"an underscore is no wildcard", store.UserFilter{Search: "a_l"}, "[2]"},
	{"a percent sign is no wildcard", store.UserFilter{Search: "0% C", Removed: true}, "[4]"},
	{"a backslash is no wildcard", store.UserFilter{Search: `\`}, "[]"},
	{"everything at once", store.UserFilter{Kind: store.Person, Group: "admins", Search: "ada", Removed: true}, "[2]"},
}

func idsOf(users []*store.User) string {
	ids := []string{}
	for _, u := range users {
		ids = append(ids, u.ID)
	}
	return fmt.Sprint(ids)
}

var listTests = map[string]func(*testing.T, *subject){
	"filters select users in the order of their names": func(t *testing.T, s *subject) {
		listed(s)
		for _, f := range filters {
			users := read(s, func(x store.Tx) ([]*store.User, error) { return x.Users(f.filter, "", 10) })
			same(t, f.name, f.want, idsOf(users))
			same(t, "number of "+f.name, len(users), read(s, func(x store.Tx) (int, error) { return x.CountUsers(f.filter) }))
		}
	},
	"pages meet without a gap": func(t *testing.T, s *subject) {
		listed(s)
		seen, last := []*store.User{}, ""
		for range 3 {
			page := read(s, func(x store.Tx) ([]*store.User, error) { return x.Users(store.UserFilter{Removed: true}, last, 2) })
			seen = append(seen, page...)
			last = seen[len(seen)-1].ID
		}
		same(t, "users", "[2 5 4 3 1]", idsOf(seen))
		same(t, "page after the last", "[]", idsOf(read(s, func(x store.Tx) ([]*store.User, error) { return x.Users(store.UserFilter{}, "1", 2) })))
	},
	"users of the same name are on one page each": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error {
			return errors.Join(x.PutUser(&store.User{ID: "a", Name: "Ada"}), x.PutUser(&store.User{ID: "b", Name: "ada", Removed: Start}))
		})
		page := read(s, func(x store.Tx) ([]*store.User, error) { return x.Users(store.UserFilter{Removed: true}, "a", 1) })
		same(t, "second page", "[b]", idsOf(page))
	},
	"a page after a user who does not exist is not found": func(t *testing.T, s *subject) {
		missing(s, func(x store.Tx) ([]*store.User, error) { return x.Users(store.UserFilter{}, "nothing", 1) })
	},
	"listed users come with their groups": func(t *testing.T, s *subject) {
		listed(s)
		users := read(s, func(x store.Tx) ([]*store.User, error) { return x.Users(store.UserFilter{}, "", 1) })
		same(t, "groups", []string{"admins", "staff"}, users[0].Groups)
	},
}

var groupTests = map[string]func(*testing.T, *subject){
	"groups are listed in order and can be changed": func(t *testing.T, s *subject) {
		first, second := store.Group{Name: "staff", Operator: true, Created: Start}, store.Group{Name: "admins", Created: Start}
		complete(t, first)
		s.update(func(x store.Tx) error { return errors.Join(x.PutGroup(first), x.PutGroup(second)) })
		same(t, "groups", []store.Group{second, first}, read(s, store.Tx.Groups))
		first.Operator = false
		s.update(func(x store.Tx) error { return x.PutGroup(first) })
		same(t, "groups", []store.Group{second, first}, read(s, store.Tx.Groups))
	},
	"a deleted group has no members": func(t *testing.T, s *subject) {
		s.update(func(x store.Tx) error {
			return errors.Join(x.PutGroup(store.Group{Name: "staff"}), x.PutUser(&store.User{ID: "u1", Groups: []string{"admins", "staff"}}))
		})
		s.update(func(x store.Tx) error { return x.DeleteGroup("staff") })
		same(t, "groups", 0, len(read(s, store.Tx.Groups)))
		same(t, "memberships", []string{"admins"}, read(s, func(x store.Tx) (*store.User, error) { return x.User("u1") }).Groups)
	},
}

var identityTests = map[string]func(*testing.T, *subject){
	"an identity comes back whole, by all three parts of its key": func(t *testing.T, s *subject) {
		s.person("u1", "u2")
		want := store.Identity{External: "partners", Issuer: "https://idp.example", Subject: "42", UserID: "u1", Name: "ada", Created: Start, LastUsed: after(time.Hour)}
		complete(t, want)
		s.update(func(x store.Tx) error { return x.PutIdentity(want) })
		same(t, "identity", &want, read(s, func(x store.Tx) (*store.Identity, error) { return x.Identity("partners", "https://idp.example", "42") }))
		for _, key := range [][3]string{{"other", "https://idp.example", "42"}, {"partners", "https://other", "42"}, {"partners", "https://idp.example", "43"}} {
			missing(s, func(x store.Tx) (*store.Identity, error) { return x.Identity(key[0], key[1], key[2]) })
		}
		want.UserID, want.LastUsed = "u2", after(2*time.Hour)
		s.update(func(x store.Tx) error { return x.PutIdentity(want) })
		same(t, "identities", []store.Identity{want}, read(s, func(x store.Tx) ([]store.Identity, error) { return x.IdentitiesOf("u2") }))
		same(t, "identities", 0, len(read(s, func(x store.Tx) ([]store.Identity, error) { return x.IdentitiesOf("u1") })))
		s.update(func(x store.Tx) error { return x.DeleteIdentity("partners", "https://idp.example", "42") })
		missing(s, func(x store.Tx) (*store.Identity, error) { return x.Identity("partners", "https://idp.example", "42") })
	},
}

var accessKeyTests = map[string]func(*testing.T, *subject){
	"an access key comes back whole, by its hash": func(t *testing.T, s *subject) {
		s.person("robot")
		want := store.AccessKey{ID: "k1", UserID: "robot", Hash: store.HashOf("secret"), Created: Start, Expires: after(time.Hour), LastUsed: after(time.Minute)}
		complete(t, want)
		s.update(func(x store.Tx) error { return x.PutAccessKey(want) })
		same(t, "access key", &want, read(s, func(x store.Tx) (*store.AccessKey, error) { return x.AccessKey(store.HashOf("secret")) }))
		missing(s, func(x store.Tx) (*store.AccessKey, error) { return x.AccessKey(store.HashOf("other")) })
		want.LastUsed = after(2 * time.Minute)
		s.update(func(x store.Tx) error { return x.PutAccessKey(want) })
		same(t, "access keys", []store.AccessKey{want}, read(s, func(x store.Tx) ([]store.AccessKey, error) { return x.AccessKeysOf("robot") }))
		s.update(func(x store.Tx) error { return x.DeleteAccessKey("k1") })
		missing(s, func(x store.Tx) (*store.AccessKey, error) { return x.AccessKey(store.HashOf("secret")) })
	},
}
