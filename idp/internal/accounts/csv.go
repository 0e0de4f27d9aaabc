package accounts

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// A column is a column of the CSV files that Import reads and Export writes.
type column struct {
	name string
	get  func(*store.User) string
	// set is nil for columns that are only exported. An import ignores them.
	set func(*NewUser, string) error
}

// hashColumn contains password hashes. It is exported only on request.
const hashColumn = "password_hash"

// columns are the columns of an export, in order. An import requires only name.
var columns = []column{
	{"name", func(u *store.User) string { return u.Name }, setName},
	{"kind", func(u *store.User) string { return string(u.Kind) }, setKind},
	{"email", func(u *store.User) string { return u.Email }, text(func(n *NewUser) *string { return &n.Email })},
	{"email_verified", func(u *store.User) string { return yesNo(u.EmailVerified) }, flag(func(n *NewUser) *bool { return &n.EmailVerified })},
	{"display_name", func(u *store.User) string { return u.DisplayName }, text(func(n *NewUser) *string { return &n.DisplayName })},
	{"given_name", func(u *store.User) string { return u.GivenName }, text(func(n *NewUser) *string { return &n.GivenName })},
	{"family_name", func(u *store.User) string { return u.FamilyName }, text(func(n *NewUser) *string { return &n.FamilyName })},
	{"language", func(u *store.User) string { return u.Language }, text(func(n *NewUser) *string { return &n.Language })},
	{"authenticator", func(u *store.User) string { return u.Authenticator }, text(func(n *NewUser) *string { return &n.Authenticator })},
	{"groups", func(u *store.User) string { return strings.Join(u.Groups, groupSeparator) }, setGroups},
	{"locked", func(u *store.User) string { return yesNo(u.Locked) }, flag(func(n *NewUser) *bool { return &n.Locked })},
	{"must_change", func(u *store.User) string { return yesNo(u.Password.MustChange) }, flag(func(n *NewUser) *bool { return &n.MustChange })},
	{hashColumn, func(u *store.User) string { return u.Password.Hash }, text(func(n *NewUser) *string { return &n.Imported })},
	{"id", func(u *store.User) string { return u.ID }, nil},
	{"created", func(u *store.User) string { return timeText(u.Created) }, nil},
	{"last_sign_in", func(u *store.User) string { return timeText(u.LastSignIn) }, nil},
}

// groupSeparator separates the groups in a field. Names of groups do not contain it.
const groupSeparator = ";"

func text(field func(*NewUser) *string) func(*NewUser, string) error {
	return func(n *NewUser, value string) error {
		*field(n) = value
		return nil
	}
}

func flag(field func(*NewUser) *bool) func(*NewUser, string) error {
	return func(n *NewUser, value string) error {
		switch strings.ToLower(value) {
		case "true", "yes", "1":
			*field(n) = true
		case "false", "no", "0", "":
		default:
			return fmt.Errorf("%.20q is neither true nor false", value)
		}
		return nil
	}
}

// setName sets the name. In a name with a slash, the part before the slash is the id of
// an external provider.
func setName(n *NewUser, value string) error {
	n.Name = value
	if external, name, found := strings.Cut(value, "/"); found {
		n.External, n.Name = external, name
	}
	return nil
}

func setKind(n *NewUser, value string) error {
	n.Kind = store.Kind(value)
	if !slices.Contains([]store.Kind{"", store.Person, store.Application}, n.Kind) {
		return fmt.Errorf("%.20q is neither person nor application", value)
	}
	return nil
}

func setGroups(n *NewUser, value string) error {
	for group := range strings.SplitSeq(value, groupSeparator) {
		if group = strings.TrimSpace(group); group != "" {
			n.Groups = append(n.Groups, group)
		}
	}
	return nil
}

func yesNo(value bool) string { return fmt.Sprint(value) }

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
