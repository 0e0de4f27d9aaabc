package seal

import "context"

// Source is where the keys of a site come from.
type Source interface {
	// Ring returns the keys; an error is the storage's.
	Ring(context.Context) (*Ring, error)
	// Renewed returns the keys after another look, where that can help.
	Renewed(context.Context) (*Ring, error)
}

// Fixed is the Source of secrets of the configuration.
type Fixed struct{ Keys *Ring }

// Ring implements Source.
func (f Fixed) Ring(context.Context) (*Ring, error) { return f.Keys, nil }

// Renewed implements Source. Another look cannot help.
func (f Fixed) Renewed(context.Context) (*Ring, error) { return f.Keys, nil }

var (
	_ Source = Fixed{}
	_ Source = (*Managed)(nil)
)
