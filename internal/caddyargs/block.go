package caddyargs

import (
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Options maps the names of a block's options to the functions that read them.
type Options map[string]func() error

// Block reads a block of options, each of which may appear once. The errors
// about unknown options contain name, the name of the block.
func Block(d *caddyfile.Dispenser, name string, options Options) error {
	seen := make(Seen)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		option := d.Val()
		parse, known := options[option]
		if !known {
			return (&Kind{Name: "of " + name, Options: slices.Collect(maps.Keys(options))}).Unrecognized(d)
		}
		if err := seen.Once(d, option); err != nil {
			return err
		}
		if err := parse(); err != nil {
			return err
		}
	}
	return nil
}

// MapBlock reads a block of names, each with one value. It must not be empty.
func MapBlock(d *caddyfile.Dispenser, field *map[string]string) error {
	*field = make(map[string]string)
	return EachName(d, func(name string) error { return mapValue(d, *field, name) })
}

// ListAndMap reads one or more arguments, or a block of names with one value each,
// or both.
func ListAndMap(d *caddyfile.Dispenser, list *[]string, field *map[string]string) error {
	if d.CountRemainingArgs() == 0 {
		return MapBlock(d, field)
	}
	option := d.Val()
	if err := ListArg(d, list); err != nil {
		return err
	}
	_, err := eachName(d, option, func(name string) error {
		if *field == nil {
			*field = make(map[string]string)
		}
		return mapValue(d, *field, name)
	})
	return err
}

func mapValue(d *caddyfile.Dispenser, field map[string]string, name string) error {
	var value string
	if err := StringArg(d, &value); err != nil {
		return err
	}
	field[name] = value
	return nil
}

// EachName reads a block of unique names, which must not be empty. It calls
// read for each name, with the dispenser on it.
func EachName(d *caddyfile.Dispenser, read func(name string) error) error {
	option := d.Val()
	if d.NextArg() {
		return d.ArgErr()
	}
	count, err := eachName(d, option, read)
	if err == nil && count == 0 {
		return d.Errf("%s is empty", option)
	}
	return err
}

// eachName is EachName for a block that may be empty. It returns the number of
// names.
func eachName(d *caddyfile.Dispenser, option string, read func(name string) error) (count int, err error) {
	seen := make(Seen)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		if name == "" {
			return 0, d.Errf("%s: a name is empty", option)
		}
		if _, twice := seen[name]; twice {
			return 0, d.Errf("%s: %s appears twice", option, name)
		}
		seen[name] = d.Token()
		if err := read(name); err != nil {
			return 0, err
		}
	}
	return len(seen), nil
}
