package caddyargs

import (
	"errors"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Seen holds the options of a block that were read so far, and where they are.
type Seen map[string]caddyfile.Token

// Once returns an error if the option was read before in this block. The
// dispenser is on its name.
func (s Seen) Once(d *caddyfile.Dispenser, option string) error {
	if _, twice := s[option]; twice {
		return d.Errf("%s appears twice", option)
	}
	s[option] = d.Token()
	return nil
}

// PlaceOf returns a dispenser at the option that an error is about: the one that
// its method Option names, else the one that its text begins with, else the last
// one in the file that it mentions, else otherwise.
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

// At returns a dispenser whose errors name the place of a token that was read
// earlier. An error found after a block would otherwise name its last line.
func At(token caddyfile.Token) *caddyfile.Dispenser {
	d := caddyfile.NewDispenser([]caddyfile.Token{token})
	d.Next()
	return d
}
