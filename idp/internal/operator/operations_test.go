package operator

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

const (
	firstPassword = "correct horse battery staple"
	tokenSeed     = "3132333435363738393031323334353637383930"
)

// Each change writes one audit line, reading writes none, and no line contains a secret.
func TestEachChangeHasOneAuditLine(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	secrets := []string{firstPassword, tokenSeed}
	note := func(response map[string]any, members ...string) map[string]any {
		for _, member := range members {
			if text, _ := response[member].(string); text != "" {
				secrets = append(secrets, text)
			}
		}
		return response
	}
	note(s.does("first-user", ""), "code")
	s.does("user/add", `{"name":"alice","email":"alice@example.com","email_verified":true,"password":"`+firstPassword+`"}`)
	note(s.does("user/add", `{"name":"bob"}`), "code")
	s.does("user/set", `{"user":"bob","display_name":"Bob"}`)
	s.does("user/lock", `{"user":"bob"}`)
	s.does("user/unlock", `{"user":"bob"}`)
	s.does("user/add-token", `{"user":"alice","seed":"`+tokenSeed+`"}`)
	s.does("external/link", `{"external":"github","user":"alice","external_subject":"4711","yes":true}`)
	s.does("external/unlink", `{"external":"github","user":"alice"}`)
	note(s.does("user/reset-password", `{"user":"alice","yes":true}`), "code")
	note(s.does("user/reset-mfa", `{"user":"alice","yes":true}`), "code")
	s.does("user/import", `{"csv":"name\ncarol\n"}`)
	s.does("user/export", "{}")
	s.does("authenticator/assign", `{"authenticator":"admins","users":["bob"]}`)
	s.does("group/add", `{"name":"board","operator":true}`)
	s.does("group/remove", `{"name":"board","yes":true}`)
	s.does("application/add", `{"name":"robot"}`)
	key := note(s.does("key/add", `{"application":"robot","expires_in":3600}`), "key")
	s.does("key/remove", `{"application":"robot","id":`+quoted(key["id"])+`}`)
	s.does("application/remove", `{"user":"robot","yes":true}`)
	invite := note(s.does("invite/add", `{"email":"dora@example.com"}`), "code")
	s.does("invite/remove", `{"id":`+quoted(invite["id"])+`}`)
	s.does("sessions/end", `{"user":"alice"}`)
	s.does("keys/rotate", "{}")
	s.does("external/rotate-keys", `{"id":"partners"}`)
	s.does("user/remove", `{"user":"bob","yes":true}`)
	s.does("user/reuse-name", `{"name":"bob","yes":true}`)

	times := map[string]int{"user_added": 2}
	for _, event := range Events() {
		want := max(times[event], 1)
		if seen := s.audits(event); seen != want {
			t.Errorf("expected %d audit lines %s, seen %d", want, event, seen)
		}
	}
	before := s.log.String()
	for _, name := range Names() {
		if operations[name].event != "" {
			continue
		}
		request := map[string]string{"user/show": `{"user":"alice"}`, "sessions/list": `{"user":"alice"}`, "external/show": `{"id":"partners"}`, "key/list": `{"application":"machine"}`}[name]
		if name == "key/list" {
			s.does("application/add", `{"name":"machine"}`)
			before = s.log.String()
		}
		s.does(name, request)
	}
	if after := s.log.String(); after != before {
		t.Errorf("expected no line of what only reads, seen %s", strings.TrimPrefix(after, before))
	}
	for _, secret := range secrets {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("expected no secret in the log, seen %q", secret)
		}
	}
}

// Responses contain no hash, seed or key that is in use.
func TestResponsesHaveNoHash(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.does("user/add", `{"name":"alice","password":"`+firstPassword+`"}`)
	s.does("user/add-token", `{"user":"alice","seed":"`+tokenSeed+`"}`)
	s.does("application/add", `{"name":"robot"}`)
	key, _ := s.does("key/add", `{"application":"robot"}`)["key"].(string)
	for operation, request := range map[string]string{
		"user/show": `{"user":"alice"}`, "user/list": "", "user/export": "", "key/list": `{"application":"robot"}`, "keys/list": "", "external/show": `{"id":"partners"}`,
	} {
		text := quoted(s.does(operation, request))
		for _, secret := range []string{"argon2", tokenSeed, key, "PRIVATE KEY", "sealed"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s: expected no %q, seen %s", operation, secret, text)
			}
		}
	}
}

func TestOperationsThatAreRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.does("user/add", `{"name":"alice","email":"alice@example.com"}`)
	s.does("application/add", `{"name":"robot"}`)
	for _, row := range []struct {
		status                   int
		text, operation, request string
	}{
		{notFound, "there is no operation user/fly", "user/fly", ""},
		{badRequest, "unknown field", "user/add", `{"name":"bob","wings":2}`},
		{badRequest, "something follows the object", "user/add", `{"name":"bob"}{"name":"carol"}`},
		{badRequest, "invalid character", "user/add", `name=bob`},
		{badRequest, "name", "user/add", ""},
		{badRequest, "password", "user/add", `{"name":"bob","password":"short"}`},
		{conflict, "taken", "user/add", `{"name":"Alice"}`},
		{conflict, "taken", "user/add", `{"name":"bob","email":"ALICE@example.com"}`},
		{conflict, "had an account already", "first-user", ""},
		{badRequest, "name a user", "user/show", ""},
		{notFound, "there is no user bob", "user/show", `{"user":"bob"}`},
		{badRequest, "add --yes", "user/remove", `{"user":"alice"}`},
		{badRequest, "add --yes", "user/reuse-name", `{"name":"alice"}`},
		{conflict, "", "user/reuse-name", `{"name":"alice","yes":true}`},
		{badRequest, "add --yes", "user/reset-password", `{"user":"alice"}`},
		{notFound, "there is no user robot", "user/reset-password", `{"user":"robot","yes":true}`},
		{badRequest, "add --yes", "user/reset-mfa", `{"user":"alice"}`},
		{badRequest, "add --yes", "user/export", `{"hashes":true}`},
		{badRequest, "seed is missing", "user/add-token", `{"user":"alice"}`},
		{notFound, "there is no user robot", "user/add-token", `{"user":"robot","seed":"` + tokenSeed + `"}`},
		{badRequest, "0 users were imported", "user/import", `{"csv":"wings\n2\n"}`},
		{badRequest, "add --yes", "group/remove", `{"name":"staff"}`},
		{badRequest, "add --yes", "application/remove", `{"user":"robot"}`},
		{notFound, "there is no application alice", "application/remove", `{"user":"alice","yes":true}`},
		{notFound, "there is no application alice", "key/add", `{"application":"alice"}`},
		{badRequest, "expires_in is not from", "key/add", `{"application":"robot","expires_in":-1}`},
		{notFound, "", "key/remove", `{"application":"robot","id":"none"}`},
		{notFound, "there is no authenticator none", "authenticator/assign", `{"authenticator":"none","users":["alice"]}`},
		{badRequest, "name users, or a group", "authenticator/assign", `{"authenticator":"admins"}`},
		{badRequest, "name the e-mail address", "invite/add", "{}"},
		{badRequest, "name the e-mail address", "invite/add", `{"email":"x@example.com","open":true}`},
		{notFound, "", "invite/remove", `{"id":"none"}`},
		{notFound, "", "sessions/end", `{"user":"alice","id":"none"}`},
		{badRequest, "add --yes", "keys/rotate", `{"compromised":true}`},
		{notFound, "there is no external provider none", "external/show", `{"id":"none"}`},
		{badRequest, "add --yes", "external/rotate-keys", `{"id":"partners","compromised":true}`},
		{notFound, "speaks SAML", "external/rotate-keys", `{"id":"github"}`},
		{badRequest, "90 days at most", "external/rotate-keys", `{"id":"partners","after":-1}`},
	} {
		s.refuses(row.status, row.text, row.operation, row.request)
	}
}

// If the database is unavailable, operators get 503, not an error about their request.
func TestADatabaseThatIsDownIs503(t *testing.T) {
	t.Parallel()
	var refused *Error
	if err := explained(store.ErrUnavailable); !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable {
		t.Errorf("expected 503, seen %v", err)
	}
}
