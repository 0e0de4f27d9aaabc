package authenticator

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func codes(failures []Failure) string {
	var all []string
	for _, failure := range failures {
		all = append(all, string(failure.Code))
	}
	return strings.Join(all, " ")
}

func TestNewPasswordsAtTheBorders(t *testing.T) {
	t.Parallel()
	const decomposed = "u\u0308" // becomes one character in NFC
	for name, test := range map[string]struct {
		rules    PasswordRules
		password string
		want     string
	}{
		"as short as allowed":             {PasswordRules{MinLength: 12, MaxLength: 128}, strings.Repeat("x", 12), ""},
		"shorter":                         {PasswordRules{MinLength: 12, MaxLength: 128}, strings.Repeat("x", 11), "too_short"},
		"empty":                           {PasswordRules{MinLength: 8, MaxLength: 128}, "", "too_short"},
		"as long as allowed":              {PasswordRules{MinLength: 12, MaxLength: 128}, strings.Repeat("x", 128), ""},
		"longer":                          {PasswordRules{MinLength: 12, MaxLength: 128}, strings.Repeat("x", 129), "too_long"},
		"as long as an own limit":         {PasswordRules{MinLength: 8, MaxLength: 20}, strings.Repeat("x", 20), ""},
		"longer than it":                  {PasswordRules{MinLength: 8, MaxLength: 20}, strings.Repeat("x", 21), "too_long"},
		"characters are no bytes":         {PasswordRules{MinLength: 12, MaxLength: 128}, strings.Repeat("ü", 12), ""},
		"fewer characters than bytes":     {PasswordRules{MinLength: 12, MaxLength: 128}, strings.Repeat("ü", 11), "too_short"},
		"composed characters are one":     {PasswordRules{MinLength: 12, MaxLength: 128}, strings.Repeat(decomposed, 11), "too_short"},
		"128 composed characters":         {PasswordRules{MinLength: 12, MaxLength: 128}, strings.Repeat(decomposed, 128), ""},
		"512 bytes":                       {PasswordRules{MinLength: 12, MaxLength: 128}, strings.Repeat("😀", 128), ""},
		"more than 512 bytes":             {PasswordRules{MinLength: 12, MaxLength: 128}, strings.Repeat("😀", 128) + "x", "too_long"},
		"a megabyte":                      {PasswordRules{MinLength: 12, MaxLength: 128, Require: []Kind{Upper}}, strings.Repeat("x", 1<<20), "too_long"},
		"not UTF-8":                       {PasswordRules{MinLength: 8, MaxLength: 128}, "\xff\xfe345678", "not_text"},
		"a line break":                    {PasswordRules{MinLength: 8, MaxLength: 128}, "12345678\n", "not_text"},
		"spaces":                          {PasswordRules{MinLength: 12, MaxLength: 128}, "correct horse battery", ""},
		"no kind is required":             {PasswordRules{MinLength: 8, MaxLength: 128}, "12345678", ""},
		"each kind":                       {PasswordRules{MinLength: 8, MaxLength: 128, Require: []Kind{Lower, Upper, Digit, Symbol}}, "aaaaA1!?", ""},
		"no lower case":                   {PasswordRules{MinLength: 8, MaxLength: 128, Require: []Kind{Lower, Upper, Digit, Symbol}}, "AAAAA1!?", "needs_lower"},
		"no upper case":                   {PasswordRules{MinLength: 8, MaxLength: 128, Require: []Kind{Lower, Upper, Digit, Symbol}}, "aaaaa1!?", "needs_upper"},
		"no digit":                        {PasswordRules{MinLength: 8, MaxLength: 128, Require: []Kind{Lower, Upper, Digit, Symbol}}, "aaaaAx!?", "needs_digit"},
		"no symbol":                       {PasswordRules{MinLength: 8, MaxLength: 128, Require: []Kind{Lower, Upper, Digit, Symbol}}, "aaaaA1xx", "needs_symbol"},
		"several are missing":             {PasswordRules{MinLength: 8, MaxLength: 128, Require: []Kind{Upper, Digit}}, "aaaaaaaa", "needs_upper needs_digit"},
		"letters of other scripts":        {PasswordRules{MinLength: 8, MaxLength: 128, Require: []Kind{Lower, Upper}}, "пароЛЬяя", ""},
		"a combined mark is no symbol":    {PasswordRules{MinLength: 8, MaxLength: 128, Require: []Kind{Symbol}}, "aaaaaaax\u0323\u0307", "needs_symbol"},
		"a space is a symbol":             {PasswordRules{MinLength: 8, MaxLength: 128, Require: []Kind{Symbol}}, "aaaa aaaa", ""},
		"the length is checked alone":     {PasswordRules{MinLength: 12, MaxLength: 128, Require: []Kind{Upper}}, "anna", "too_short"},
		"the user name":                   {PasswordRules{MinLength: 8, MaxLength: 128}, "xx-AnnaMaria-xx", "contains_name"},
		"the user name in other letters":  {PasswordRules{MinLength: 8, MaxLength: 128}, "ａｎｎａｍａｒｉａ!!", "contains_name"},
		"the e-mail address":              {PasswordRules{MinLength: 8, MaxLength: 128}, "am@partners.test1", "contains_email"},
		"the site's host":                 {PasswordRules{MinLength: 8, MaxLength: 128}, "login.EXAMPLE.com1", "contains_site"},
		"the name of the organization":    {PasswordRules{MinLength: 8, MaxLength: 128}, "my-example-1234", "contains_site"},
		"the name of the site":            {PasswordRules{MinLength: 8, MaxLength: 128}, "Tennis Club 1899", "contains_site"},
		"an ordinary word of a host name": {PasswordRules{MinLength: 8, MaxLength: 128}, "many login words", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := New(Default)
			a.Password = test.rules
			personal := Personal{Name: "annamaria", Email: "am@partners.test", Sites: []string{"login.example.com", "Tennis Club"}}
			if seen := codes(a.CheckPassword(test.password, personal)); seen != test.want {
				t.Errorf("expected %q, seen %q", test.want, seen)
			}
		})
	}
}

func TestShortNamesInPasswords(t *testing.T) {
	t.Parallel()
	a := New(Default)
	a.Password.MinLength = 8
	for password, want := range map[string]string{
		"bo123456789":        "contains_name", // only the name
		"123-BO-4567":        "contains_name",
		"turbo engine 12":    "", // two letters are common to many words
		"rainbow bobsled":    "",
		"bo.bo.bo.bo":        "",
		"x@y.example-secret": "contains_site",
	} {
		if seen := codes(a.CheckPassword(password, Personal{Name: "bo", Email: "bo@x.test", Sites: []string{"y.example"}})); seen != want {
			t.Errorf("%q: expected %q, seen %q", password, want, seen)
		}
	}
	if seen := codes(a.CheckPassword("12345678 any password", Personal{})); seen != "" {
		t.Errorf("no name and no address: expected nothing, seen %q", seen)
	}
}

func TestFailuresSayTheLimit(t *testing.T) {
	t.Parallel()
	a := New(Default)
	if failures := a.CheckPassword("short", Personal{}); fmt.Sprint(failures) != "[{too_short 12}]" {
		t.Errorf("expected the shortest length, seen %v", failures)
	}
	if failures := a.CheckPassword(strings.Repeat("x", 129), Personal{}); fmt.Sprint(failures) != "[{too_long 128}]" {
		t.Errorf("expected the longest length, seen %v", failures)
	}
}

func TestWhenANewPasswordIsDue(t *testing.T) {
	t.Parallel()
	set := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		maxAge   time.Duration
		password store.Password
		after    time.Duration
		want     bool
	}{
		"no age is too high":         {0, store.Password{Hash: "x", Changed: set}, 10000 * day, false},
		"a moment before":            {180 * day, store.Password{Hash: "x", Changed: set}, 180*day - 1, false},
		"on the day":                 {180 * day, store.Password{Hash: "x", Changed: set}, 180 * day, true},
		"an operator wants one":      {0, store.Password{Hash: "x", Changed: set, MustChange: true}, 0, true},
		"users without a password":   {180 * day, store.Password{}, 10000 * day, false},
		"none, which has to change":  {0, store.Password{MustChange: true}, 0, false},
		"a clock that went backward": {180 * day, store.Password{Hash: "x", Changed: set}, -day, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := New(Default)
			a.Password.MaxAge = test.maxAge
			if due := a.ChangeDue(test.password, set.Add(test.after)); due != test.want {
				t.Errorf("expected %t, seen %t", test.want, due)
			}
		})
	}
}

// FuzzCheckPassword checks that an accepted password can be hashed and that normalizing it
// again does not change it.
func FuzzCheckPassword(f *testing.F) {
	for _, seed := range []string{"", "correct horse battery", strings.Repeat("ü", 128), "\xff", "a\x00", strings.Repeat("u\u0308", 200), strings.Repeat("\u0958", 128)} {
		f.Add(seed)
	}
	a := New(Default)
	f.Fuzz(func(t *testing.T, password string) {
		accepted := len(a.CheckPassword(password, Personal{Name: "anna", Email: "anna@example.com", Sites: []string{"example.org"}})) == 0
		normalized, ok := Normalize(password)
		if accepted && !ok {
			t.Errorf("%q: expected what is accepted to be hashed, seen that it cannot be", password)
		}
		if ok && len(normalized) > MaxBytes {
			t.Errorf("%q: expected at most %d bytes, seen %d", password, MaxBytes, len(normalized))
		}
		if again, _ := Normalize(normalized); ok && again != normalized {
			t.Errorf("%q: expected it to stay, seen %q", normalized, again)
		}
	})
}
