package caddyargs

import (
	"maps"
	"slices"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Options are the options of a block, each with the function that reads it.
type Options map[string]func() error

// Block reads a block of options, each at most once. The block's name is part
// of the error about an option that it does not have.
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

// ListAndMap reads one or more arguments, a block of names with one value each, or
// both.
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

// EachName reads a block of names, which must differ. For each it calls read,
// with the dispenser on the name. The block must not be empty.
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

// eachName returns how many names there were.
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
