package flow

import (
	"strconv"
	"strings"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/errorcode"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/navigation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// This file writes WWW-Authenticate: which credentials of programs are accepted,
// and what is wrong with the one that was sent.

// challenge holds the parameters of a Bearer challenge: the error of RFC 6750 or
// RFC 9470, the scopes that rules require, and how users have to authenticate.
type challenge struct {
	err    string
	scopes []string
	proof  op.Proof
}

// challenge sets WWW-Authenticate if the instance accepts programs: Bearer on a
// line of its own, and Basic only where no browser would prompt for a password.
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

// acceptableOf returns the acr values that satisfy a proof, separated by spaces.
func acceptableOf(proof op.Proof) string { return strings.Join(proof.Acceptable(), " ") }

// quoted returns text as a quoted-string (RFC 9110, section 5.6.4), without
// characters that are not allowed in one.
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
