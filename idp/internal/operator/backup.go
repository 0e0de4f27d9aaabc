package operator

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// A backup file begins with a line of JSON. The backup of the database follows.
const (
	backupFormat  = "oidc-idp-archive/1"
	maxHeaderLine = 1 << 20
)

type backupHeader struct {
	Format string `json:"format"`
	// Keys are those of Caddy's storage, if the backup has them.
	Keys json.RawMessage `json:"keys,omitempty"`
}

// Backup writes all that lasts: accounts, factors, groups and signing keys. What is
// sealed in it opens with the keys of Caddy's storage alone, which it has only with
// keys. It is of one moment; users go on signing in meanwhile.
func Backup(ctx context.Context, s *server.Server, w io.Writer, withKeys bool) error {
	header := backupHeader{Format: backupFormat}
	if withKeys {
		keys, err := s.Vault.Export(ctx)
		if err != nil {
			return explained(err)
		}
		header.Keys = keys
	}
	line, err := json.Marshal(header)
	if err != nil {
		return err
	}
	if _, err := w.Write(append(line, '\n')); err != nil {
		return err
	}
	info, err := s.Store.Backup(ctx, w, s.Now())
	if err != nil {
		return explained(err)
	}
	s.Logger.LogAttrs(ctx, slog.LevelInfo, "an operator made a backup", slog.String("event", "backup_made"), slog.String("via", "admin_api"),
		slog.Int("users", info.Users), slog.Bool("with_keys", withKeys))
	return nil
}

// Restored says what a backup had.
type Restored struct {
	Created *time.Time `json:"created"`
	Users   int        `json:"users"`
	Keys    bool       `json:"keys"` // of Caddy's storage
}

// Restore replaces all accounts by those of a backup. All sessions, tokens and links
// end, and tokens by counter have to be resynchronized. latest says that nothing has
// changed since the backup, so that recovery codes are good.
func Restore(ctx context.Context, s *server.Server, r io.Reader, latest bool) (*Restored, error) {
	lines := bufio.NewReaderSize(r, 4096)
	line, err := readLine(lines)
	var header backupHeader
	if err != nil || json.Unmarshal(line, &header) != nil || header.Format != backupFormat {
		return nil, refuse(http.StatusBadRequest, "this is no backup of an identity provider")
	}
	if err := endEverySession(ctx, s); err != nil {
		return nil, explained(err)
	}
	if header.Keys != nil {
		if err := s.Vault.Import(ctx, header.Keys); err != nil {
			return nil, explained(err)
		}
	}
	info, err := s.Store.Restore(ctx, lines, database.RestoreOptions{
		Latest: latest,
		Then:   func(tx store.Tx) error { return factors.MarkRestored(tx, s.Now()) },
	})
	if errors.Is(err, store.ErrUnavailable) {
		return nil, explained(err)
	}
	if err != nil {
		return nil, &Error{http.StatusBadRequest, err}
	}
	s.Logger.LogAttrs(ctx, slog.LevelWarn, "an operator restored a backup", slog.String("event", "backup_restored"), slog.String("via", "admin_api"),
		slog.Int("users", info.Users), slog.Time("created", info.Created), slog.Bool("with_keys", header.Keys != nil))
	return &Restored{inUTC(info.Created), info.Users, header.Keys != nil}, nil
}

// readLine reads the first line of a backup.
func readLine(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
		if len(line) > maxHeaderLine {
			return nil, errors.New("the first line is too long")
		}
	}
}

// endEverySession ends all single sign-on sessions, and lets applications know.
func endEverySession(ctx context.Context, s *server.Server) error {
	for after := ""; ; {
		users, more, err := s.Accounts.List(ctx, store.UserFilter{Removed: true}, after, 0)
		if err != nil {
			return err
		}
		for _, user := range users {
			sessions, err := s.Sessions.List(ctx, user.ID)
			if err == nil && len(sessions) > 0 {
				err = s.Sessions.EndAll(ctx, user.ID, "")
			}
			if err != nil {
				return fmt.Errorf("end the sessions of a user: %w", err)
			}
		}
		if !more {
			return nil
		}
		after = users[len(users)-1].ID
	}
}
