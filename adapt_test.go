package oidcrp_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

var update = flag.Bool("update", false, "write what the adapter says into testdata/adapt; review it")

const goldenSeparator = "\n----------\n"

// golden is a file of testdata/adapt: a Caddyfile, a line of dashes, and either the
// expected JSON or the text of the error.
type golden struct {
	name, path, caddyfile, expected string
}

func (g golden) refused() bool { return !strings.HasPrefix(g.expected, "{") }

func goldens(t testing.TB) (all []golden) {
	t.Helper()
	paths, err := filepath.Glob("testdata/adapt/*.caddyfiletest")
	if err != nil {
		t.Fatal(err)
	}
	if len(paths) == 0 {
		t.Fatal("expected golden files, seen none")
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(data), "\r\n", "\n")
		input, expected, found := strings.Cut(text, goldenSeparator)
		if !found {
			t.Fatalf("%s has no line of dashes", path)
		}
		name := strings.TrimSuffix(filepath.Base(path), ".caddyfiletest")
		all = append(all, golden{name, path, input + "\n", strings.TrimSpace(expected)})
	}
	return all
}

func TestAdapt(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.name, func(t *testing.T) {
			if *update {
				g.write(t)
				return
			}
			if formatted := caddyfile.Format([]byte(g.caddyfile)); string(formatted) != g.caddyfile {
				t.Errorf("not as caddy fmt writes it:\n%s", formatted)
			}
			got, err := adapted(g.caddyfile)
			switch {
			case err != nil && !g.refused():
				t.Fatalf("refused: %v", err)
			case err == nil && g.refused():
				t.Fatalf("adapted to\n%s", got)
			case err != nil:
				g.checkError(t, err)
			case got != g.expected:
				t.Errorf("got\n%s\nwant\n%s", got, g.expected)
			}
			if again, errAgain := adapted(g.caddyfile); again != got || fmt.Sprint(errAgain) != fmt.Sprint(err) {
				t.Errorf("and then it became %q, %v", again, errAgain)
			}
		})
	}
}

var filePlace = regexp.MustCompile(`Caddyfile:\d+\b`)

// checkError checks that the error is the expected one, and that it names the place.
func (g golden) checkError(t *testing.T, err error) {
	t.Helper()
	if !filePlace.MatchString(g.expected) {
		t.Errorf("the expectation names no line: %q", g.expected)
	}
	if err.Error() != g.expected {
		t.Errorf("expected the error\n%s\nseen\n%s", g.expected, err)
	}
}

func (g golden) write(t *testing.T) {
	input := string(caddyfile.Format([]byte(g.caddyfile)))
	got, err := adapted(input)
	if err != nil {
		got = err.Error()
	}
	if err := os.WriteFile(g.path, []byte(strings.TrimSuffix(input, "\n")+goldenSeparator+got+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// adapted returns the tab-indented JSON of a Caddyfile.
func adapted(text string) (string, error) {
	config, err := adapt(text)
	if err != nil {
		return "", err
	}
	var indented bytes.Buffer
	err = json.Indent(&indented, config, "", "\t")
	return indented.String(), err
}

// TestEveryOptionRefusesTheWrongArguments covers every option that exists, including
// options that are added later.
func TestEveryOptionRefusesTheWrongArguments(t *testing.T) {
	t.Parallel()
	provider, session := slices.Sorted(maps.Keys(oidcrp.ProviderOptions)), slices.Sorted(maps.Keys(oidcrp.SessionOptions))
	for _, place := range []struct {
		name  string
		frame frame
		words []string
	}{
		{"site", inSite, []string{
			"default_provider", "unauthenticated", "preflight", "error_pages", "upstream", "home", "return_to", "signed_out", "endpoints",
			"logout_path", "base_url", "pages", "session", "clear_site_data",
		}},
		{"shorthand", inSite, provider},
		{"own provider", inProvider, provider},
		{"shared provider", inGlobalProvider, provider},
		{"session", inGlobalSession, session},
		{"session of a site", inSession, session},
		{"cookie", inGlobalCookie, []string{"domain", "same_site", "partitioned", "insecure", "transient"}},
	} {
		for _, word := range place.words {
			right, wrong := uses(word, strings.HasPrefix(place.name, "session"))
			for _, use := range wrong {
				text, first := place.frame.with(use.text)
				_, err := adapt(text)
				if err == nil {
					t.Errorf("%s: %q: expected an error, seen none", place.name, use.text)
					continue
				}
				if at := fmt.Sprintf(", at Caddyfile:%d", first+use.line); !strings.HasSuffix(err.Error(), at) {
					t.Errorf("%s: %q: expected an error%s, seen %v", place.name, use.text, at, err)
				}
				if strings.Contains(err.Error(), "unrecognized option") {
					t.Errorf("%s: %q: expected the option to be known, seen %v", place.name, use.text, err)
				}
			}
			// If the option lacks something else in its block, the error names another
			// line.
			text, first := place.frame.with(right)
			_, err := adapt(text)
			if at := fmt.Sprintf(", at Caddyfile:%d", first); err != nil && strings.HasSuffix(err.Error(), at) {
				t.Errorf("%s: %q is refused: %v", place.name, right, err)
			}
		}
	}
}

// use is a way to write an option. The error about it must name the line that is line
// lines below the first.
type use struct {
	text string
	line int
}

// uses returns one right and several wrong ways to write an option.
func uses(word string, ofSession bool) (right string, wrong []use) {
	value := cmp.Or(map[string]string{
		"unauthenticated": "deny", "preflight": "pass", "error_pages": "caddy", "home": "/a", "signed_out": "/a", "endpoints": "/a",
		"logout_path": "/a", "return_to": "https://a.example", "base_url": "https://a.example", "userinfo": "never", "userinfo_method": "post", "access_token_lifetime": "1h", "redirect_path": "/a",
		"id_token_algs": "ES256", "pkce": "off", "end_session": "off", "refresh": "on", "clock_skew": "1m", "timeout": "1m", "client_auth": "none", "response_mode": "query", "request_object": "signed", "dpop": "auto", "profile": "fapi2",
		"store": "cookie", "lifetime": "1h", "idle_timeout": "1h", "rotate": "1d", "max_chunks": "2", "same_site": "lax",
		"secret": "0123456789-0123456789-0123456789", "clear_site_data": "cache",
	}[word], "x")
	block := map[string]string{
		"upstream": "access_token", "session": "lifetime 1h", "tls": "ca a", "claims": "a b", "authorization_params": "a b", "token_params": "a b",
	}[word]
	switch {
	case slices.Contains([]string{"insecure", "disabled", "email_trusted", "login_is_auth_time", "partitioned", "transient"}, word):
		return word, []use{{word + "\n" + word, 1}, {word + " x", 0}}
	case word == "builtin":
		return word, []use{{word + "\n" + word, 1}, {word + " x", 0}, {word + ` {
			host *.example
		}`, 1}, {word + ` {
			host
		}`, 1}}
	case word == "recheck":
		return "recheck 15m 1h", []use{{`recheck 15m
		recheck 15m`, 1}, {"recheck", 0}, {"recheck 15m 1h 1h", 0}, {"recheck often", 0}, {"recheck 15m off", 0}, {"recheck off 1h", 0}, {`recheck ""`, 0}}
	case block != "" && !(word == "claims" && ofSession):
		block = ` {
			` + block + `
		}`
		return word + block, []use{{word + block + `
		` + word + block, 3}, {word + " x" + block, 0}, {word, 0}, {word + ` {
		}`, 1}}
	}
	if word == "client_auth" { // some methods have a block
		wrong = append(wrong, use{word + ` client_secret_jwt {
			audience x
		}`, 1}, use{word + ` none {
			audience issuer
		}`, 1})
	}
	right = word + " " + value
	wrong = append(wrong, []use{{right + "\n" + right, 1}, {right + " " + value, 0}, {word + ` ""`, 0}}...)
	if word != "cookie" {
		wrong = append(wrong, use{word, 0})
	}
	return right, wrong
}

// FuzzCaddyfile checks that a Caddyfile always adapts to the same JSON or fails, and
// that Caddy reads this JSON without an unknown member and writes it back unchanged.
func FuzzCaddyfile(f *testing.F) {
	for i, g := range goldens(f) {
		if i%8 == 0 { // tests cover the others
			f.Add(g.caddyfile)
		}
	}
	f.Add("a.example {\n\toidc_rp {\n\t\tissuer https://op.example\n\t\tclient_id rp\n\t\trequire any {\n\t\t\tgroup a\n\t\t}\n\t}\n}\n")
	f.Add("{\n\toidc_rp {\n\t\tsession {\n\t\t\trecheck off\n\t\t}\n\t}\n}\n:80 {\n\toidc_rp /x\n}\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "import") || !utf8.ValidString(text) {
			return // other files, and what JSON cannot hold
		}
		got, err := adapted(text)
		// If a Caddyfile has two errors of Caddy's own, Caddy may return either of
		// them.
		if again, errAgain := adapted(text); again != got || (errAgain == nil) != (err == nil) {
			t.Errorf("%q: and then it became %q, %v", text, again, errAgain)
		}
		if err != nil {
			return
		}
		for _, raw := range handlersIn(t, []byte(got)) {
			var h oidcrp.Handler
			if err := caddy.StrictUnmarshalJSON(raw, &h); err != nil {
				t.Fatalf("%q: expected JSON of the handler, seen %v of %s", text, err, raw)
			}
			want, err := compactJSON(raw)
			if err != nil {
				t.Fatal(err)
			}
			written, err := json.Marshal(&h)
			if err != nil {
				t.Fatal(err)
			}
			if same, err := compactJSON(written); err != nil || same != want {
				t.Errorf("%q: %s comes back as %s", text, want, same)
			}
		}
	})
}

// handlersIn returns the plugin's handlers in a configuration, without the member that
// names their module.
func handlersIn(t testing.TB, config []byte) (found []json.RawMessage) {
	t.Helper()
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, element := range v {
				walk(element)
			}
		case map[string]any:
			if v["handler"] == "oidc_rp" {
				own := maps.Clone(v)
				delete(own, "handler")
				raw, err := json.Marshal(own)
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, raw)
			}
			for _, member := range v {
				walk(member)
			}
		}
	}
	var all any
	decoder := json.NewDecoder(bytes.NewReader(config))
	decoder.UseNumber() // durations are large numbers
	if err := decoder.Decode(&all); err != nil {
		t.Fatal(err)
	}
	walk(all)
	return found
}

// compactJSON returns JSON with sorted members and without spaces.
func compactJSON(raw []byte) (string, error) {
	var v any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&v); err != nil {
		return "", err
	}
	text, err := json.Marshal(v)
	return string(text), err
}
