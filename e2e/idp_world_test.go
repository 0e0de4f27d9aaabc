package e2e

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// idpProgram is Caddy with the identity provider.
var idpProgram = &program{name: "caddy-idp", dir: "cmd/caddy", pkg: "./idp", race: true}

// An idpWorld is a Caddy with the identity provider and a site that uses it, a mail
// server, and an application.
type idpWorld struct {
	t       *testing.T
	caddy   *node
	mail    *mailServer
	app     *upstream
	login   string // the issuer
	site    string // the origin of the site
	secrets *canaries
}

// An idpSite holds what differs from the smallest configuration that works.
type idpSite struct {
	global string // more lines of the option oidc_idp
	site   string // more lines of the directive oidc_rp
	more   string // more sites
}

// startIDP creates a world and starts it.
func startIDP(t *testing.T, s idpSite) *idpWorld {
	t.Helper()
	w := newIDPWorld(t)
	w.start(s)
	return w
}

// newIDPWorld reserves the ports and starts the mail server; start starts Caddy.
func newIDPWorld(t *testing.T) *idpWorld {
	t.Helper()
	w := &idpWorld{t: t, mail: startMailServer(t), app: newUpstream(t), secrets: &canaries{}}
	w.login = fmt.Sprintf("https://login.localhost:%d", freePort(t))
	w.site = fmt.Sprintf("https://app.localhost:%d", freePort(t))
	// The mail server's certificate is from the test's own authority.
	w.caddy = newNode(t, t.TempDir(), "SSL_CERT_FILE="+w.mail.authority.file, "SMTP_PASSWORD=smtp-password-0123456789")
	w.caddy.program = idpProgram
	w.secrets.add("password of the mail server", "smtp-password-0123456789")
	t.Cleanup(func() { w.secrets.checkLogs(t, w.caddy) })
	return w
}

// start starts Caddy with the identity provider, on hosts with certificates from Caddy's
// own authority. The database is empty.
func (w *idpWorld) start(s idpSite) {
	w.t.Helper()
	w.caddy.start(w.caddy.caddyfile(w.option(s), w.sites(s)+s.more))
	w.t.Cleanup(func() { w.secrets.checkAdmin(w.t, w.caddy) })
	eventually(w.t, 30*time.Second, "the identity provider serves", func() bool {
		return w.status(w.login+"/.well-known/openid-configuration") == http.StatusOK
	})
}

// status returns the status that an address of the world answers, or 0 without an answer.
// It does not verify the certificate.
func (w *idpWorld) status(address string) int {
	client := &http.Client{Timeout: busy * 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // Caddy has just created its authority
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(addr)
			if err != nil {
				return nil, err
			}
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
		},
	}}
	answer, err := client.Get(address)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

func (w *idpWorld) option(s idpSite) string {
	return fmt.Sprintf(`	oidc_idp {
		issuer %s
		mail smtps://localhost:%d {
			from "Example <login@example.com>"
			username login
			password {env.SMTP_PASSWORD}
		}
		%s
	}`, w.login, w.mail.smtp, s.global)
}

func (w *idpWorld) sites(s idpSite) string {
	return fmt.Sprintf(`
%s {
	bind 127.0.0.1
	tls internal
	log
	oidc_idp
}
%s {
	bind 127.0.0.1
	tls internal
	log
	oidc_rp {
		builtin
		%s
	}
	reverse_proxy %s {
		header_up X-User {http.auth.user.id}
		header_up X-Name {http.auth.user.name}
	}
}
`, w.login, w.site, s.site, w.app.addr())
}

// addUser adds a user with idpPassword and an email address, as operators do.
func (w *idpWorld) addUser(name string) {
	w.t.Helper()
	w.secrets.add("password", idpPassword)
	cmd := w.operator("user", "add", name, "--email", name+"@example.com", "--email-verified", "--password-stdin")
	cmd.Stdin = strings.NewReader(idpPassword + "\n")
	if text, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("adding a user: %v\n%s", err, text)
	}
}

// command runs an operator's command and returns its output.
func (w *idpWorld) command(args ...string) (string, error) {
	w.t.Helper()
	text, err := w.operator(args...).CombinedOutput()
	return string(text), err
}

func (w *idpWorld) operator(args ...string) *exec.Cmd {
	cmd := exec.Command(w.caddy.program.path(w.t), append(append([]string{"oidc-idp"}, args...), "--address", fmt.Sprintf("127.0.0.1:%d", w.caddy.admin))...)
	cmd.Env = append(os.Environ(), w.caddy.env...)
	return cmd
}

// A hand does something outside of Chromium for a journey in Chromium. The journey
// requests it from a server of the test.
type hand func(arg string) (string, error)

// hands serves the journey's requests for hands, one at a time.
func (w *idpWorld) hands(hands map[string]hand) string {
	w.t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		do := hands[strings.TrimPrefix(r.URL.Path, "/")]
		if do == nil {
			http.NotFound(rw, r)
			return
		}
		answer, err := do(r.URL.Query().Get("arg"))
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = rw.Write([]byte(answer))
	}))
	w.t.Cleanup(server.Close)
	return server.URL
}

// inIDP runs a journey from the folder browser at the identity provider and returns its
// steps by name.
func (w *idpWorld) inIDP(name string, order map[string]any) (chromiumSaw, map[string]chromiumStep) {
	w.t.Helper()
	all := map[string]any{"site": w.login, "app": w.site, "shots": shotsOf(w.t, name)}
	for key, value := range order {
		all[key] = value
	}
	saw := inChromium(w.t, name, all)
	steps := make(map[string]chromiumStep)
	for _, s := range saw.Steps {
		steps[s.Name] = s
	}
	return saw, steps
}

// user returns the user whose page of the application a step shows, or "".
func (s chromiumStep) user() string {
	var was seen
	if json.Unmarshal([]byte(s.Text), &was) != nil {
		return ""
	}
	return cmp.Or(was.Headers.Get("X-User"), "no user")
}

// at returns the path of the page that a step shows, at the site or at the identity
// provider.
func (w *idpWorld) at(s chromiumStep) string {
	u := mustParse(s.URL)
	switch u.Scheme + "://" + u.Host {
	case w.login:
		return "login " + firstSegment(u)
	case w.site:
		return "site " + u.Path
	}
	return s.URL
}

func firstSegment(u *url.URL) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	return "/" + first
}
