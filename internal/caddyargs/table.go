package caddyargs

import (
	"fmt"
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// Table lists the options of a block: by name, the function that reads the rest
// of an option into a T. The dispenser is on the option's name.
type Table[T any] map[string]func(*caddyfile.Dispenser, T) error

// Names returns the names of the options, sorted.
func (t Table[T]) Names() []string { return slices.Sorted(maps.Keys(t)) }

// Read reads the option that the dispenser is on. It returns an error if the
// option is not in the table, or was read before in this block.
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

// ReadBlock reads a block of options, each at most once unless it repeats, and
// returns which there were.
func (t Table[T]) ReadBlock(d *caddyfile.Dispenser, kind *Kind, into T) (Seen, error) {
	seen := make(Seen)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := t.Read(d, kind, into, seen); err != nil {
			return nil, err
		}
	}
	return seen, nil
}

// Kind is a kind of block, as error messages speak of it.
type Kind struct {
	// Name follows an option that the block does not have, as in "of session". It
	// may be empty.
	Name string
	// Place says where the block's options belong, for errors about one that is
	// somewhere else.
	Place string
	// Options are the names of the block's options. If there are none, errors
	// suggest nothing.
	Options []string
	// Repeats are the names of those that may be there more than once.
	Repeats []string
	// Others are the kinds of blocks where an option may belong that is not one of
	// these, in the order in which they are searched.
	Others []*Kind
}

// Once returns an error if the option was read before in this block and does not
// repeat. The dispenser is on its name.
func (k *Kind) Once(d *caddyfile.Dispenser, option string, seen Seen) error {
	if slices.Contains(k.Repeats, option) {
		seen[option] = d.Token()
		return nil
	}
	return seen.Once(d, option)
}

// Unrecognized returns the error about an option that a block does not have: with
// the place where it belongs, else with the option that was probably meant. The
// dispenser is on the option's name.
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
