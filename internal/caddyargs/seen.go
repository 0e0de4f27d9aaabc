package caddyargs

import (
	"errors"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Seen has the options of a block that have been read so far, with their
// tokens.
type Seen map[string]caddyfile.Token

// Once records an option. It returns an error if the block already had it. The
// dispenser must be on its name.
func (s Seen) Once(d *caddyfile.Dispenser, option string) error {
	if _, twice := s[option]; twice {
		return d.Errf("%s appears twice", option)
	}
	s[option] = d.Token()
	return nil
}

// PlaceOf returns a dispenser at the option that an error is about: the option
// that its method Option returns, or the first word of its text, or the
// mentioned option that is last in the file. If there is none, it returns
// otherwise.
func (s Seen) PlaceOf(err error, otherwise *caddyfile.Dispenser) *caddyfile.Dispenser {
	var named interface{ Option() string }
	if errors.As(err, &named) {
		if token, ok := s[named.Option()]; ok {
			return At(token)
		}
	}
	words := strings.FieldsFunc(err.Error(), func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') })
	var last caddyfile.Token
	for i, word := range words {
		token, ok := s[word]
		if ok && i == 0 {
			return At(token)
		}
		if ok && token.Line > last.Line {
			last = token
		}
	}
	if last.Line > 0 {
		return At(last)
	}
	return otherwise
}

// At returns a dispenser whose errors name the line of a token that was read
// earlier. Without it, errors that are found after a block would name the
// block's last line.
func At(token caddyfile.Token) *caddyfile.Dispenser {
	d := caddyfile.NewDispenser([]caddyfile.Token{token})
	d.Next()
	return d
}
