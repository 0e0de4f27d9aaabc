package clusterstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"
)

// List returns what the storage lists, nil if there is no such folder. A storage
// that walks a file system also reports an absent folder when a file vanishes
// meanwhile, so it is asked up to three times.
func List(ctx context.Context, storage Storage, folder string, recursive bool) ([]string, error) {
	for try := 1; ; try++ {
		names, err := storage.List(ctx, folder, recursive)
		switch {
		case err == nil:
			return append([]string{}, names...), nil
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("list %s: %w", folder, err)
		case try == 3 && len(names) == 0:
			return nil, nil
		case try == 3:
			return nil, fmt.Errorf("list %s: %w", folder, err)
		}
	}
}

// Children returns the names directly below a folder, sorted, each once.
// Storages list whole keys, or keys relative to the folder, or with a prefix of
// their own, and some list what lies deeper or elsewhere as well.
func Children(keys []string, folder string) []string {
	names := make([]string, 0, len(keys))
	for _, key := range keys {
		key = strings.Trim(key, "/")
		if _, below, ok := strings.Cut("/"+key, "/"+folder+"/"); ok {
			key = below
		}
		name, _, _ := strings.Cut(key, "/")
		names = append(names, name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// ListMinutes returns the minutes that have a folder below root, and the other
// names there, both sorted.
func ListMinutes(ctx context.Context, storage Storage, root string) (minutes []int64, others []string, err error) {
	for _, recursive := range []bool{false, true} { // some storages list no folders otherwise
		listed, err := List(ctx, storage, root, recursive)
		if err != nil {
			return nil, nil, err
		}
		others = others[:0]
		for _, name := range Children(listed, root) {
			if minute, err := strconv.ParseInt(name, 10, 64); err == nil && strconv.FormatInt(minute, 10) == name {
				minutes = append(minutes, minute)
			} else {
				others = append(others, name)
			}
		}
		if len(minutes) > 0 || listed == nil {
			break
		}
	}
	slices.Sort(minutes)
	return minutes, others, nil
}

// SweepMinutes deletes the folders below root whose minute ended longer ago than
// files are kept.
func SweepMinutes(ctx context.Context, storage Storage, root string, now time.Time, kept time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, sweepWithin)
	defer cancel()
	minutes, _, err := ListMinutes(ctx, storage, root)
	if err != nil {
		return fmt.Errorf("sweep %s: %w", root, err)
	}
	var errs []error
	for _, minute := range minutes {
		if now.Sub(time.Unix((minute+1)*60, 0)) <= kept+ClocksDiffer {
			continue
		}
		folder := fmt.Sprintf("%s/%d", root, minute)
		listed, err := List(ctx, storage, folder, false)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, name := range Children(listed, folder) {
			errs = append(errs, IgnoreAbsent(storage.Delete(ctx, folder+"/"+name)))
		}
		errs = append(errs, IgnoreAbsent(storage.Delete(ctx, folder)))
	}
	return errors.Join(errs...)
}
