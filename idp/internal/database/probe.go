package database

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// ErrMissing reports that the database file does not exist yet.
var ErrMissing = errors.New("the database file is not there yet: it is made when the provider opens")

// Probe checks whether a database can be opened. It changes nothing: it neither creates a
// file nor migrates a database.
func Probe(ctx context.Context, options Options) error {
	if options.SQLite == "" {
		return probePostgres(ctx, options.Postgres)
	}
	path, err := filepath.Abs(options.SQLite)
	if err != nil {
		return fmt.Errorf("database file: %w", err)
	}
	_, err = os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return ErrMissing
	case err != nil:
		return fmt.Errorf("%w: database file: %w", store.ErrUnavailable, err)
	case runtime.GOOS == "windows":
		return nil
	}
	return checkModes(path)
}

// probePostgres connects to a server. Its errors contain neither the URL nor the
// password.
func probePostgres(ctx context.Context, address string) error {
	config, err := postgresConfig(address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	err = conn.Ping(ctx)
	return errors.Join(err, conn.Close(context.WithoutCancel(ctx)))
}
