package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// An accessKey is a key that the command has created, with its line for the file.
type accessKey struct{ name, key, line string }

// newAccessKey creates a key as an operator does.
func (w *world) newAccessKey(name string, flags ...string) accessKey {
	w.t.Helper()
	out, err := exec.Command(w.caddy.program.path(w.t), append([]string{"oidc-rp", "key", "new", name}, flags...)...).Output()
	if err != nil {
		w.t.Fatalf("expected a key, seen %v", err)
	}
	found := regexp.MustCompile(`(?m)^(orp_\S+)$[\s\S]*^(` + regexp.QuoteMeta(name) + `:\S+)$`).FindSubmatch(out)
	if found == nil {
		w.t.Fatalf("expected a key and a line, seen %s", out)
	}
	w.secrets.add("access key", string(found[1]))
	return accessKey{name, string(found[1]), string(found[2])}
}

// checkAccessKey runs the command that checks a key against a file.
func (w *world) checkAccessKey(file, key string) (out string, ok bool) {
	w.t.Helper()
	check := exec.Command(w.caddy.program.path(w.t), "oidc-rp", "key", "check", file)
	check.Stdin = strings.NewReader(key + "\n")
	text, err := check.CombinedOutput()
	return string(text), err == nil
}

func writeLines(t testing.TB, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// startPrograms starts a private site with access keys. The test's own application serves
// some of its paths.
func startPrograms(t *testing.T, application http.Handler, paths string, options string) (w *world, file string) {
	t.Helper()
	app := httptest.NewServer(application)
	t.Cleanup(app.Close)
	file = filepath.Join(t.TempDir(), "keys.txt")
	writeLines(t, file, "# keys")
	w = start(t, "zitadel", site{
		before: fmt.Sprintf(`@programs path %s
	reverse_proxy @programs %s {
		header_up X-User {http.auth.user.id}
	}`, paths, app.Listener.Addr()),
		options: fmt.Sprintf(`application {
			access_keys %s
			header X-Api-Key
			basic on
		}
		%s`, file, options),
	})
	return w, file
}

// git runs git, with a credential helper that returns the key's name and the key.
func git(t *testing.T, folder string, key accessKey, args ...string) (out string, err error) {
	t.Helper()
	helper := `!f() { echo "username=$NAME"; echo "password=$KEY"; }; f`
	if key.name == "" {
		helper = ""
	}
	cmd := exec.Command("git", append([]string{"-c", "credential.helper=" + helper, "-c", "user.name=ci", "-c", "user.email=ci@example.com", "-c", "init.defaultBranch=main"}, args...)...)
	cmd.Dir = folder
	cmd.Env = append(os.Environ(), "NAME="+key.name, "KEY="+key.key, "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "HOME="+folder)
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// git clones and pushes over HTTP, with an access key as the password.
func TestGitWithAnAccessKey(t *testing.T) {
	projects := t.TempDir()
	mustGit := func(folder string, args ...string) {
		t.Helper()
		if out, err := git(t, folder, accessKey{}, args...); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	mustGit(projects, "init", "-q", "--bare", "repo.git")
	mustGit(filepath.Join(projects, "repo.git"), "config", "http.receivepack", "true")
	var mu sync.Mutex
	var told []string
	backend := &cgi.Handler{Path: "/usr/lib/git-core/git-http-backend", Root: "/git", Env: []string{"GIT_PROJECT_ROOT=" + projects, "GIT_HTTP_EXPORT_ALL=1"}}
	w, file := startPrograms(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		told = append(told, r.Header.Get("X-User")+r.Header.Get("Authorization"))
		mu.Unlock()
		backend.ServeHTTP(rw, r)
	}), "/git/*", `private /git/repo.git/git-receive-pack {
			require group writers
		}`)
	writer, reader, stranger := w.newAccessKey("writer", "--groups", "writers"), w.newAccessKey("reader"), w.newAccessKey("writer")
	writeLines(t, file, writer.line, reader.line)
	eventually(t, 5*time.Second, "the file is read again", func() bool {
		_, err := git(t, t.TempDir(), writer, "ls-remote", w.base+"/git/repo.git")
		return err == nil
	})

	work := t.TempDir()
	if out, err := git(t, work, writer, "clone", "-q", w.base+"/git/repo.git"); err != nil {
		t.Fatalf("a clone: %v\n%s", err, out)
	}
	clone := filepath.Join(work, "repo")
	writeLines(t, filepath.Join(clone, "README"), "hello")
	mustGit(clone, "add", ".")
	mustGit(clone, "commit", "-q", "-m", "first")
	if out, err := git(t, clone, reader, "push", "-q", "origin", "HEAD:main"); err == nil || !strings.Contains(out, "403") {
		t.Errorf("a push of a program that may only read: expected 403, seen %v\n%s", err, out)
	}
	if out, err := git(t, clone, writer, "push", "-q", "origin", "HEAD:main"); err != nil {
		t.Errorf("a push: %v\n%s", err, out)
	}
	again := t.TempDir()
	if out, err := git(t, again, reader, "clone", "-q", "-b", "main", w.base+"/git/repo.git"); err != nil {
		t.Fatalf("a clone of another program: %v\n%s", err, out)
	}
	if text, _ := os.ReadFile(filepath.Join(again, "repo", "README")); string(text) != "hello\n" {
		t.Errorf("expected what was pushed, seen %q", text)
	}
	for name, key := range map[string]accessKey{"no key": {}, "a key that no line has": stranger, "a key under another name": {name: "reader", key: writer.key}} {
		if out, err := git(t, t.TempDir(), key, "clone", "-q", w.base+"/git/repo.git"); err == nil {
			t.Errorf("%s: expected no clone, seen one\n%s", name, out)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(told)
	if told = slices.Compact(told); !slices.Equal(told, []string{"key/reader", "key/writer"}) {
		t.Errorf("expected the application to see the names of programs and no credentials, seen %q", told)
	}
}

// Prometheus scrapes a private page with a key, in each way that it can be configured.
func TestPrometheusWithAnAccessKey(t *testing.T) {
	w, file := startPrograms(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/plain; version=0.0.4")
		fmt.Fprintf(rw, "seen{user=%q,authorization=%q} 1\n", r.Header.Get("X-User"), r.Header.Get("Authorization"))
	}), "/metrics", "")
	key := w.newAccessKey("prometheus", "--expires", "1d")
	writeLines(t, file, key.line)
	folder := t.TempDir()
	writeLines(t, filepath.Join(folder, "key"), key.key)
	writeLines(t, filepath.Join(folder, "wrong"), w.newAccessKey("prometheus").key)
	config := "global:\n  scrape_interval: 1s\nscrape_configs:\n"
	for job, credentials := range map[string]string{
		"basic":  "basic_auth: {username: prometheus, password_file: key}",
		"bearer": "authorization: {credentials_file: key}",
		"wrong":  "authorization: {credentials_file: wrong}",
		"none":   "scheme: http",
	} {
		config += fmt.Sprintf("- job_name: %s\n  %s\n  static_configs: [{targets: ['%s']}]\n", job, credentials, mustParse(w.base).Host)
	}
	writeLines(t, filepath.Join(folder, "prometheus.yml"), config)
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	spawn(t, "prometheus", nil, "prometheus/.dist/usr/bin/prometheus", "--config.file="+filepath.Join(folder, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+address)
	targets := func() (health map[string]string) {
		health = make(map[string]string)
		var said struct {
			Data struct {
				ActiveTargets []struct {
					Labels            map[string]string
					Health, LastError string
				}
			}
		}
		if readJSON("http://"+address+"/api/v1/targets", &said) != nil {
			return health
		}
		for _, target := range said.Data.ActiveTargets {
			health[target.Labels["job"]] = strings.TrimSpace(target.Health + " " + target.LastError)
		}
		return health
	}
	const refused = "down server returned HTTP status 401 Unauthorized"
	for job, expected := range map[string]string{"basic": "up", "bearer": "up", "wrong": refused, "none": refused} {
		eventually(t, 30*time.Second, job+" is "+expected, func() bool { return targets()[job] == expected })
	}
	var result struct {
		Data struct {
			Result []struct{ Metric map[string]string }
		}
	}
	eventually(t, 10*time.Second, "what was scraped is stored", func() bool {
		err := readJSON("http://"+address+"/api/v1/query?query=seen", &result)
		return err == nil && len(result.Data.Result) == 2
	})
	for _, one := range result.Data.Result {
		if user := one.Metric["user"]; user != "key/prometheus" {
			t.Errorf("expected key/prometheus, seen %q", user)
		}
		if credentials := one.Metric["authorization"]; credentials != "" {
			t.Error("expected no credentials at the application")
		}
	}
}

// readJSON decodes the JSON response of an address.
func readJSON(address string, into any) error {
	response, err := http.Get(address)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return json.NewDecoder(response.Body).Decode(into)
}

// curl sends a key in each supported place, until the key is revoked.
func TestCurlWithAnAccessKey(t *testing.T) {
	w, file := startPrograms(t, http.NotFoundHandler(), "/none", "")
	key := w.newAccessKey("script", "--groups", "readers")
	other := w.newAccessKey("other")
	curl := func(config string) (status string, user string) {
		t.Helper()
		cmd := exec.Command("curl", "-sS", "-o", "-", "-w", "\n%{http_code} %{redirect_url}", "-K", "-", w.base+"/page") // the key is not an argument
		cmd.Stdin = strings.NewReader(config)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("curl: %v", err)
		}
		body, status, _ := bytesCutLast(out)
		var app seen
		_ = json.Unmarshal(body, &app)
		if app.Headers.Get("Authorization")+app.Headers.Get("X-Api-Key") != "" {
			t.Error("expected no credentials at the application")
		}
		return strings.TrimSpace(status), app.Headers.Get("X-User")
	}
	ways := map[string]string{
		"Basic": fmt.Sprintf("user = \"script:%s\"\n", key.key), "a bearer token": fmt.Sprintf("oauth2-bearer = \"%s\"\n", key.key), "a header": fmt.Sprintf("header = \"X-Api-Key: %s\"\n", key.key),
	}
	for name, config := range ways {
		if status, _ := curl(config); status != "401" {
			t.Errorf("%s, before its line is there: expected 401, seen %s", name, status)
		}
	}
	writeLines(t, file, key.line, other.line)
	if out, ok := w.checkAccessKey(file, key.key); !ok || !strings.Contains(out, "script  readers  -        valid") {
		t.Errorf("expected the command to know the key, seen %t\n%s", ok, out)
	}
	for name, config := range ways {
		eventually(t, 5*time.Second, name+": the key lets the program in", func() bool {
			status, user := curl(config)
			return status == "200" && user == "key/script"
		})
	}
	writeLines(t, file, other.line)
	if out, ok := w.checkAccessKey(file, key.key); ok || !strings.Contains(out, "no line of the file has it") {
		t.Errorf("expected the command not to know the key, seen %t\n%s", ok, out)
	}
	for name, config := range ways {
		eventually(t, 5*time.Second, name+": the key was revoked", func() bool {
			status, _ := curl(config)
			return status == "401"
		})
	}
	if status, _ := curl(""); status != "401" {
		t.Errorf("without a key: expected 401, seen %s", status)
	}
	if err := w.caddy.reload(w.caddy.running()); err != nil {
		t.Fatal(err)
	}
	if status, user := curl(fmt.Sprintf("user = \"other:%s\"\n", other.key)); status != "200" || user != "key/other" {
		t.Errorf("after a reload: expected key/other, seen %s and %q", status, user)
	}
}

// bytesCutLast cuts a text around its last line break.
func bytesCutLast(text []byte) (before []byte, last string, ok bool) {
	i := bytes.LastIndexByte(text, '\n')
	if i < 0 {
		return text, "", false
	}
	return text[:i], string(text[i+1:]), true
}
