// Package caddyargs reads the arguments of Caddyfile options.
//
// All Caddyfile parsers of this project use it. Each function expects the
// dispenser to be on the option's name, and reads the rest of its line, or its
// block. Errors name the file, the line, the option and the rule. Those of
// StringArg and ListArg do not repeat arguments, because they may be secrets.
//
// It knows Caddy's tokens and the forms of options, but no particular option.
// Besides caddycel, it is the only package under internal that imports Caddy.
package caddyargs

import (
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// StringArg reads exactly one argument, which must not be empty.
func StringArg(d *caddyfile.Dispenser, field *string) error {
	option := d.Val()
	args := d.RemainingArgs()
	if len(args) != 1 {
		return d.Errf("%s takes one argument, not %d", option, len(args))
	}
	if args[0] == "" {
		return d.Errf("%s is empty", option)
	}
	*field = args[0]
	return nil
}

// CheckedArg reads exactly one argument, which check must accept.
func CheckedArg(d *caddyfile.Dispenser, field *string, check func(string) error) error {
	option := d.Val()
	if err := StringArg(d, field); err != nil {
		return err
	}
	if err := check(*field); err != nil {
		return d.Errf("%s: %w", option, err)
	}
	return nil
}

// EnumArg reads exactly one argument, which must be one of words.
func EnumArg(d *caddyfile.Dispenser, field *string, words ...string) error {
	option := d.Val()
	if d.NextArg() {
		if !slices.Contains(words, d.Val()) {
			return suggest.Hint(d.Errf("%s: unrecognized value '%s'; it is %s", option, d.Val(), strings.Join(words, " or ")), d.Val(), words...)
		}
		d.Prev()
	}
	return StringArg(d, field)
}

// ListArg reads one or more arguments, which must differ and not be empty.
func ListArg(d *caddyfile.Dispenser, field *[]string) error {
	option := d.Val()
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Errf("%s takes at least one argument", option)
	}
	for i, arg := range args {
		if arg == "" || slices.Contains(args[:i], arg) {
			return d.Errf("%s: argument %d is empty or a duplicate", option, i+1)
		}
	}
	*field = args
	return nil
}

// CheckedListArg reads one or more arguments, as ListArg does. check must
// accept each of them.
func CheckedListArg(d *caddyfile.Dispenser, field *[]string, check func(string) error) error {
	option := d.Val()
	if err := ListArg(d, field); err != nil {
		return err
	}
	for _, arg := range *field {
		if err := check(arg); err != nil {
			return d.Errf("%s: %w", option, err)
		}
	}
	return nil
}

// WholeListArg reads one or more arguments, as ListArg does. check must accept
// the list as a whole.
func WholeListArg(d *caddyfile.Dispenser, field *[]string, check func([]string) error) error {
	if err := ListArg(d, field); err != nil {
		return err
	}
	if err := check(*field); err != nil {
		return d.WrapErr(err)
	}
	return nil
}

// FlagArg reads an option without arguments and sets the field to true.
func FlagArg(d *caddyfile.Dispenser, field *bool) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	*field = true
	return nil
}

// BoolArg reads "on" or "off". The field is a pointer to distinguish off from
// unset.
func BoolArg(d *caddyfile.Dispenser, field **bool) error {
	var word string
	if err := EnumArg(d, &word, "on", "off"); err != nil {
		return err
	}
	on := word == "on"
	*field = &on
	return nil
}

// IntArg reads an integer from low to high. broken is the part of the error
// message that follows the argument, as in "is not from 1 to 4".
func IntArg(d *caddyfile.Dispenser, field *int, low, high int, broken string) error {
	option, text := d.Val(), ""
	if err := StringArg(d, &text); err != nil {
		return err
	}
	number, err := strconv.Atoi(text)
	if err != nil || number < low || number > high {
		return d.Errf("%s: '%s' %s", option, text, broken)
	}
	*field = number
	return nil
}

// DurationArg reads a duration of zero or more. The field is a pointer to
// distinguish zero from unset.
func DurationArg(d *caddyfile.Dispenser, field **caddy.Duration) error {
	option, text := d.Val(), ""
	if err := StringArg(d, &text); err != nil {
		return err
	}
	duration, err := caddy.ParseDuration(text)
	if err != nil || duration < 0 {
		return d.Errf("%s: '%s' is not a duration such as 90s or 12h", option, text)
	}
	*field = (*caddy.Duration)(&duration)
	return nil
}

// PositiveDurationArg reads a duration above zero.
func PositiveDurationArg(d *caddyfile.Dispenser, field *caddy.Duration) error {
	option, duration := d.Val(), (*caddy.Duration)(nil)
	if err := DurationArg(d, &duration); err != nil {
		return err
	}
	if *duration == 0 {
		return d.Errf("%s cannot be zero", option)
	}
	*field = *duration
	return nil
}
