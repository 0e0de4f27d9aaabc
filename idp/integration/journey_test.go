package integration_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A user opens a protected site, is sent to the sign-in, and then sees the requested page
// as that user.
func TestFromAProtectedSiteAndBack(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(protected, ""))
	h.addUser("alice", "staff")
	b := h.browser()
	b.get(appURL+"/reports?year=2026").at(h.idpURL+"/signin/").submit("username", "alice").expect(`name="password"`)
	b.submit("password", "wrong").at(h.idpURL + "/signin/").expect(`name="password"`)
	b.submit("password", password).at(appURL + "/reports").expect("application sees alice")
	b.get(appURL + "/other").at(appURL + "/other").expect("application sees alice")
}

// A user who signed in for one site need not sign in for another. A logout at the first
// site ends the session at both.
func TestOneSignInForAllSites(t *testing.T) {
	t.Parallel()
	const second = "https://second.test"
	h := newHarness(t, fmt.Sprintf(protected, "")+strings.Replace(fmt.Sprintf(protected, ""), "app.test", "second.test", 1))
	h.addUser("alice")
	b := h.browser()
	b.get(appURL + "/").signIn("alice").at(appURL)
	b.get(second + "/here").at(second + "/here").expect("application sees alice")
	b.get(appURL + "/Special:UserLogout").at(appURL)
	h.soon("the session at the other site ends", func() bool { return b.get(second+"/").address.Host != "second.test" })
	b.expect(`name="username"`)
	b.get(appURL + "/").at(h.idpURL).expect(`name="username"`)
}

// A reload keeps logins in progress and sessions.
func TestAReloadKeepsALoginInFlight(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(protected, ""))
	h.addUser("alice")
	whole, half := h.browser(), h.browser()
	whole.get(appURL + "/").signIn("alice").at(appURL)
	half.get(appURL+"/half").submit("username", "alice").expect(`name="password"`)
	h.reload(fmt.Sprintf(protected, "home /welcome"))
	half.submit("password", password).at(appURL + "/half").expect("application sees alice")
	whole.get(appURL + "/").at(appURL).expect("application sees alice")
	half = h.browser()
	half.get(appURL+"/half").submit("username", "alice").expect(`name="password"`)
	h.reload(fmt.Sprintf(protected, ""), "name Example", "authenticator default {\nmfa off\n}") // creates another provider instance
	half.submit("password", password).at(appURL + "/half").expect("application sees alice")
	whole.get(appURL + "/").at(appURL).expect("application sees alice")
}

func TestRulesAboutGroupsAndTheTimeOfTheSignIn(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(protected, `
		require group staff
		private /money/* {
			require max_age 5m
		}
	`))
	h.addUser("alice", "staff")
	h.addUser("bob")
	b := h.browser()
	b.get(appURL + "/").signIn("alice").at(appURL).expect("application sees alice")
	b.get(appURL + "/money/now").at(appURL + "/money/now").expect("application sees alice")
	h.pass(8 * time.Minute) // including the clock skew
	b.get(appURL + "/").expect("application sees alice")
	b.get(appURL+"/money/now").at(h.idpURL).submit("password", password).at(appURL + "/money/now").expect("application sees alice")
	other := h.browser()
	other.get(appURL + "/").signIn("bob").at(appURL)
	if other.status != http.StatusForbidden {
		t.Errorf("expected status 403, seen %d:\n%s", other.status, other.body)
	}
}

// Requests from the network cannot use the client of the sites in this Caddy: its id is
// unknown there.
func TestTheSitesHereAreNoClientOfTheNetwork(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(protected, ""))
	h.addUser("alice")
	b := h.browser()
	b.get(appURL + "/").signIn("alice").at(appURL)
	for _, row := range []struct {
		name   string
		form   url.Values
		header http.Header
	}{
		{"no secret", url.Values{"client_id": {"builtin"}}, nil},
		{"an empty secret", url.Values{"client_id": {"builtin"}, "client_secret": {""}}, nil},
		{"HTTP Basic", url.Values{}, http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("builtin:"))}}},
		{"headers of a proxy", url.Values{"client_id": {"builtin"}}, http.Header{"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"app.test"}, "User-Agent": {"caddy-oidc-rp"}}},
	} {
		row.form.Set("grant_type", "authorization_code")
		row.form.Set("code", "made-up")
		row.form.Set("redirect_uri", appURL+"/@app/auth/default/code")
		row.form.Set("code_verifier", strings.Repeat("v", 43))
		status, body := b.post(h.idpURL+"/token", row.form, row.header)
		if status != http.StatusUnauthorized {
			t.Errorf("%s: expected status 401, seen %d", row.name, status)
		}
		if !strings.Contains(body, `"invalid_client"`) {
			t.Errorf("%s: expected invalid_client, seen %s", row.name, body)
		}
	}
}

// Sites for any host are refused. Otherwise the owner of any name that points here would
// get the codes of others.
func TestSitesForAnyHostAreRefused(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"http://", "http://*.test", "http://app.test, http://*.example"} {
		site := strings.Replace(fmt.Sprintf(protected, ""), "http://app.test", address, 1)
		h := &harness{t: t, folder: t.TempDir(), logFile: filepath.Join(t.TempDir(), "log"), idpURL: "https://refused.test"}
		_, err := provision(h.caddyfile(site))
		if err == nil || !strings.Contains(err.Error(), "name them with builtin { host <name> }, or set base_url") {
			t.Errorf("%s: expected an error that says what to do, seen %v", address, err)
		}
	}
}

func TestProgramsWithAccessKeys(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(protected, `
		require group ci
		application {
			access_keys builtin
		}
	`))
	h.operate("application/add", map[string]any{"name": "robot", "groups": []string{"ci"}}, nil)
	var key struct{ ID, Key string }
	h.operate("key/add", map[string]any{"application": "robot"}, &key)
	use := func() (int, string) { return h.browser().program(appURL+"/api", key.Key) }
	if status, body := use(); status != http.StatusOK || !strings.Contains(body, "application sees key/robot") {
		t.Errorf("expected the application to see key/robot, seen status %d: %s", status, body)
	}
	h.operate("key/remove", map[string]any{"application": "robot", "id": key.ID}, nil)
	h.soon("the key is worth nothing", func() bool { status, _ := use(); return status == http.StatusUnauthorized })
}

// Two nodes share a database: either continues the other's logins, and sessions end at
// both.
func TestTwoNodesWithOneDatabase(t *testing.T) {
	t.Parallel()
	folder := folderOf(t)
	one := newNode(t, folder, fmt.Sprintf(protected, ""))
	two := newNode(t, folder+"/.", fmt.Sprintf(protected, ""))
	one.addUser("alice")
	b := one.browser()
	b.get(appURL+"/").submit("username", "alice").expect(`name="password"`)
	b.moveTo(two)
	b.submit("password", password).at(appURL).expect("application sees alice")
	b.moveTo(one)
	b.get(appURL + "/").at(appURL).expect("application sees alice")
	two.operate("user/lock", map[string]any{"user": "alice"}, nil)
	one.soon("the session ends at the first node", func() bool { return b.get(appURL+"/").address.Host != "app.test" })
}

// A database that cannot be opened causes 503, not a failed sign-in, and ends no session at
// a site.
func TestADatabaseThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(protected, ""))
	h.addUser("alice")
	signedIn := h.browser()
	signedIn.get(appURL + "/").signIn("alice").at(appURL)
	blocked := filepath.Join(h.folder, "blocked")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	h.database = blocked + "/accounts.db"
	h.reload(fmt.Sprintf(protected, ""))
	b := h.browser()
	b.get(h.idpURL + "/account")
	if b.status != http.StatusServiceUnavailable {
		t.Errorf("expected status 503, seen %d", b.status)
	}
	if b.header.Get("Retry-After") == "" {
		t.Error("expected Retry-After")
	}
	signedIn.get(appURL + "/").at(appURL).expect("application sees alice")
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	h.soon("the provider opens", func() bool { return b.get(h.idpURL+"/jwks").status == http.StatusOK })
}

// A page that requires amr mfa causes a step-up with the second factor. A user without a
// factor can set one up, and gets 403 otherwise.
func TestARuleAboutMethodsAsksForASecondFactor(t *testing.T) {
	t.Parallel()
	h := newHarness(t, fmt.Sprintf(protected, `
		private /money/* {
			require amr mfa
		}
	`))
	h.addUser("alice")
	h.addUser("bob")
	b := h.browser()
	b.get(appURL + "/").signIn("alice").at(appURL).expect("application sees alice")
	// The seed of RFC 4226, appendix D.
	h.operate("user/add-token", map[string]any{"user": "alice", "seed": "3132333435363738393031323334353637383930"}, nil)
	b.get(appURL+"/money/now").at(h.idpURL).submit("code", "755224").at(appURL + "/money/now").expect("application sees alice")
	b.get(appURL + "/money/then").at(appURL + "/money/then").expect("application sees alice")

	other := h.browser()
	other.get(appURL + "/").signIn("bob").at(appURL).expect("application sees bob")
	other.get(appURL + "/money/now").at(h.idpURL).expect("Set up a second factor").submit()
	if other.at(appURL); other.status != http.StatusForbidden {
		t.Errorf("expected status 403 for a user without a factor, seen %d:\n%s", other.status, other.body)
	}
}
