package mail

import (
	"crypto/rand"
	"strings"
)

// body returns a text of lines without other controls.
func body(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && isHidden(r) {
			return -1
		}
		return r
	}, strings.ReplaceAll(text, "\r\n", "\n"))
}

// messageID returns a fresh Message-ID at the sender's domain.
func messageID(from string) string { return strings.ToLower(rand.Text()) + "@" + helo(from) }
