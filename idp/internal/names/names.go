// Package names says which user names and e-mail addresses are allowed, and when
// two of them are the same. Names and addresses share one namespace, so that no
// name of one user looks up another.
//
// It is pure: which names are taken is for package accounts to find out.
package names

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

const (
	// MaxName is the length of the longest user name, in characters.
	MaxName = 64
	// maxInput is the length of the longest text that is looked up, in bytes.
	maxInput = 512
)

// Key returns the form of a name or an e-mail address that is compared: NFKC, case
// folded, without spaces around it. It accepts all that users type, and returns ""
// for what can be no name of anybody.
func Key(text string) string {
	if len(text) > maxInput || !utf8.ValidString(text) {
		return ""
	}
	text = strings.TrimSpace(norm.NFKC.String(text))
	// Folding can leave a text that is not normalized, and normalizing one that is
	// not folded.
	key := fold(fold(text))
	if at := strings.LastIndexByte(key, '@'); at >= 0 {
		if domain := asciiDomain(key[at+1:]); domain != "" {
			key = key[:at+1] + domain // as Email keeps it
		}
	}
	if len(key) > maxInput || strings.ContainsFunc(key, isForbidden) {
		return ""
	}
	return key
}

// fold makes upper and lower case the same. Lower case is made of what folding
// leaves in upper case: Cherokee.
func fold(text string) string {
	return norm.NFKC.String(strings.ToLower(cases.Fold().String(text)))
}

// isForbidden reports whether a character is in no name and no address: it is
// invisible, or ends a line.
func isForbidden(c rune) bool {
	return unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || unicode.Is(unicode.Zl, c) || unicode.Is(unicode.Zp, c) || c == utf8.RuneError
}

// New checks the user name of a new account, and returns it as it is kept: in
// lower case, by the profile UsernameCaseMapped of RFC 8265. A name that has an @
// is an e-mail address; see NewFor.
func New(name string) (string, error) {
	if strings.Contains(name, "/") {
		return "", errors.New("a user name does not contain /: such names are those of external providers and of clients")
	}
	return checkName(name)
}

// NewFor is New for a user with an e-mail address. The address is allowed as the
// user name, too, if it is verified.
func NewFor(name, email string, verified bool) (string, error) {
	if !strings.Contains(norm.NFKC.String(name), "@") {
		return New(name)
	}
	address, err := Email(name)
	if err != nil {
		return "", fmt.Errorf("a user name with @ is an e-mail address: %w", err)
	}
	if !verified || Key(address) != Key(email) {
		return "", errors.New("a user name with @ must be the user's own e-mail address, and verified")
	}
	return address, nil
}

// External returns the user name of an account that an external provider creates:
// its id, a slash, and what the provider calls the user.
func External(external, name string) (string, error) {
	id, err := checkName(external)
	if err != nil {
		return "", fmt.Errorf("external provider: %w", err)
	}
	if id == clients {
		return "", errors.New("external provider: client is the prefix of clients")
	}
	rest, err := checkName(name)
	if err != nil {
		return "", err
	}
	return id + "/" + rest, nil
}

// clients is what the subjects of clients begin with, before a slash. No user has
// such a name.
const clients = "client"

// Application checks the name of an application user. It is part of its access
// keys, so it has letters, digits, and . _ - alone.
func Application(name string) (string, error) {
	for i := range len(name) {
		if c := name[i]; !isASCIIAlphanumeric(c) && !strings.ContainsRune("._-", rune(c)) {
			return "", errors.New("the name of an application has only letters, digits, and . _ - of ASCII")
		}
	}
	return New(name)
}

func isASCIIAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

func checkName(name string) (string, error) {
	if len(name) > maxInput || utf8.RuneCountInString(name) > MaxName {
		return "", fmt.Errorf("a user name has at most %d characters", MaxName)
	}
	if name == "" {
		return "", errors.New("a user name has at least one character")
	}
	mapped, err := precis.UsernameCaseMapped.String(name)
	if err != nil {
		return "", errors.New("a user name is made of letters, digits, and . _ - +, and reads in one direction")
	}
	for _, c := range mapped {
		if !unicode.IsLetter(c) && !unicode.IsMark(c) && !unicode.IsDigit(c) && !strings.ContainsRune("._-+", c) {
			return "", fmt.Errorf("a user name is made of letters, digits, and . _ - +, not %q", c)
		}
	}
	if first, _ := utf8.DecodeRuneInString(mapped); !unicode.IsLetter(first) && !unicode.IsDigit(first) && first != '_' {
		return "", errors.New("a user name begins with a letter, a digit or _")
	}
	if !inOneScript(mapped) {
		return "", errors.New("the letters of a user name belong to one script: other scripts have letters that look the same")
	}
	if Key(mapped) == "" || utf8.RuneCountInString(mapped) > MaxName {
		return "", fmt.Errorf("a user name has at most %d characters", MaxName)
	}
	return mapped, nil
}
