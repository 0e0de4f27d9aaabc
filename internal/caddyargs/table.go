package caddyargs

import (
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// Table maps the names of a block's options to the functions that read them
// into a T. These are called with the dispenser on the option's name.
type Table[T any] map[string]func(*caddyfile.Dispenser, T) error

// Names returns the names of the options, sorted.
func (t Table[T]) Names() []string { return slices.Sorted(maps.Keys(t)) }

// Read reads the option that the dispenser is on. It returns an error if the
// option is not in the table, or has been read before and must not repeat.
func (t Table[T]) Read(d *caddyfile.Dispenser, kind *Kind, into T, seen Seen) error {
	option := d.Val()
	parse, known := t[option]
	if !known {
		return kind.Unrecognized(d)
	}
	if err := kind.Once(d, option, seen); err != nil {
		return err
	}
	return parse(d, into)
}

// ReadBlock reads a block of options and returns those that it had. An option
// may appear only once unless it is in kind.Repeats.
func (t Table[T]) ReadBlock(d *caddyfile.Dispenser, kind *Kind, into T) (Seen, error) {
	seen := make(Seen)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := t.Read(d, kind, into, seen); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// Kind describes a kind of block for error messages.
type Kind struct {
	// Name follows the name of an unknown option, as in "of session". It may be
	// empty.
	Name string
	// Place tells where options of this kind belong, for errors about such an
	// option in another block.
	Place string
	// Options are the names of the block's options. If empty, errors contain no
	// suggestions.
	Options []string
	// Repeats are the names of the options that may appear more than once.
	Repeats []string
	// Others are the kinds of blocks in which to look for an unknown option, in
	// this order.
	Others []*Kind
}

// Once records an option. It returns an error if the block already had it and it
// is not in Repeats. The dispenser must be on its name.
func (k *Kind) Once(d *caddyfile.Dispenser, option string, seen Seen) error {
	if slices.Contains(k.Repeats, option) {
		seen[option] = d.Token()
		return nil
	}
	return seen.Once(d, option)
}

// Unrecognized returns the error about an unknown option. It names the place
// where the option belongs, or otherwise the option that was probably meant. The
// dispenser must be on the option's name.
func (k *Kind) Unrecognized(d *caddyfile.Dispenser) error {
	option, of := d.Val(), ""
	if k.Name != "" {
		of = " " + k.Name
	}
	err := d.Errf("unrecognized option '%s'%s", option, of)
	if len(k.Options) == 0 {
		return err
	}
	for _, other := range k.Others {
		if slices.Contains(other.Options, option) {
			return fmt.Errorf("%w: it is an option %s", err, other.Place)
		}
	}
	return suggest.Hint(err, option, k.Options...)
}
