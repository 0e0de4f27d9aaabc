package accounts

import (
	"context"
	"encoding/csv"
	"fmt"
	"io"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// exportPage is the number of users read at a time.
const exportPage = 500

// Export writes all users, except removed ones, as a CSV file that Import can read. If
// hashes is true, the file includes password hashes. Hashes that this provider made are
// useless without the keys in Caddy's storage; hashes imported from another system are
// written as they were imported.
func (a *Accounts) Export(ctx context.Context, to io.Writer, hashes bool) error {
	w := csv.NewWriter(to)
	var chosen []column
	var header []string
	for _, c := range columns {
		if c.name == hashColumn && !hashes {
			continue
		}
		chosen = append(chosen, c)
		header = append(header, c.name)
	}
	if err := w.Write(header); err != nil {
		return fmt.Errorf("write header: %w", err)
	}
	after := ""
	for more := true; more; {
		users, next, err := a.List(ctx, store.UserFilter{}, after, exportPage)
		if err != nil {
			return err
		}
		for _, user := range users {
			if err := a.exportUser(ctx, w, chosen, user, hashes); err != nil {
				return err
			}
			after = user.ID
		}
		if more = next; more {
			w.Flush()
		}
	}
	w.Flush()
	return w.Error()
}

func (a *Accounts) exportUser(ctx context.Context, w *csv.Writer, chosen []column, user *store.User, hashes bool) (err error) {
	if hashes {
		if user.Password.Hash, err = a.passwords.Imported(ctx, user.ID, user.Password.Hash); err != nil {
			return fmt.Errorf("%s: %w", user.Name, err)
		}
	}
	record := make([]string, len(chosen))
	for i, c := range chosen {
		record[i] = c.get(user)
	}
	if err := w.Write(record); err != nil {
		return fmt.Errorf("write user: %w", err)
	}
	return nil
}
