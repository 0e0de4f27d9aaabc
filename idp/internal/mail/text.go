package mail

import (
	"crypto/rand"
	"strings"
)

// body returns a text without control characters other than newlines.
func body(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && isHidden(r) {
			return -1
		}
		return r
	}, strings.ReplaceAll(text, "\r\n", "\n"))
}

// messageID returns a new Message-ID in the sender's domain.
func messageID(from string) string { return strings.ToLower(rand.Text()) + "@" + helo(from) }
