package oidcrp

import (
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/suggest"
)

// onceOnly refuses an option that is there twice, and knows where it is.
type onceOnly map[string]caddyfile.Token

func (o onceOnly) first(d *caddyfile.Dispenser, word string) error {
	if _, twice := o[word]; twice {
		return d.Errf("%s is there twice", word)
	}
	o[word] = d.Token()
	return nil
}

// placeOf returns where the option is that an error is about: the one that it
// begins with, else the last one that it mentions, else another place.
func (o onceOnly) placeOf(err error, otherwise *caddyfile.Dispenser) *caddyfile.Dispenser {
	words := strings.FieldsFunc(err.Error(), func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') })
	var last caddyfile.Token
	for i, word := range words {
		token, ok := o[word]
		if ok && i == 0 {
			return at(token)
		}
		if ok && token.Line > last.Line {
			last = token
		}
	}
	if last.Line > 0 {
		return at(last)
	}
	return otherwise
}

// at is for errors about a place that was passed already: the end of a block
// says little about what is wrong with it.
func at(place caddyfile.Token) *caddyfile.Dispenser {
	d := caddyfile.NewDispenser([]caddyfile.Token{place})
	d.Next()
	return d
}

// oneArg reads exactly one argument, which is not empty. Its errors do not
// repeat arguments, which may be secrets.
func oneArg(d *caddyfile.Dispenser, field *string) error {
	word := d.Val()
	args := d.RemainingArgs()
	if len(args) != 1 {
		return d.Errf("%s takes one argument, not %d", word, len(args))
	}
	if args[0] == "" {
		return d.Errf("%s is empty", word)
	}
	*field = args[0]
	return nil
}

// oneChecked reads one argument that check accepts.
func oneChecked(d *caddyfile.Dispenser, field *string, check func(string) error) error {
	word := d.Val()
	if err := oneArg(d, field); err != nil {
		return err
	}
	if err := check(*field); err != nil {
		return d.Errf("%s: %w", word, err)
	}
	return nil
}

// oneWord reads one of a few words.
func oneWord(d *caddyfile.Dispenser, field *string, words ...string) error {
	option := d.Val()
	if d.NextArg() {
		if !slices.Contains(words, d.Val()) {
			return suggest.Hint(d.Errf("%s: unrecognized value '%s'; it is %s", option, d.Val(), strings.Join(words, " or ")), d.Val(), words...)
		}
		d.Prev()
	}
	return oneArg(d, field)
}

// someArgs reads one or more arguments, each once.
func someArgs(d *caddyfile.Dispenser, field *[]string) error {
	word := d.Val()
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Errf("%s takes at least one argument", word)
	}
	for i, arg := range args {
		if arg == "" || slices.Contains(args[:i], arg) {
			return d.Errf("%s: argument %d is empty or there twice", word, i+1)
		}
	}
	*field = args
	return nil
}

// someChecked reads one or more arguments, each of which check accepts.
func someChecked(d *caddyfile.Dispenser, field *[]string, check func(string) error) error {
	word := d.Val()
	if err := someArgs(d, field); err != nil {
		return err
	}
	for _, arg := range *field {
		if err := check(arg); err != nil {
			return d.Errf("%s: %w", word, err)
		}
	}
	return nil
}

// noArgs reads a flag.
func noArgs(d *caddyfile.Dispenser, field *bool) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	*field = true
	return nil
}

func onOff(d *caddyfile.Dispenser, field **bool) error {
	var word string
	if err := oneWord(d, &word, "on", "off"); err != nil {
		return err
	}
	on := word == "on"
	*field = &on
	return nil
}

// oneDuration is for options whose zero would mean that they are not set.
func oneDuration(d *caddyfile.Dispenser, field *caddy.Duration) error {
	option, duration := d.Val(), (*caddy.Duration)(nil)
	if err := oneDurationSet(d, &duration); err != nil {
		return err
	}
	if *duration == 0 {
		return d.Errf("%s cannot be zero", option)
	}
	*field = *duration
	return nil
}

// oneDurationSet is for options whose zero means something.
func oneDurationSet(d *caddyfile.Dispenser, field **caddy.Duration) error {
	option, text := d.Val(), ""
	if err := oneArg(d, &text); err != nil {
		return err
	}
	duration, err := caddy.ParseDuration(text)
	if err != nil || duration < 0 {
		return d.Errf("%s: '%s' is no duration, like 90s or 12h", option, text)
	}
	*field = (*caddy.Duration)(&duration)
	return nil
}

// pairs reads a block of names and values.
func pairs(d *caddyfile.Dispenser, field *map[string]string) error {
	option := d.Val()
	if d.NextArg() {
		return d.ArgErr()
	}
	*field = make(map[string]string)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name, value := d.Val(), ""
		if name == "" {
			return d.Errf("%s: a name is empty", option)
		}
		if _, twice := (*field)[name]; twice {
			return d.Errf("%s: %s is there twice", option, name)
		}
		if err := oneArg(d, &value); err != nil {
			return err
		}
		(*field)[name] = value
	}
	if len(*field) == 0 {
		return d.Errf("%s is empty", option)
	}
	return nil
}

func canonicalHeader(name string) string { return http.CanonicalHeaderKey(name) }
