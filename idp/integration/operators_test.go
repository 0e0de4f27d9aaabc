package integration_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"
	"golang.org/x/crypto/bcrypt"
)

// operators runs the commands of operators at a harness.
type operators struct {
	t       *testing.T
	address string
}

func (h *harness) operators() *operators {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := h.running().idp.ServeAdmin(w, r)
		if failed, ok := err.(caddy.APIError); ok { // like Caddy
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(failed.HTTPStatus)
			_ = json.NewEncoder(w).Encode(map[string]string{"error": failed.Err.Error()})
		} else if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	h.t.Cleanup(server.Close)
	return &operators{h.t, server.Listener.Addr().String()}
}

// run runs a command and returns its output.
func (o *operators) run(input string, args ...string) (string, error) {
	root, out := &cobra.Command{Use: "oidc-idp", SilenceErrors: true, SilenceUsage: true}, new(bytes.Buffer)
	caddycmd.Commands()["oidc-idp"].CobraFunc(root)
	root.SetOut(out)
	root.SetErr(out)
	root.SetIn(strings.NewReader(input))
	root.SetArgs(append([]string{"--address", o.address}, args...))
	err := root.Execute()
	return out.String(), err
}

// does runs a command that must succeed.
func (o *operators) does(args ...string) string {
	o.t.Helper()
	out, err := o.run("", args...)
	if err != nil {
		o.t.Fatalf("%q: %v", args, err)
	}
	return out
}

// refuses runs a command that must fail for a reason.
func (o *operators) refuses(reason string, args ...string) {
	o.t.Helper()
	if out, err := o.run("", args...); err == nil || !strings.Contains(err.Error(), reason) {
		o.t.Errorf("%q: expected an error with %q, seen %v\n%s", args, reason, err, out)
	}
}

// has fails unless a text matches each expression.
func (o *operators) has(text string, expressions ...string) {
	o.t.Helper()
	for _, e := range expressions {
		if !regexp.MustCompile("(?m)" + e).MatchString(text) {
			o.t.Errorf("expected %s, seen\n%s", e, text)
		}
	}
}

func TestOperatorsManageUsers(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(protected, ""), "authenticator admins {\nmfa off\n}", "registration invite")
	o := h.operators()
	out, err := o.run(password+"\n", "user", "add", "alice", "--email", "alice@example.com", "--email-verified", "--groups", "staff,admins", "--password-stdin")
	if err != nil {
		t.Fatal(err)
	}
	o.has(out, `^name +alice$`, `^groups +admins, staff$`, `^status +active$`, `^has password +yes$`)
	o.has(o.does("user", "add", "bob"), `^has password +no$`, `^link +https://login\d+\.test/reset#[0-9A-Z-]+$`)
	o.has(o.does("user", "list"), `^NAME +EMAIL`, `^alice +alice@example\.com`, `^bob +-`)
	o.has(o.does("user", "list", "--group", "staff", "--json"), `^\{"users":\[\{"name":"alice"`)
	o.has(o.does("user", "set", "bob", "--display-name", "Bob B", "--add-groups", "staff"), `^display name +Bob B$`, `^groups +staff$`)
	o.has(o.does("authenticator", "assign", "admins", "--group", "staff"), `^users +alice, bob$`)
	o.has(o.does("authenticator", "list"), `^admins +off .* 2$`, `^default +optional .* 0$`)
	o.has(o.does("group", "add", "operators", "--operator"), `^operator +yes$`)
	o.has(o.does("group", "list"), `^operators +yes`, `^staff +(no|-)`)

	b := h.browser()
	b.get(appURL + "/").signIn("alice").at(appURL).expect("application sees alice")
	o.has(o.does("user", "show", "alice@example.com"), `^name +alice$`, `^sessions$`, `^last sign in +\d`)
	sessions := o.does("sessions", "list", "alice")
	o.has(sessions, `urn:oidc-idp:pwd`, `builtin`)
	o.does("user", "lock", "alice")
	h.soon("the session at the site ends", func() bool { return !strings.Contains(b.get(appURL+"/").body, "application sees") })
	b.signIn("alice").at(h.idpURL)
	o.does("user", "unlock", "alice")
	h.browser().get(appURL + "/").signIn("alice").at(appURL)

	o.refuses("add --yes", "user", "remove", "bob")
	o.does("user", "remove", "bob", "--yes")
	o.refuses("there is no user bob", "user", "show", "bob")
	o.refuses("taken", "user", "add", "bob")
	o.refuses("add --yes", "user", "reuse-name", "bob")
	o.does("user", "reuse-name", "bob", "--yes")
	o.does("user", "add", "bob")

	o.refuses("add --yes", "user", "reset-password", "alice")
	o.has(o.does("user", "reset-password", "alice", "--yes"), `^link +https://login\d+\.test/reset#`)
	o.refuses("--seed-stdin", "user", "add-token", "alice")
	const seed = "3132333435363738393031323334353637383930"
	out, err = o.run(seed+"\n", "user", "add-token", "alice", "--seed-stdin", "--digits", "8", "--counter", "20", "--label", "no. 17")
	if err != nil {
		t.Fatalf("adding a token: %v\n%s", err, out)
	}
	o.has(out, `^kind +hotp$`, `^label +no\. 17$`)
	if out, err := o.run(seed+"\n", "user", "add-token", "alice", "--seed-stdin", "--digits", "7"); err == nil {
		t.Errorf("expected codes of seven digits to be refused, seen %s", out)
	}
	o.has(o.does("user", "show", "alice"), `hotp +no\. 17`)
	o.refuses("add --yes", "user", "reset-mfa", "alice")
	o.has(o.does("user", "reset-mfa", "alice", "--yes"), `^code +[0-9A-Z-]+$`)

	o.refuses("name the e-mail address", "invite", "add")
	o.has(o.does("invite", "add", "carol@example.com", "--groups", "staff"), `^link +https://login\d+\.test/invite#`)
	list := o.does("invite", "list")
	o.has(list, `carol@example\.com +staff`)
	o.does("invite", "remove", strings.Fields(strings.Split(list, "\n")[1])[0])

	for _, secret := range []string{password, seed, "#"} {
		if strings.Contains(h.logs(), secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	o.has(h.logs(), `"event":"user_added".*"user":"alice"`, `"event":"password_reset_link_made".*"user":"alice"`, `"event":"user_removed".*"user":"bob"`)
}

func TestOperatorsManageApplicationsAndKeys(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "")
	o := h.operators()
	o.has(o.does("application", "add", "robot", "--groups", "ci"), `^kind +application$`, `^groups +ci$`)
	out := o.does("key", "add", "robot", "--expires", "90d")
	o.has(out, `^key +\S+$`, `^expires +\d`)
	o.has(o.does("key", "list", "robot"), `^ID +CREATED +EXPIRES`)
	if key := regexp.MustCompile(`(?m)^key +(\S+)$`).FindStringSubmatch(out)[1]; strings.Contains(o.does("key", "list", "robot", "--json")+h.logs(), key) {
		t.Error("the key is shown again, or logged")
	}
	o.refuses("there is no application alice", "key", "add", "alice")
	o.does("key", "remove", "robot", regexp.MustCompile(`(?m)^id +(\S+)$`).FindStringSubmatch(out)[1])
	o.has(o.does("application", "list"), `^robot`)
	if strings.Contains(o.does("user", "list"), "robot") {
		t.Error("expected no program among the users")
	}
	o.has(o.does("keys", "rotate"), `RS256 .*published`, `RS256 .*`, `^storage key +\S+$`)
	o.refuses("add --yes", "keys", "rotate", "--compromised")
}

// first-user prints a link only if there has never been an account. The link is not logged.
func TestTheFirstAccount(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "")
	o := h.operators()
	link := o.does("first-user")
	o.has(link, `^link +https://login\d+\.test/first-user#`)
	if strings.Contains(h.logs(), "first-user#") {
		t.Error("the link is in the log")
	}
	o.does("user", "add", "alice")
	o.refuses("had an account already", "first-user")
	o.does("user", "remove", "alice", "--yes")
	o.refuses("had an account already", "first-user")
}

func TestABackupBringsAccountsBack(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(protected, ""))
	h.addUser("alice", "staff")
	o := h.operators()
	folder := t.TempDir()
	alone, whole := filepath.Join(folder, "alone"), filepath.Join(folder, "whole")
	o.does("backup", alone)
	o.does("backup", whole, "--with-keys")
	o.refuses("exists", "backup", whole)
	info, err := os.Stat(whole)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("expected the mode 0600, seen %o", mode)
	}
	b := h.browser()
	b.get(appURL + "/").signIn("alice").at(appURL)
	h.addUser("mallory")

	o.refuses("add --yes", "restore", whole)
	o.has(o.does("restore", alone, "--yes"), `^users +1$`)
	h.soon("the session at the site ends", func() bool { return !strings.Contains(b.get(appURL+"/").body, "application sees") })
	b.at(h.idpURL).signIn("alice").at(appURL).expect("application sees alice")
	o.refuses("there is no user mallory", "user", "show", "mallory")

	other := newHarness(t, fmt.Sprintf(protected, ""))
	other.operators().does("restore", whole, "--yes")
	other.browser().get(appURL + "/").signIn("alice").at(appURL).expect("application sees alice")
	o.refuses("this is not a backup", "restore", other.logFile, "--yes")
}

func TestUsersComeFromAnotherSystem(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(protected, ""))
	o := h.operators()
	file := filepath.Join(t.TempDir(), "users.csv")
	text := "name,email,email_verified,groups,password_hash\nalice,alice@example.com,true,staff;ci," + bcryptHash(t) + "\nnot@hers,,,,\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	o.has(o.does("user", "import", file, "--dry-run"), `^users +1$`, `^failed +1$`)
	o.has(o.does("user", "import", file), `^users +1$`, `^failed +1$`)
	h.browser().get(appURL + "/").signIn("alice").at(appURL).expect("application sees alice")
	exported := o.does("user", "export")
	o.has(exported, `^name,kind,email`, `^alice,person,alice@example\.com,true,.*staff`)
	if strings.Contains(exported, "argon2") {
		t.Error("expected no hashes")
	}
	o.refuses("add --yes", "user", "export", "--hashes")
	o.has(o.does("user", "export", "--hashes", "--yes"), `argon2id`)
}

// soon waits up to a minute until done, because ended sessions and keys can remain valid
// for a short time.
func (h *harness) soon(what string, done func() bool) {
	h.t.Helper()
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			h.t.Fatalf("not within a minute: %s", what)
		}
	}
}

// bcryptHash returns the hash of the usual password that another system would have.
func bcryptHash(t *testing.T) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}
