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
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return d.engine.wrap(ctx, err)
	}
	if current > target {
		return fmt.Errorf("the database has version %d, this program knows versions up to %d", current, target)
	}
	if current == target {
		return nil
	}
	results, err := p.Up(ctx)
	if err != nil {
		return d.engine.wrap(ctx, err)
	}
	if current > 0 {
		for _, r := range results {
			d.logger.Info("migrated the database", "event", "database_migrated", "version", r.Source.Version, "engine", d.engine.name)
		}
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
		locker, err := d.engine.locker()
		if err != nil {
			return nil, err
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	return goose.NewProvider(d.engine.dialect, d.write, folder, options...)
}
