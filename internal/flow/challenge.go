package flow

import (
	"strconv"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// This file says in WWW-Authenticate which credentials of programs are accepted, and
// what is wrong with the one at hand.

// challenge is what WWW-Authenticate says besides the scheme: the error of RFC 6750
// and RFC 9470, the scopes that rules ask for, and how users have to sign in.
type challenge struct {
	err    string
	scopes []string
	proof  op.Proof
}

// challenge sets WWW-Authenticate, if programs are let in here: Bearer on a line of
// its own, and Basic only where no browser would ask a user for it (threats D16).
func (x *Exchange) challenge(c challenge) {
	if x.Programs == nil {
		return
	}
	realm := ""
	if s := x.Scope(); s != nil {
		realm = s.Origin.Host
	}
	parameters := []string{"realm=" + quoted(realm)}
	add := func(name, value string) {
		if value != "" {
			parameters = append(parameters, name+"="+quoted(value))
		}
	}
	add("error", c.err)
	add("error_description", errorcode.Code(c.err).Message())
	add("scope", strings.Join(c.scopes, " "))
	if c.err == string(errorcode.InsufficientAuthentication) {
		add("acr_values", acceptableOf(c.proof))
		if seconds := secondsOf(c.proof.MaxAge); seconds != nil {
			parameters = append(parameters, "max_age="+strconv.FormatInt(*seconds, 10))
		}
	}
	add("resource_metadata", x.resourceMetadataURL())
	lines := []string{"Bearer " + strings.Join(parameters, ", ")}
	if x.Programs.Basic && !navigation.HasFetchMetadata(x.R) && !navigation.AcceptsHTML(x.R) {
		lines = append(lines, "Basic realm="+quoted(realm)+`, charset="UTF-8"`)
	}
	x.header()["Www-Authenticate"] = lines
}

// acceptableOf returns the values of acr that a proof takes, separated by spaces.
func acceptableOf(proof op.Proof) string { return strings.Join(proof.Acceptable(), " ") }

// quoted returns a text as a quoted-string (RFC 9110 5.6.4). What has no place in one
// is left out.
func quoted(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c >= 0x20 && c < 0x7f:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
