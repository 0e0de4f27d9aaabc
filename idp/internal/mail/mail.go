// Package mail writes and sends what users get by mail: links, codes, and notices
// of what was changed. It knows the languages, a server, and how many mails an
// account or an address may cause. It does not know when a mail is due.
//
// Mails wait in memory and not in the database: a link's secret is in the database
// as its hash alone, and a mail has it in the clear. A mail that waits when the
// process ends is tried once more, and then lost; its user asks for another one.
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

// Message is a mail. All of it is plain text.
type Message struct {
	To      string // a bare address
	Subject string
	Body    string // lines that end with \n
}

// Sender sends a mail. An error that wraps ErrPermanent is not worth another try.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// ErrPermanent is wrapped by errors of mails that no server will take.
var ErrPermanent = errors.New("the mail cannot be delivered")

// maxAddress is the length of an address (RFC 5321 4.5.3.1.3).
const maxAddress = 254

// checkAddress returns an error for what is not one bare address: it would become
// a second recipient, or another header.
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

// isHidden reports whether a character is no part of a visible line: controls, the
// separators of lines, and those that turn the direction of a text.
func isHidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Cs) || r == utf8.RuneError
}

// line returns a text as one line of at most so many characters.
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

// maxName is how many characters of a name are in a mail.
const maxName = 64

// Name returns a name that a user chose as mails show it: at most 64 characters
// without controls. It is empty for one that a reader's program would make a link
// of: strangers choose names, and our mails are trusted.
func Name(text string) string {
	text = line(text, maxName)
	if looksLikeLink(text) {
		return ""
	}
	return text
}

// looksLikeLink reports whether a text has an address, or something like a host.
func looksLikeLink(text string) bool {
	if strings.ContainsAny(text, "/\\@<>[]") {
		return true
	}
	for word := range strings.FieldsSeq(text) {
		before, after, dotted := strings.Cut(word, ".")
		if dotted && before != "" && strings.ContainsFunc(after, unicode.IsLetter) {
			return true
		}
		// other dots, and what is read as one (UTS 46)
		if strings.ContainsAny(word, "。．｡․") {
			return true
		}
	}
	return false
}
