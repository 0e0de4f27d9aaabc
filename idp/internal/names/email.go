package names

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

const (
	// maxEmail and maxLocal are those of RFC 5321, section 4.5.3.1.
	maxEmail = 254
	maxLocal = 64
)

var errEmail = errors.New("this is not an e-mail address")

// Email checks an e-mail address, and returns it as it is kept: the domain in lower
// case and in ASCII. The part before the @ stays as it is; that case makes no
// difference is for Key to say. Only plain addresses are accepted: no quotes, no
// comments, no literal addresses, and nothing that could end a header.
func Email(text string) (string, error) {
	if len(text) > maxInput || !utf8.ValidString(text) {
		return "", errEmail
	}
	text = norm.NFKC.String(text)
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return "", errEmail
	}
	local := text[:at]
	if !isLocal(local) {
		return "", errEmail
	}
	domain, err := Domain(text[at+1:])
	if err != nil {
		return "", err
	}
	address := local + "@" + domain
	if len(address) > maxEmail {
		return "", fmt.Errorf("%w: it has more than %d bytes", errEmail, maxEmail)
	}
	return address, nil
}

// Domain checks the domain of e-mail addresses, and returns it in lower case and in
// ASCII.
func Domain(text string) (string, error) {
	if domain := asciiDomain(text); domain != "" {
		return domain, nil
	}
	return "", fmt.Errorf("%w: its domain is none", errEmail)
}

// asciiDomain returns a domain in lower case and in ASCII, "" if it is none.
func asciiDomain(text string) string {
	if !utf8.ValidString(text) {
		return ""
	}
	domain, err := idna.Lookup.ToASCII(text)
	if err != nil || !isDomain(domain) {
		return ""
	}
	if again, err := idna.Lookup.ToASCII(domain); err != nil || again != domain {
		return ""
	}
	return domain
}

// isLocal reports whether a text is the part before the @: a dot-atom (RFC 5322,
// section 3.2.3), with letters of all scripts (RFC 6531).
func isLocal(local string) bool {
	if local == "" || len(local) > maxLocal || local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, "..") {
		return false
	}
	if Key(local) == "" {
		return false
	}
	for _, c := range local {
		if c < utf8.RuneSelf && !isASCIIAlphanumeric(byte(c)) && !strings.ContainsRune(".!#$%&'*+-/=?^_`{|}~", c) {
			return false
		}
		if c >= utf8.RuneSelf && (isForbidden(c) || isSpace(c)) {
			return false
		}
	}
	return true
}

func isSpace(c rune) bool { return strings.TrimSpace(string(c)) == "" }

// isDomain reports whether a text is the name of a host in ASCII. A single label
// is one: mail inside a network goes to such names.
func isDomain(domain string) bool {
	if domain == "" || len(domain) > 253 {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !isASCIIAlphanumeric(c) && c != '-' {
				return false
			}
		}
	}
	return true
}
