package database

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"math"

	"github.com/pressly/goose/v3"
)

// migrations contains a folder for each engine, with files of the same names. A file that
// has been released must never change.
//
//go:embed migrations
var migrations embed.FS

// migrate migrates the database to a version, or to that of this program if version is 0.
// It returns an error if the database is newer than this program.
func (d *DB) migrate(ctx context.Context, version int64) error {
	p, err := d.migrator()
	if err != nil {
		return err
	}
	if version == 0 {
		version = math.MaxInt64
	}
	done, err := p.UpTo(ctx, version)
	for n := 0; n < 3 && err != nil && d.engine.locker == nil; n++ {
		// Another process may have taken the same step at the same time.
		done, err = p.UpTo(ctx, version)
	}
	if err != nil {
		return d.engine.wrap(ctx, err)
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return d.engine.wrap(ctx, err)
	}
	if current > target {
		return fmt.Errorf("the database has version %d, which is newer than version %d of this program", current, target)
	}
	switch {
	case len(done) > 0 && done[0].Source.Version == 1:
		d.logger.Info("created the database", "event", "database_created", "version", current, "engine", d.engine.name)
	case len(done) > 0:
		d.logger.Info("migrated the database", "event", "database_migrated", "version", current, "engine", d.engine.name)
	}
	return nil
}

func (d *DB) migrator() (*goose.Provider, error) {
	folder, err := fs.Sub(d.migrations, "migrations/"+d.engine.name)
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{goose.WithTableName("schema_versions"), goose.WithDisableGlobalRegistry(true)}
	if d.engine.locker != nil {
		options = append(options, goose.WithSessionLocker(d.engine.locker))
	}
	return goose.NewProvider(d.engine.dialect, d.write, folder, options...)
}

// version returns the current version of the database.
func (d *DB) version(ctx context.Context) (int64, error) {
	p, err := d.migrator()
	if err != nil {
		return 0, err
	}
	version, err := p.GetDBVersion(ctx)
	if err != nil {
		return 0, d.engine.wrap(ctx, err)
	}
	return version, nil
}
