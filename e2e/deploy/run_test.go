package deploy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A process is a program on loopback that ends with the test.
type process struct {
	t   *testing.T
	cmd *exec.Cmd
	mu  sync.Mutex
	log bytes.Buffer
	end chan error // the result of Wait
}

func (p *process) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(text)
}

func start(t *testing.T, environment []string, program string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.CommandContext(t.Context(), program, args...), end: make(chan error, 1)}
	p.cmd.Env = append(os.Environ(), environment...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		p.end <- p.cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		<-ended // it ends because the test's context is canceled
		if t.Failed() {
			t.Logf("%s wrote\n%s", program, p.log.String())
		}
	})
	return p
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// get returns the status and the body of a response, or status 0 without one.
func get(t *testing.T, address string, header ...string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(body)
}

// soon waits until a response has this status.
func soon(t *testing.T, address string, want int) {
	t.Helper()
	var status int
	var body string
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if status, body = get(t, address); status == want {
			return
		}
	}
	t.Fatalf("%s: expected status %d within two minutes, seen %d %q", address, want, status, body)
}

// An instance is a Caddy with the manifest's Caddyfile, changed to hosts on loopback.
type instance struct {
	*process
	site, health, admin string
	delay, grace        time.Duration
}

func replace(t *testing.T, text, old, new string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("expected %q in\n%s", old, text)
	}
	return strings.ReplaceAll(text, old, new)
}

func startInstance(t *testing.T, redis int) *instance {
	t.Helper()
	program := caddy(t)
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "the application") }))
	t.Cleanup(application.Close)
	site, health, admin, down := freePort(t), freePort(t), freePort(t), freePort(t)
	i := &instance{
		site: fmt.Sprintf("http://127.0.0.1:%d", site), health: fmt.Sprintf("http://127.0.0.1:%d/healthz", health),
		admin: fmt.Sprintf("http://127.0.0.1:%d", admin), delay: 20 * time.Second, grace: 2 * time.Second,
	}
	text := kubernetes(t).configs["caddy-oidc"].Data["Caddyfile"]
	for old, new := range map[string]string{
		"shutdown_delay 10s":    "shutdown_delay " + i.delay.String(),
		"grace_period 20s":      "grace_period " + i.grace.String(),
		"servers :8080 {":       fmt.Sprintf("servers 127.0.0.1:%d {", site),
		"\n:8080 {":             fmt.Sprintf("\n:%d {\n\tbind 127.0.0.1", site),
		"\n:8081 {":             fmt.Sprintf("\n:%d {\n\tbind 127.0.0.1", health),
		"https://login.":        fmt.Sprintf("http://127.0.0.1:%d/login.", down),
		"caddy-oidc-redis:6379": fmt.Sprintf("127.0.0.1:%d", redis),
		"app:3000":              application.Listener.Addr().String(),
	} {
		text = replace(t, text, old, new)
	}
	folder := t.TempDir()
	config := filepath.Join(folder, "Caddyfile")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	i.process = start(t, []string{
		"XDG_DATA_HOME=" + folder, "XDG_CONFIG_HOME=" + folder, fmt.Sprintf("CADDY_ADMIN=127.0.0.1:%d", admin),
		"OIDC_CLIENT_ID=an id", "OIDC_CLIENT_SECRET=a secret", "SESSION_SECRET=" + strings.Repeat("s", 64), "REDIS_PASSWORD=a password",
	}, program, "run", "--config", config)
	soon(t, i.health, http.StatusOK)
	return i
}

// TestProbesPassWhileOthersAreDown checks that neither the readiness probe nor the
// image's health check fails while the provider or Redis is down.
func TestProbesPassWhileOthersAreDown(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("redis-server is missing: %v", err)
	}
	redis := freePort(t)
	i := startInstance(t, redis) // neither the provider nor Redis is running
	check := match(t, "deploy/Dockerfile", `wget -q -O /dev/null http://127\.0\.0\.1:2019(\S+)`)
	works := func(when string) {
		t.Helper()
		for _, address := range []string{i.health, i.admin + check} {
			if status, body := get(t, address); status != http.StatusOK {
				t.Errorf("%s, %s: expected status 200, seen %d %q", when, address, status, body)
			}
		}
	}
	works("before there is a provider or Redis")
	page := []string{"Accept", "text/html", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}
	if status, body := get(t, i.site+"/", page...); status != http.StatusServiceUnavailable {
		t.Errorf("a page: expected status 503, seen %d %q", status, body)
	}
	works("after a page that could not be served")

	start(t, nil, program, "--port", fmt.Sprint(redis), "--bind", "127.0.0.1", "--save", "", "--requirepass", "a password", "--dir", t.TempDir())
	soon(t, i.site+"/", http.StatusUnauthorized) // the answer to a program, which needs no provider
	works("with Redis")
}

// TestAnInstanceThatEndsSaysSoFirst checks that probes take an ending instance out of
// rotation while it still answers requests, and that it ends in time.
func TestAnInstanceThatEndsSaysSoFirst(t *testing.T) {
	t.Parallel()
	i := startInstance(t, freePort(t))
	before, body := get(t, i.site+"/")
	if before == 0 {
		t.Fatalf("expected a response of the site, seen %s", body)
	}
	began := time.Now()
	if err := i.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	soon(t, i.health, http.StatusServiceUnavailable)
	if late := time.Since(began); late > i.delay {
		t.Errorf("expected that probes know at once, seen %v", late)
	}
	if status, body := get(t, i.site+"/"); status != before {
		t.Errorf("while the instance ends: expected status %d, as before, seen %d %q", before, status, body)
	}
	select {
	case err := <-i.end:
		if err != nil {
			t.Errorf("expected a good end, seen %v", err)
		}
	case <-time.After(i.delay + i.grace + time.Minute):
		t.Error("the instance does not end")
	}
	if took := time.Since(began); took < i.delay {
		t.Errorf("expected that the instance goes on for %v, seen that it ended after %v", i.delay, took)
	}
}

// TestTheApplicationOfComposeAnswers checks that the sample application in compose.yaml
// greets the user.
func TestTheApplicationOfComposeAnswers(t *testing.T) {
	t.Parallel()
	program, port := caddy(t), freePort(t)
	command := slices.Clone(compose(t).Services["app"].Command)
	at := slices.Index(command, ":3000")
	if at < 0 || command[0] != "caddy" {
		t.Fatalf("expected caddy on port 3000, seen %q", command)
	}
	command[at] = fmt.Sprintf("127.0.0.1:%d", port)
	start(t, []string{"XDG_DATA_HOME=" + t.TempDir(), "XDG_CONFIG_HOME=" + t.TempDir()}, program, command[1:]...)
	address := fmt.Sprintf("http://127.0.0.1:%d/", port)
	soon(t, address, http.StatusOK)
	if _, body := get(t, address, "X-User", "alice"); body != "Hello, alice\n" {
		t.Errorf("expected a greeting of alice, seen %q", body)
	}
}
