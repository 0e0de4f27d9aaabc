// Package mail writes and sends the mails that users get: links, codes, and notices of
// changes. It knows the languages and the mail server. It does not decide when to send a
// mail, or how many an account or address may cause.
//
// Mails wait in memory, not in the database. The database has only the hash of a link's
// secret, but the mail contains the secret itself. When the process ends, each waiting
// mail is tried once more and is then lost; the user has to request another one.
package mail

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Message is a mail in plain text.
type Message struct {
	To      string // a bare address
	Subject string
	Body    string // lines separated by \n
}

// Sender sends mails. If the error wraps ErrPermanent, trying again is useless.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// ErrPermanent is wrapped by errors of mails that no server would accept.
var ErrPermanent = errors.New("the mail cannot be delivered")

// maxAddress is the maximum length of an address (RFC 5321, section 4.5.3.1.3).
const maxAddress = 254

// checkAddress returns an error unless address is a single bare address. Anything else
// could add a recipient or a header.
func checkAddress(address string) error {
	if len(address) > maxAddress || strings.ContainsFunc(address, isHidden) {
		return fmt.Errorf("%w: the address has characters that it must not have", ErrPermanent)
	}
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || parsed.Name != "" {
		return fmt.Errorf("%w: the address is not one", ErrPermanent)
	}
	return nil
}

// isHidden reports whether a character must not appear in a line of text: control
// characters, line separators, and those that change the direction of text.
func isHidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Cs) || r == utf8.RuneError
}

// line returns text as a single line with at most that many characters.
func line(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if isHidden(r) {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if utf8.RuneCountInString(text) > most {
		text = string([]rune(text)[:most-1]) + "…"
	}
	return text
}

// maxName is the maximum length of names in mails, in characters.
const maxName = 64

// Name returns a name chosen by a user as mails show it: at most 64 characters, without
// control characters. It returns "" if a mail program might turn the name into a link:
// names may be chosen by strangers, and our mails are trusted.
func Name(text string) string {
	text = line(text, maxName)
	if looksLikeLink(text) {
		return ""
	}
	return text
}

// looksLikeLink reports whether a text contains an address, or something like a host
// name.
func looksLikeLink(text string) bool {
	if strings.ContainsAny(text, "/\\@<>[]") {
		return true
	}
	for word := range strings.FieldsSeq(text) {
		before, after, dotted := strings.Cut(word, ".")
		if dotted && before != "" && strings.ContainsFunc(after, unicode.IsLetter) {
			return true
		}
		// other dots, and characters that are mapped to dots (UTS 46)
		if strings.ContainsAny(word, "。．｡․") {
			return true
		}
	}
	return false
}
