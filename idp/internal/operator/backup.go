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
	"os"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/vault"
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

// Restore replaces all accounts by those of a backup, or changes nothing. All sessions,
// tokens and links end, and tokens by counter have to be resynchronized. latest says
// that nothing has changed since the backup, so that recovery codes are good.
func Restore(ctx context.Context, s *server.Server, r io.Reader, latest bool) (*Restored, error) {
	upload, err := keepUpload(r)
	if err != nil {
		return nil, err
	}
	defer upload.remove()
	keys, err := upload.check()
	if err != nil {
		return nil, &Error{http.StatusBadRequest, err}
	}
	_, lines, err := upload.open()
	if err != nil {
		return nil, err
	}
	var ended []store.Delivery
	info, err := s.Store.Restore(ctx, lines, database.RestoreOptions{
		Latest: latest,
		First: func(tx store.Tx) (err error) {
			ended, err = s.Sessions.EndEverything(tx)
			return err
		},
		Then: func(tx store.Tx) error {
			if err := factors.MarkRestored(tx, s.Now()); err != nil {
				return err
			}
			// Keys are added to those that there are, so they do no harm if the
			// transaction cannot be committed.
			if keys != nil {
				if err := s.Vault.Import(ctx, keys); err != nil {
					return err
				}
			}
			return s.Vault.CheckRestored(ctx, tx)
		},
	})
	if errors.Is(err, store.ErrUnavailable) {
		return nil, explained(err)
	}
	if err != nil {
		return nil, &Error{http.StatusBadRequest, err}
	}
	s.Sessions.Notify(ctx, ended)
	s.Logger.LogAttrs(ctx, slog.LevelWarn, "an operator restored a backup", slog.String("event", "backup_restored"), slog.String("via", "admin_api"),
		slog.Int("users", info.Users), slog.Time("created", info.Created), slog.Bool("with_keys", keys != nil))
	return &Restored{inUTC(info.Created), info.Users, keys != nil}, nil
}

// upload is a backup in a temporary file: it is looked at whole before anything
// changes.
type upload struct{ *os.File }

func keepUpload(r io.Reader) (*upload, error) {
	f, err := os.CreateTemp("", "oidc-idp-restore-*") // 0600
	if err != nil {
		return nil, fmt.Errorf("keep a backup: %w", err)
	}
	u := &upload{f}
	if _, err := io.Copy(f, r); err != nil {
		u.remove()
		return nil, refuse(http.StatusBadRequest, "the backup cannot be read whole")
	}
	return u, nil
}

func (u *upload) remove() {
	_ = u.Close()
	_ = os.Remove(u.Name())
}

// open returns the first line, and a reader of what follows.
func (u *upload) open() (header backupHeader, lines io.Reader, err error) {
	if _, err := u.Seek(0, io.SeekStart); err != nil {
		return header, nil, fmt.Errorf("read a backup: %w", err)
	}
	buffered := bufio.NewReaderSize(u, 4096)
	line, err := readLine(buffered)
	if err != nil || json.Unmarshal(line, &header) != nil || header.Format != backupFormat {
		return header, nil, errors.New("this is not a backup of an identity provider")
	}
	return header, buffered, nil
}

// check returns the keys that a backup has, or an error if it is not whole.
func (u *upload) check() (keys json.RawMessage, err error) {
	header, lines, err := u.open()
	if err != nil {
		return nil, err
	}
	if header.Keys != nil {
		if err := vault.CheckExported(header.Keys); err != nil {
			return nil, err
		}
	}
	return header.Keys, database.CheckBackup(lines)
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
