package operator

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// columns are those of a CSV file of users. password_hash is a hash of bcrypt or argon2;
// a user without one sets a password with a link.
var columns = []string{
	"name", "email", "email_verified", "display_name", "given_name", "family_name", "language", "authenticator", "groups", "must_change", "password_hash",
}

// ImportRequest has users of another system.
type ImportRequest struct {
	// CSV begins with the names of the columns; see columns. Groups are separated by
	// spaces.
	CSV string `json:"csv"`
}

// Imported says what came of each line.
type Imported struct {
	Users    int       `json:"users"`
	Failures []Failure `json:"failures"`
}

func (i Imported) audit() []slog.Attr {
	return []slog.Attr{slog.Int("users", i.Users), slog.Int("failures", len(i.Failures))}
}

// Failure is about a line that no account was made of.
type Failure struct {
	Line  int    `json:"line"`
	Name  string `json:"name,omitempty"`
	Error string `json:"error"`
}

// importUsers makes an account of each line. A line that cannot be does not keep the
// others from being.
func importUsers(ctx context.Context, s *server.Server, r ImportRequest) (Imported, error) {
	done := Imported{Failures: []Failure{}}
	reader := csv.NewReader(strings.NewReader(r.CSV))
	header, err := reader.Read()
	if err != nil {
		return done, refuse(http.StatusBadRequest, "the first line has the names of the columns, as in name,email,password_hash")
	}
	if err := checkHeader(header); err != nil {
		return done, err
	}
	for {
		fields, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return done, nil
		}
		if err != nil {
			return done, refuse(http.StatusBadRequest, "%w; the lines before it were imported", err)
		}
		line, _ := reader.FieldPos(0)
		user, err := userOf(header, fields)
		if err == nil {
			_, err = s.Accounts.Create(ctx, user)
		}
		if errors.Is(err, store.ErrUnavailable) || ctx.Err() != nil {
			return done, errors.Join(err, ctx.Err())
		}
		if err != nil {
			done.Failures = append(done.Failures, Failure{line, user.Name, err.Error()})
			continue
		}
		done.Users++
	}
}

func checkHeader(header []string) error {
	seen := make(map[string]bool)
	for i, name := range header {
		header[i] = strings.TrimSpace(strings.TrimPrefix(name, "\ufeff"))
		seen[header[i]] = true
	}
	for _, name := range columns {
		delete(seen, name)
	}
	for name := range seen {
		return refuse(http.StatusBadRequest, "there is no column %q; there are: %s", name, strings.Join(columns, ", "))
	}
	return nil
}

func userOf(header, fields []string) (user accounts.NewUser, err error) {
	texts := map[string]*string{
		"name": &user.Name, "email": &user.Email, "display_name": &user.DisplayName, "given_name": &user.GivenName, "family_name": &user.FamilyName,
		"language": &user.Language, "authenticator": &user.Authenticator, "password_hash": &user.Imported,
	}
	flags := map[string]*bool{"email_verified": &user.EmailVerified, "must_change": &user.MustChange}
	for i, name := range header {
		value := strings.TrimSpace(fields[i])
		if field := texts[name]; field != nil {
			*field = value
		}
		if flag := flags[name]; flag != nil && value != "" {
			if *flag, err = strconv.ParseBool(value); err != nil {
				return user, fmt.Errorf("%s: %q is neither true nor false", name, value)
			}
		}
		if name == "groups" {
			user.Groups = strings.Fields(value)
		}
	}
	return user, nil
}

// ExportRequest asks for all users.
type ExportRequest struct {
	// Hashes has the hashes of passwords in it. They are of use only with the keys of
	// Caddy's storage.
	Hashes bool `json:"hashes,omitempty"`
	Yes    bool `json:"yes,omitempty"`
}

// Exported are all users as a CSV file.
type Exported struct {
	Users  int    `json:"users"`
	CSV    string `json:"csv"`
	hashes bool
}

func (e Exported) audit() []slog.Attr {
	return []slog.Attr{slog.Int("users", e.Users), slog.Bool("hashes", e.hashes)}
}

func exportUsers(ctx context.Context, s *server.Server, r ExportRequest) (Exported, error) {
	exported := Exported{hashes: r.Hashes}
	if r.Hashes && !r.Yes {
		return exported, refuse(http.StatusBadRequest, "the file helps to guess passwords; add --yes")
	}
	header := columns
	if !r.Hashes {
		header = columns[:len(columns)-1]
	}
	var text strings.Builder
	w := csv.NewWriter(&text)
	if err := w.Write(header); err != nil {
		return exported, err
	}
	for after := ""; ; {
		users, more, err := s.Accounts.List(ctx, store.UserFilter{Kind: store.Person}, after, 0)
		if err != nil {
			return exported, err
		}
		for _, user := range users {
			row := []string{
				user.Name, user.Email, strconv.FormatBool(user.EmailVerified), user.DisplayName, user.GivenName, user.FamilyName,
				user.Language, user.Authenticator, strings.Join(user.Groups, " "), strconv.FormatBool(user.Password.MustChange), user.Password.Hash,
			}
			if err := w.Write(row[:len(header)]); err != nil {
				return exported, err
			}
			exported.Users++
		}
		if !more {
			break
		}
		after = users[len(users)-1].ID
	}
	w.Flush()
	exported.CSV = text.String()
	return exported, w.Error()
}
