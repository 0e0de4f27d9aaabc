package database

import (
	"database/sql"
	"fmt"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// listedUser is a user with the columns that lists are sorted and searched by.
type listedUser struct {
	store.User
	sortKey string
	search  string
}

var users = newTable("users", 1, func(u *listedUser) []column {
	return []column{
		text("id", &u.ID), text("kind", &u.Kind),
		text("name", &u.Name), text("email", &u.Email), flag("email_verified", &u.EmailVerified),
		text("display_name", &u.DisplayName), text("given_name", &u.GivenName), text("family_name", &u.FamilyName),
		text("language", &u.Language), text("authenticator", &u.Authenticator),
		moment("created", &u.Created), moment("last_sign_in", &u.LastSignIn),
		flag("locked", &u.Locked), moment("removed", &u.Removed),
		text("password_hash", &u.Password.Hash), moment("password_changed", &u.Password.Changed),
		flag("password_must_change", &u.Password.MustChange), object("password_history", &u.Password.History),
		flag("must_enrol", &u.MustEnrol),
		text("sort_key", &u.sortKey), text("search", &u.search),
	}
})

var names = newTable("names", 1, func(n *store.Name) []column {
	return []column{text("key", &n.Key), text("kind", &n.Kind), text("user_id", &n.UserID)}
})

func (x *tx) scanUser(rows *sql.Rows) (*store.User, error) {
	var u listedUser
	columns := append(users.columns(&u), object("groups", &u.Groups))
	to := make([]any, len(columns))
	for i, c := range columns {
		to[i] = c.to
	}
	if err := rows.Scan(to...); err != nil {
		return nil, err
	}
	if len(u.Groups) == 0 {
		u.Groups = nil
	}
	return &u.User, nil
}

// usersWhere returns the users for which a condition holds.
func (x *tx) usersWhere(condition string, args ...any) ([]*store.User, error) {
	return query(x, x.scanUser, "SELECT "+users.list+", "+x.engine.groups+" FROM users WHERE "+condition, args...)
}

func (x *tx) user(condition string, args ...any) (*store.User, error) {
	u, err := first(x.usersWhere(condition, args...))
	if err != nil {
		return nil, err
	}
	return *u, nil
}

func (x *tx) User(id string) (*store.User, error) { return x.user("id = $1", id) }

func (x *tx) UserByName(key string) (*store.User, error) {
	return x.user("id = (SELECT user_id FROM names WHERE key = $1)", key)
}

func (x *tx) HashBeginnings(prefix string, size int) ([]string, error) {
	return values[string](x, fmt.Sprintf("SELECT DISTINCT substr(password_hash, 1, %d) FROM users WHERE removed = 0 AND substr(password_hash, 1, %d) = $1", size, len(prefix)), prefix)
}

func (x *tx) Users(filter store.UserFilter, after string, limit int) ([]*store.User, error) {
	condition, args := conditionOf(filter)
	if after != "" {
		key, err := first(values[string](x, "SELECT sort_key FROM users WHERE id = $1", after))
		if err != nil {
			return nil, err
		}
		condition += fmt.Sprintf(" AND (sort_key, id) > ($%d, $%d)", len(args)+1, len(args)+2)
		args = append(args, *key, after)
	}
	condition += fmt.Sprintf(" ORDER BY sort_key, id LIMIT $%d", len(args)+1)
	return x.usersWhere(condition, append(args, int64(limit))...)
}

func (x *tx) CountUsers(filter store.UserFilter) (int, error) {
	condition, args := conditionOf(filter)
	return count(x, "SELECT count(*) FROM users WHERE "+condition, args...)
}

// conditionOf returns a filter as an SQL condition, and its arguments.
func conditionOf(filter store.UserFilter) (string, []any) {
	var conditions []string
	var args []any
	add := func(condition, arg string) {
		args = append(args, arg)
		conditions = append(conditions, fmt.Sprintf(condition, len(args)))
	}
	if !filter.Removed {
		conditions = append(conditions, "removed = 0")
	}
	if filter.Kind != "" {
		add("kind = $%d", string(filter.Kind))
	}
	if filter.Group != "" {
		add("id IN (SELECT user_id FROM memberships WHERE group_name = $%d)", filter.Group)
	}
	if filter.Search != "" {
		add(`search LIKE $%d ESCAPE '\'`, "%"+likeLiteral.Replace(fold(filter.Search))+"%")
	}
	if conditions == nil {
		conditions = []string{"1 = 1"}
	}
	return strings.Join(conditions, " AND "), args
}

var likeLiteral = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// fold returns text as it is used for sorting and searching, ignoring case and width. It
// is not used to identify users; see package names.
func fold(s string) string { return strings.ToLower(norm.NFKC.String(s)) }

func (x *tx) PutUser(u *store.User) error {
	row := listedUser{User: *u, sortKey: fold(u.Name)}
	row.search = row.sortKey + "\n" + fold(u.DisplayName) + "\n" + fold(u.Email)
	if err := users.put(x, row); err != nil {
		return err
	}
	if _, err := x.exec("DELETE FROM memberships WHERE user_id = $1", u.ID); err != nil {
		return err
	}
	for _, group := range u.Groups {
		if _, err := x.exec("INSERT INTO memberships (user_id, group_name) VALUES ($1, $2) ON CONFLICT DO NOTHING", u.ID, group); err != nil {
			return err
		}
	}
	return nil
}

func (x *tx) Reserve(name store.Name) error {
	err := names.add(x, name)
	if err != store.ErrExists { //nolint:errorlint // add returns it as it is
		return err
	}
	// It is not a conflict if the user already has the name.
	n, err := x.exec("UPDATE names SET kind = $1 WHERE key = $2 AND user_id = $3", string(name.Kind), name.Key, name.UserID)
	if err == nil && n == 0 {
		return store.ErrExists
	}
	return err
}

func (x *tx) Release(key string) error { return names.delete(x, "key = $1", key) }

func (x *tx) NamesOf(userID string) ([]store.Name, error) {
	return names.where(x, "user_id = $1 ORDER BY key", userID)
}
