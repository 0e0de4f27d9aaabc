package operator

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// Operators can link and unlink accounts. The user gets a notice of both, and unlinking
// ends the sessions of the external account.
func TestOperatorsLinkAccounts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.does("user/add", `{"name":"alice","email":"alice@example.com","email_verified":true,"password":"`+firstPassword+`"}`)
	s.does("user/add", `{"name":"bob"}`)
	const link = `{"external":"github","user":"alice","external_subject":"4711","yes":true}`

	s.refuses(badRequest, "can sign in as alice; add --yes", "external/link", strings.Replace(link, "true", "false", 1))
	linked := s.does("external/link", link)
	if linked["issuer"] != "https://github.com" || linked["external_subject"] != "4711" {
		t.Errorf("expected the account at GitHub, seen %v", linked)
	}
	s.posted("was connected to an account of github")
	s.does("external/link", link)
	s.refuses(conflict, "linked to alice", "external/link", strings.Replace(link, `"user":"alice"`, `"user":"bob"`, 1))
	s.refuses(notFound, "there is no external provider", "external/link", strings.Replace(link, "github", "none", 1))
	s.refuses(badRequest, "the subject is missing", "external/link", strings.Replace(link, "4711", "", 1))
	s.refuses(badRequest, "of SAML alone", "external/link", strings.Replace(link, `"yes"`, `"format":"persistent","yes"`, 1))
	shown := quoted(s.does("user/show", `{"user":"alice"}`)["identities"])
	if !strings.Contains(shown, `"external_subject":"4711"`) {
		t.Errorf("expected the link in what is shown of the user, seen %s", shown)
	}

	user, err := s.Accounts.Find(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	session := func(sid, external string) store.Session {
		return store.Session{
			Cookie: store.HashOf(sid), SID: sid, UserID: user.ID, External: external, Created: s.now, AuthTime: s.now, LastSeen: s.now, Expires: s.now.Add(time.Hour),
		}
	}
	err = s.Store.Update(t.Context(), func(tx store.Tx) error {
		if err := tx.PutSession(session("there", "github")); err != nil {
			return err
		}
		return tx.PutSession(session("here", ""))
	})
	if err != nil {
		t.Fatal(err)
	}
	s.does("external/link", strings.Replace(link, "4711", "4712", 1))
	s.refuses(conflict, "2 accounts at github", "external/unlink", `{"external":"github","user":"alice"}`)
	s.does("external/unlink", `{"external":"github","user":"alice","external_subject":"4712"}`)
	s.refuses(notFound, "has no such account", "external/unlink", `{"external":"github","user":"bob"}`)
	s.posted("was disconnected from an account of github")
	sessions := quoted(s.does("sessions/list", `{"user":"alice"}`))
	if strings.Contains(sessions, `"there"`) || !strings.Contains(sessions, `"here"`) {
		t.Errorf("expected that the sessions of GitHub alone end, seen %s", sessions)
	}
	s.does("external/unlink", `{"external":"github","user":"alice"}`)
	s.refuses(notFound, "has no such account", "external/unlink", `{"external":"github","user":"alice"}`)
	if seen := s.audits("external_account_unlinked"); seen != 2 {
		t.Errorf("expected two audit lines, seen %d", seen)
	}
}

// After operators rotate SAML keys, the metadata has the old and the new ones, and the
// response says when each is used.
func TestOperatorsRotateSAMLKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	rotated := s.does("external/rotate-keys", `{"id":"partners","after":86400}`)
	if seen := len(rotated["keys"].([]any)); seen != 4 {
		t.Errorf("expected four keys, seen %v", rotated)
	}
	if seen := quoted(rotated); !strings.Contains(seen, `"used_from":"2026-03-02T12:00:00Z"`) || !strings.Contains(seen, `"accepted_until":"2026-03-03T12:00:00Z"`) {
		t.Errorf("expected that the new keys sign in a day, and the old ones are accepted for another, seen %s", seen)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, rotated["metadata"].(string), nil))
	if seen := strings.Count(w.Body.String(), "<X509Certificate"); seen != 4 {
		t.Errorf("expected four certificates in the metadata, seen %d in %s", seen, w.Body)
	}
	s.now = s.now.Add(25 * time.Hour)
	shown := quoted(s.does("external/show", `{"id":"partners"}`)["keys"])
	if !strings.Contains(shown, `"status":"retiring"`) {
		t.Errorf("expected that the old keys retire, seen %s", shown)
	}
	fresh := s.does("external/rotate-keys", `{"id":"partners","compromised":true,"yes":true}`)
	if seen := len(fresh["keys"].([]any)); seen != 2 {
		t.Errorf("expected two keys, seen %v", fresh)
	}
}
