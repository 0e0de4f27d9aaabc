package seal

import (
	"context"
	"errors"
)

// Source provides the keys of a site.
type Source interface {
	// Ring returns the keys. An error means that the storage cannot be read.
	Ring(context.Context) (*Ring, error)
	// Renewed returns the keys after reading the storage again, if that can help.
	Renewed(context.Context) (*Ring, error)
}

// OpenWith calls open with the keys of a source. If open returns ErrUnknownKey,
// another node may have rotated the keys: OpenWith reads them again and calls open once
// more. It returns the keys and the error of the last call; unavailable means that the
// keys cannot be read.
func OpenWith(ctx context.Context, keys Source, open func(*Ring) error) (ring *Ring, opened, unavailable error) {
	ring, err := keys.Ring(ctx)
	if err != nil {
		return nil, nil, err
	}
	if opened = open(ring); !errors.Is(opened, ErrUnknownKey) {
		return ring, opened, nil
	}
	if ring, err = keys.Renewed(ctx); err != nil {
		return nil, nil, err
	}
	return ring, open(ring), nil
}

// Fixed is a Source of configured secrets.
type Fixed struct{ Keys *Ring }

// Ring implements Source.
func (f Fixed) Ring(context.Context) (*Ring, error) { return f.Keys, nil }

// Renewed implements Source.
func (f Fixed) Renewed(context.Context) (*Ring, error) { return f.Keys, nil }

var (
	_ Source = Fixed{}
	_ Source = (*Managed)(nil)
)
