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

// A backup starts with one line of JSON, which is followed by the backup of the database.
const (
	backupFormat  = "oidc-idp-archive/1"
	maxHeaderLine = 1 << 20
)

type backupHeader struct {
	Format string `json:"format"`
	// Keys are the keys in Caddy's storage. They are optional.
	Keys json.RawMessage `json:"keys,omitempty"`
}

// Backup writes a snapshot of everything that lasts, such as accounts, factors, groups
// and signing keys, while users continue to sign in. Sealed values in it can be opened
// only with the keys in Caddy's storage, which are included if withKeys is true.
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

// Restored describes the backup that was restored.
type Restored struct {
	Created *time.Time `json:"created"`
	Users   int        `json:"users"`
	Keys    bool       `json:"keys"` // whether the backup had the keys in Caddy's storage
}

// Restore replaces all accounts by those of a backup. If it returns an error, no account
// has changed. All sessions, tokens and links end, and HOTP tokens have to be
// resynchronized. latest states that nothing has changed since the backup was made, so
// its recovery codes can be used.
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
			// Import only adds keys, so it does no harm if the transaction cannot be
			// committed.
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

// An upload is a backup in a temporary file. It is checked completely before anything is
// changed.
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

// open returns the header in the first line, and a reader of the remaining lines.
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

// check returns the keys in a backup, if any, or an error if the backup is incomplete or
// damaged.
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

// readLine reads the first line of a backup. Its length is limited to about
// maxHeaderLine.
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
