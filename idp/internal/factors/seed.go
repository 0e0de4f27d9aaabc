package factors

import (
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// The length of seeds that users and operators bring. RFC 4226 4 R6 requires 128
// bits.
const (
	minSeed     = 16
	maxSeed     = 64
	maxSeedText = 256
)

// parseSeed reads a seed as vendors of tokens print it: hexadecimal if all is
// hexadecimal, else base32; blanks and hyphens between groups do not count.
func parseSeed(text string) ([]byte, error) {
	if len(text) > maxSeedText {
		return nil, ErrSeed
	}
	text = strings.ToUpper(strings.NewReplacer(" ", "", "-", "", "\t", "", ":", "").Replace(strings.TrimSpace(text)))
	text = strings.TrimRight(text, "=")
	b, err := hex.DecodeString(text)
	if err != nil {
		b, err = base32Encoding.DecodeString(text)
	}
	if err != nil || len(b) < minSeed || len(b) > maxSeed {
		return nil, ErrSeed // without what was typed
	}
	return b, nil
}

// keyURI returns the otpauth address of a seed. Apps split its label at the first
// colon, so there is none in the names.
func keyURI(kind store.FactorKind, issuer, account string, s seed, counter int64) string {
	var b strings.Builder
	b.WriteString("otpauth://" + string(kind) + "/")
	b.WriteString(labelPart(issuer) + ":" + labelPart(account))
	b.WriteString("?secret=" + s.base32() + "&issuer=" + labelPart(issuer))
	b.WriteString("&algorithm=SHA1&digits=" + strconv.Itoa(s.Digits))
	if kind == store.HOTP {
		b.WriteString("&counter=" + strconv.FormatInt(counter, 10))
	} else {
		b.WriteString("&period=" + strconv.Itoa(int(totpStep.Seconds())))
	}
	return b.String()
}

// labelPart escapes a name for all places of an otpauth address. Not all apps
// read a plus sign as a blank, so it is written as %20.
func labelPart(name string) string {
	name = strings.Join(strings.Fields(strings.ReplaceAll(name, ":", " ")), " ")
	return strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
}

// inGroups writes text in groups of n characters.
func inGroups(text string, n int, between string) string {
	var groups []string
	for ; len(text) > n; text = text[n:] {
		groups = append(groups, text[:n])
	}
	return strings.Join(append(groups, text), between)
}
