package integration_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clock"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

const (
	leftBehindFolder = "testdata/upgrade"
	upgradeIssuer    = "https://login.upgrade.test"
)

// leftBehind is what a version has left in browsers and in the storage.
type leftBehind struct {
	At      time.Time         `json:"at"`
	Session map[string]string `json:"session"` // the cookies of alice, who is signed in
	Out     map[string]string `json:"out"`     // of bob, before he signed out
	Revoked map[string]string `json:"revoked"` // of bob again, before an operator ended his sessions
	Login   map[string]string `json:"login"`   // of a browser that is at the provider to sign in
	Request string            `json:"request"` // the query of its authorization request
	Storage map[string][]byte `json:"storage"`
}

// upgradeKinds are the ways to store and seal sessions.
var upgradeKinds = map[string]string{
	"cookie": "store cookie",
	"secret": "secret " + strings.Repeat("golden", 8),
	"storage": `
store storage
secret ` + strings.Repeat("golden", 8),
}

// upgradeSite returns a site with a clock, and its provider.
func upgradeSite(t *testing.T, kind, storage string, now func() time.Time) (*oidctest.Provider, *harness) {
	t.Helper()
	op := newOP(t, oidctest.Now(now), oidctest.RefreshTokens())
	op.Lie(func(l *oidctest.Faults) {
		l.Discovery = func(m map[string]any) { m["issuer"] = upgradeIssuer }
		l.IDToken.Claims = func(c map[string]any) { c["iss"] = upgradeIssuer }
		l.Authorization.Params = func(q url.Values) { q.Set("iss", upgradeIssuer) }
	})
	c := clock.New()
	c.Set(now)
	return op, newHarnessOn(t, c, storage, `
http://rp.test {
	oidc_rp {
		`+optionsOfIssuer(op, upgradeIssuer)+`
		upstream {
			header X-Groups groups
			access_token
		}
		session {
			`+upgradeKinds[kind]+`
		}
	}
	reverse_proxy {upstream} {
		header_up X-User {http.auth.user.id}
	}
}
`)
}

// leaveBehind returns what this version leaves.
func leaveBehind(t *testing.T, kind string) *leftBehind {
	t.Helper()
	c, storage := stop(t), storageDir(t)
	op, r := upgradeSite(t, kind, storage, c.now)
	l := &leftBehind{At: c.now(), Storage: map[string][]byte{}}
	op.SignIn("bob")
	bob := signedIn(t, r)
	l.Out = bob.cookies()
	bob.get("/Special:UserLogout")
	l.Revoked = signedIn(t, r).cookies()
	status, _, _ := r.admin("POST", "/oidc_rp/revoke", `{"subject": "`+op.Issued().Subject+`"}`)
	equal(required{t}, "the status of the revocation", status, http.StatusOK)
	op.SignIn("alice")
	l.Session = signedIn(t, r).cookies()
	b := r.browser()
	request, err := url.Parse(b.open("/page?q=1", op.URL(oidctest.Authorize)).location())
	if err != nil {
		t.Fatal(err)
	}
	l.Login, l.Request = b.cookies(), request.RawQuery
	err = filepath.WalkDir(storage, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(storage, name)
		if err != nil || strings.HasPrefix(relative, "locks") {
			return err
		}
		l.Storage[filepath.ToSlash(relative)], err = os.ReadFile(name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// cameBack returns a site of this version with what an earlier one has left, a minute
// later, and its provider.
func (l *leftBehind) cameBack(t *testing.T, kind string) (*oidctest.Provider, *harness) {
	t.Helper()
	storage, began := storageDir(t), time.Now()
	for name, text := range l.Storage {
		name = filepath.Join(storage, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return upgradeSite(t, kind, storage, func() time.Time { return l.At.Add(time.Minute + time.Since(began)) })
}

// browserWith returns a browser with some cookies.
func (r *harness) browserWith(cookies map[string]string) *browser {
	b := r.browser()
	u, _ := url.Parse(rpURL)
	for name, value := range cookies {
		b.jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: true}})
	}
	return b
}

// TestWhatEarlierVersionsLeftBehind checks the promise of docs/upgrading.md: sessions and
// logins in progress continue, and ended sessions stay ended.
func TestWhatEarlierVersionsLeftBehind(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../VERSION")
	if err != nil {
		t.Fatal(err)
	}
	changelog, err := os.ReadFile("../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	version := strings.TrimSpace(string(text))
	if *update {
		if !strings.Contains(string(changelog), "\n## "+version+" — unreleased\n") {
			t.Fatalf("%s is released: what it has left behind is never changed", version)
		}
		for kind := range upgradeKinds {
			writeLeftBehind(t, version, kind, leaveBehind(t, kind))
		}
	}
	files, err := filepath.Glob(leftBehindFolder + "/*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for kind := range upgradeKinds {
		if !slices.Contains(files, filepath.FromSlash(leftBehindFolder+"/"+version+"/"+kind+".json")) {
			t.Errorf("expected what %s leaves behind with %s; -update writes it", version, kind)
		}
	}
	for _, name := range files {
		t.Run(filepath.ToSlash(strings.TrimPrefix(name, leftBehindFolder+"/")), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			l := new(leftBehind)
			if err := json.Unmarshal(text, l); err != nil {
				t.Fatal(err)
			}
			l.continues(t, strings.TrimSuffix(filepath.Base(name), ".json"))
		})
	}
}

func writeLeftBehind(t *testing.T, version, kind string, l *leftBehind) {
	t.Helper()
	text, err := json.MarshalIndent(l, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(leftBehindFolder, version, kind+".json")
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (l *leftBehind) continues(t *testing.T, kind string) {
	t.Helper()
	op, r := l.cameBack(t, kind)
	check(t, r.browserWith(l.Session).get("/page"), "the session").status(http.StatusOK).body("application sees alice")
	groups, _ := r.upstream.got()
	equal(t, "the groups of the session", groups.Get("X-Groups") != "", true)
	equal(t, "the access token of the session", strings.HasPrefix(groups.Get("Authorization"), "Bearer "), true)
	for what, cookies := range map[string]map[string]string{"a session that was signed out": l.Out, "a session that was revoked": l.Revoked} {
		equal(t, what+": the status", r.use(r.browserWith(cookies).cookieHeader()), http.StatusUnauthorized)
	}
	equal(t, "the logins at the provider", op.Hits(oidctest.Authorize), 0)

	p := r.browserWith(l.Login).open(op.URL(oidctest.Authorize) + "?" + l.Request)
	check(t, p, "the login in progress").status(http.StatusOK).at(rpURL + "/page?q=1").body("application sees alice")
	equal(t, "the logins at the provider", op.Hits(oidctest.Authorize), 1)

	// A session that cannot be read, such as one of a later version, leads to one login.
	unknown := maps.Clone(l.Session)
	purpose := seal.ForSession
	if kind == "storage" {
		purpose = seal.ForTicket
	}
	unknown["__Host-oidc_rp"] = chunk(r.ring().Seal(purpose, atRP.sessionAAD, []byte{250, 1, 2, 3}))
	p = r.browserWith(unknown).open("/page?q=2")
	check(t, p, "a session of an unknown format").status(http.StatusOK).at(rpURL + "/page?q=2").body("application sees alice")
	equal(t, "the logins at the provider", op.Hits(oidctest.Authorize), 2)
}
