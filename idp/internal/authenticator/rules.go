package authenticator

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/names"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Kind is a kind of characters.
type Kind string

const (
	Lower  Kind = "lower"
	Upper  Kind = "upper"
	Digit  Kind = "digit"
	Symbol Kind = "symbol" // all that is neither letter nor digit
)

// PasswordRules are the rules for new passwords.
type PasswordRules struct {
	MinLength   int // in characters
	MaxLength   int
	Require     []Kind
	MinStrength int           // 0 to 4; see package passwords
	History     int           // how many are refused of the last ones, the current one among them
	MaxAge      time.Duration // until a new one is due; 0 is off
}

func (p *PasswordRules) unknownKind() Kind {
	for _, kind := range p.Require {
		if kind != Lower && kind != Upper && kind != Digit && kind != Symbol {
			return kind
		}
	}
	return ""
}

// Code says what is wrong with a new password. Pages have a text for each.
type Code string

const (
	TooShort      Code = "too_short"      // Number is the shortest length
	TooLong       Code = "too_long"       // Number is the longest length
	NotText       Code = "not_text"       // control characters, or no UTF-8
	NeedsLower    Code = "needs_lower"    //
	NeedsUpper    Code = "needs_upper"    //
	NeedsDigit    Code = "needs_digit"    //
	NeedsSymbol   Code = "needs_symbol"   //
	ContainsName  Code = "contains_name"  // the user name
	ContainsEmail Code = "contains_email" // the e-mail address
	ContainsSite  Code = "contains_site"  // the site's name
	TooWeak       Code = "too_weak"       // Number is the strength that is required
	UsedBefore    Code = "used_before"    // Number is how many are remembered
)

// Failure is one rule that a new password breaks.
type Failure struct {
	Code   Code
	Number int // for the text; see the codes
}

// Personal is what a password must not contain.
type Personal struct {
	Name  string
	Email string
	Sites []string // host name and name of the site
}

// Normalize returns a password as it is checked and hashed: in NFC. ok is false
// for one that cannot be a password of anybody, by its length or its bytes.
func Normalize(password string) (normalized string, ok bool) {
	if password == "" || len(password) > MaxBytes || !utf8.ValidString(password) {
		return "", false
	}
	password = norm.NFC.String(password)
	return password, len(password) <= MaxBytes && utf8.RuneCountInString(password) <= MaxLength
}

// CheckPassword returns the rules that a new password breaks, without those that
// are costly to find out: strength and history. Length is checked first, and alone
// if it is wrong.
func (a *Authenticator) CheckPassword(password string, personal Personal) []Failure {
	rules := &a.Password
	tooLong := Failure{TooLong, rules.MaxLength}
	if len(password) > MaxBytes {
		return []Failure{tooLong}
	}
	if !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl) {
		return []Failure{{Code: NotText}}
	}
	password = norm.NFC.String(password)
	switch length := utf8.RuneCountInString(password); {
	case length > rules.MaxLength || len(password) > MaxBytes:
		return []Failure{tooLong}
	case length < rules.MinLength:
		return []Failure{{TooShort, rules.MinLength}}
	}
	return append(rules.checkKinds(password), personal.check(password)...)
}

var kindCodes = map[Kind]Code{Lower: NeedsLower, Upper: NeedsUpper, Digit: NeedsDigit, Symbol: NeedsSymbol}

func (p *PasswordRules) checkKinds(password string) (failures []Failure) {
	for _, kind := range p.Require {
		if !strings.ContainsFunc(password, kind.has) {
			failures = append(failures, Failure{Code: kindCodes[kind]})
		}
	}
	return failures
}

func (k Kind) has(c rune) bool {
	switch k {
	case Lower:
		return unicode.IsLower(c)
	case Upper:
		return unicode.IsUpper(c)
	case Digit:
		return unicode.IsDigit(c)
	default:
		return !unicode.IsLetter(c) && !unicode.IsMark(c) && !unicode.IsDigit(c)
	}
}

// minPart is the length of the shortest part of a name that counts.
const minPart = 4

func (p *Personal) check(password string) (failures []Failure) {
	key := names.Key(password)
	if containsWhole(key, p.Name) || containsPart(key, p.Name) {
		failures = append(failures, Failure{Code: ContainsName})
	}
	local, _, _ := strings.Cut(p.Email, "@")
	if containsPart(key, p.Email) || containsPart(key, local) {
		failures = append(failures, Failure{Code: ContainsEmail})
	}
	if slices.ContainsFunc(p.Sites, func(site string) bool { return containsPart(key, site) || containsHost(key, site) }) {
		failures = append(failures, Failure{Code: ContainsSite})
	}
	return failures
}

// containsWhole reports whether a password is a name, perhaps a short one, and
// nothing but digits and symbols beside it.
func containsWhole(password, name string) bool {
	name = names.Key(name)
	if name == "" {
		return false
	}
	rest, found := strings.CutPrefix(strings.TrimFunc(password, isNoLetter), strings.TrimFunc(name, isNoLetter))
	return found && strings.TrimFunc(rest, isNoLetter) == "" && strings.ContainsFunc(name, unicode.IsLetter)
}

func isNoLetter(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsMark(c) }

func containsPart(password, part string) bool {
	part = names.Key(part)
	return utf8.RuneCountInString(part) >= minPart && strings.Contains(password, part)
}

// containsHost reports whether a password has the label of a host name that is the
// name of the organization, as "example" in login.example.com.
func containsHost(password, host string) bool {
	labels := strings.Split(host, ".")
	if len(labels) < 2 {
		return false
	}
	return slices.ContainsFunc(labels[:len(labels)-1], func(label string) bool {
		return !slices.Contains(commonLabels, label) && containsPart(password, label)
	})
}

// commonLabels are parts of host names that are ordinary words.
var commonLabels = []string{"login", "auth", "account", "accounts", "home", "mail", "idp", "sso"}

// ChangeDue reports whether a user must set a new password at this sign-in.
func (a *Authenticator) ChangeDue(password store.Password, now time.Time) bool {
	return ChangeDue(password, a.Password.MaxAge, now)
}

// ChangeDue reports whether a password has to be changed that may get so old; 0 is any
// age. Users without one have nothing to change.
func ChangeDue(password store.Password, maxAge time.Duration, now time.Time) bool {
	if password.Hash == "" {
		return false
	}
	return password.MustChange || maxAge > 0 && now.Sub(password.Changed) >= maxAge
}
