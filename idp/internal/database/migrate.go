package database

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// migrations has a folder for each engine, with files of the same names. A file
// that has been released never changes.
//
//go:embed migrations
var migrations embed.FS

// migrate brings the database to the version of this program. A database that
// is newer is refused: this program would not know what it means.
func (d *DB) migrate(ctx context.Context) error {
	p, err := d.migrator()
	if err != nil {
		return err
	}
	done, err := p.Up(ctx) // alone, so that nodes that start together do not meet
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
	folder, err := fs.Sub(migrations, "migrations/"+d.engine.name)
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{goose.WithTableName("schema_versions"), goose.WithDisableGlobalRegistry(true)}
	if d.engine.locker != nil {
		options = append(options, goose.WithSessionLocker(d.engine.locker))
	}
	return goose.NewProvider(d.engine.dialect, d.write, folder, options...)
}
