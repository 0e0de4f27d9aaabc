package integration_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/oidctest"
)

// providerOutage is a site whose provider can be unavailable when it starts.
type providerOutage struct {
	t       *testing.T
	op      *oidctest.Provider
	clock   *stopped
	storage string
	options string
}

func newRemembering(t *testing.T, extra string) *providerOutage {
	clock := stop(t)
	op := newOP(t, oidctest.Now(clock.now), oidctest.Lenient())
	return &providerOutage{t, op, clock, storageDir(t), options(op) + extra}
}

// start starts the site as a new process does, with nothing in memory.
func (s *providerOutage) start() *harness {
	s.t.Helper()
	r := newHarnessAt(s.t, s.storage, fmt.Sprintf(`http://rp.test {
		oidc_rp {
			%s
		}
		reverse_proxy {upstream} {
			header_up X-User {http.auth.user.id}
		}
	}`, s.options))
	r.at(s.clock.now)
	return r
}

// records waits for a number of files in the storage that hold metadata or keys of the
// provider.
func (s *providerOutage) records(want int) []string {
	s.t.Helper()
	var found []string
	for end := time.Now().Add(patience); len(found) != want; time.Sleep(20 * time.Millisecond) {
		found, _ = filepath.Glob(filepath.Join(s.storage, "oidc_rp", "providers", "*.*"))
		if time.Now().After(end) {
			s.t.Fatalf("expected %d records, seen %q", want, found)
		}
	}
	return found
}

// away sets whether metadata and keys are unavailable. The other endpoints still work.
func (s *providerOutage) away(is bool) {
	s.op.Lie(func(l *oidctest.Faults) {
		for _, e := range []oidctest.Endpoint{oidctest.Discovery, oidctest.JWKS} {
			l.At(e).Instead = nil
			if is {
				l.At(e).Instead = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
			}
		}
	})
}

// learned returns a site that has signed a user in and ended, with two records in the
// storage.
func learned(t *testing.T, extra string) *providerOutage {
	t.Helper()
	s := newRemembering(t, extra)
	r := s.start()
	s.records(0)
	r.signsIn()
	s.records(2)
	r.end()
	return s
}

const usesKept = "the provider does not answer; using what was fetched before"

// After a restart while the provider is down, logins begin and tokens are verified with
// the metadata and keys that were stored before.
func TestRestartWhileTheProviderIsAway(t *testing.T) {
	t.Parallel()
	for name, extra := range map[string]string{"keys of the storage": "", "a secret": `
		session {
			secret ` + strings.Repeat("s", 32) + `
		}
	`} {
		s := learned(t, extra)
		s.away(true)
		r := s.start()
		r.signsIn()
		r.signsIn()
		for _, part := range []string{"metadata", "keys"} {
			if n := len(r.logLines(map[string]string{"event": "provider_documents_stale", "of": part})); n != 1 {
				t.Errorf("%s: expected one log line that kept %s are in use, seen %d\n%s", name, part, n, r.logs())
			}
		}
		s.clock.advance(11 * time.Minute)
		r.signsIn()
		if n := strings.Count(r.logs(), usesKept); n < 4 {
			t.Errorf("%s: expected four log lines or more that something kept is in use, seen %d", name, n)
		}
		s.away(false)
		s.clock.advance(time.Minute)
		r.signsIn()
		equal(t, name+": log lines that the provider answers again", strings.Count(r.logs(), "the provider answers again"), 2)
	}
}

// Stored metadata and keys are ignored if they are too old, were changed or belong to
// another configuration.
func TestKeptMetadataThatMustNotBeUsed(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		extra  string
		change func(*testing.T, *providerOutage)
	}{
		{"a day is over", "", func(_ *testing.T, s *providerOutage) { s.clock.advance(24 * time.Hour) }},
		{"it is from the future", "", func(_ *testing.T, s *providerOutage) { s.clock.advance(-time.Hour) }},
		{"it was tampered with", "", func(t *testing.T, s *providerOutage) {
			for _, name := range s.records(2) {
				content, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				content[len(content)/2] ^= 1
				rewrite(t, name, string(content))
			}
		}},
		{"it is plain JSON", "", func(t *testing.T, s *providerOutage) {
			for _, name := range s.records(2) {
				rewrite(t, name, fmt.Sprintf(`{"fetched":%d,"document":"e30"}`, s.clock.now().Unix()))
			}
		}},
		{"the records are swapped", "", func(t *testing.T, s *providerOutage) {
			names := s.records(2)
			for _, move := range [][2]string{{names[0], names[0] + "x"}, {names[1], names[0]}, {names[0] + "x", names[1]}} {
				if err := os.Rename(move[0], move[1]); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"the options differ, the record is moved to them", "", func(t *testing.T, s *providerOutage) {
			names := s.records(2)
			s.options += "timeout 1m"
			// A second storage shows which file names belong to the new options.
			elsewhere := *s
			elsewhere.storage = storageDir(t)
			elsewhere.away(false)
			r := elsewhere.start()
			r.signsIn()
			for i, name := range elsewhere.records(2) {
				equal(required{t}, "the kind of the record", filepath.Ext(name), filepath.Ext(names[i]))
				differs(required{t}, "the name of the record", filepath.Base(name), filepath.Base(names[i]))
				if err := os.Rename(names[i], filepath.Join(filepath.Dir(names[i]), filepath.Base(name))); err != nil {
					t.Fatal(err)
				}
			}
			r.end()
			s.away(true)
		}},
		{"the secret differs", `
			session {
				secret ` + strings.Repeat("a", 32) + `
			}
		`, func(_ *testing.T, s *providerOutage) {
			s.options = strings.Replace(s.options, strings.Repeat("a", 32), strings.Repeat("b", 32), 1)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := learned(t, tc.extra)
			s.away(true)
			tc.change(t, s)
			r := s.start()
			check(t, r.browser().get("/page")).status(http.StatusServiceUnavailable)
			if strings.Contains(r.logs(), usesKept) {
				t.Error("the log says that something kept is used")
			}
		})
	}
}

// A key that the provider has withdrawn is not accepted again after a restart.
func TestWithdrawnKeyStaysWithdrawn(t *testing.T) {
	t.Parallel()
	s := newRemembering(t, "")
	r := s.start()
	r.signsIn()
	before := contentsOf(t, s.records(2))
	s.op.SetKeys(1, 1)
	s.clock.advance(16 * time.Minute)
	r.signsIn()
	for end := time.Now().Add(patience); contentsOf(t, s.records(2)) == before; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the new keys are not kept")
		}
	}
	r.end()
	s.away(true)
	r = s.start()
	r.signsIn()
	s.op.SetKeys(0, 0)
	if p := r.browser().open("/page"); p.StatusCode == http.StatusOK {
		t.Error("a token by the withdrawn key is accepted")
	}
}

func contentsOf(t *testing.T, names []string) (all string) {
	t.Helper()
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all += string(content)
	}
	return all
}

// A storage that fails causes no failed login if the login needs it for nothing else.
func TestStorageThatFailsFailsNoLogin(t *testing.T) {
	t.Parallel()
	s := newRemembering(t, `
session {
	secret `+strings.Repeat("s", 32)+`
}
`)
	if err := os.WriteFile(filepath.Join(s.storage, "oidc_rp"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := s.start()
	s.away(true)
	check(t, r.browser().get("/page")).status(http.StatusServiceUnavailable)
	s.away(false)
	s.clock.advance(time.Minute)
	if p := r.browser().get("/page"); p.StatusCode != http.StatusSeeOther && p.StatusCode != http.StatusFound {
		t.Errorf("expected a redirect to the provider, seen status %d", p.StatusCode)
	}
}
