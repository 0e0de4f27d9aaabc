package session

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// listMinutes returns the minutes that have a folder below root, in their order.
func listMinutes(ctx context.Context, storage Storage, root string) ([]int64, error) {
	minutes, _, err := listRoot(ctx, storage, root)
	return minutes, err
}

// listRoot returns the minutes that have a folder below root, and the packs
// there, each in their order.
func listRoot(ctx context.Context, storage Storage, root string) (minutes []int64, packs []string, err error) {
	for _, recursive := range []bool{false, true} { // some show no folders otherwise
		names, err := list(ctx, storage, root, recursive)
		if err != nil {
			return nil, nil, err
		}
		packs = packs[:0]
		for _, name := range children(names, root) {
			if minute, err := strconv.ParseInt(name, 10, 64); err == nil && strconv.FormatInt(minute, 10) == name {
				minutes = append(minutes, minute)
			} else if isPack(name) {
				packs = append(packs, name)
			}
		}
		if len(minutes) > 0 || names == nil {
			break
		}
	}
	slices.Sort(minutes)
	return minutes, packs, nil // as sorted as children are
}

// children returns the names directly below a folder, each once. Storages list
// whole keys, or keys relative to the folder, or with a prefix of their own,
// and some list what lies deeper or elsewhere as well.
func children(keys []string, folder string) []string {
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

// list returns what a storage lists; nil if there is no such folder. Storages
// that walk a file system say that as well when something vanishes while they
// do, so that it is believed only when they repeat it.
func list(ctx context.Context, storage Storage, folder string, recursive bool) ([]string, error) {
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
