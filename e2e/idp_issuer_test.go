package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// idpCaddy is Caddy with the identity provider.
var idpCaddy = &program{name: "caddy-idp", dir: "cmd/caddy", pkg: "./idp", race: true, made: "E2E_CADDY_IDP"}

// An issuer is a Caddy with the identity provider whose relying parties are other
// programs. Its host is localhost, over plain HTTP; the relying parties are at 127.0.0.1,
// which is another site to browsers.
type issuer struct {
	*world
	url string
}

const (
	issuerPassword = "a long sentence for ada 41"
	clientSecret   = "wiki-secret-0123456789abcdef0123456789abcdef"
)

// startIssuer starts an issuer with the user ada, who is in the groups staff and wiki.
// options are lines of the global option oidc_idp.
func startIssuer(t *testing.T, options string) *issuer {
	t.Helper()
	i := newIssuer(t)
	i.start(options)
	return i
}

// newIssuer reserves the port; start starts Caddy.
func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{url: fmt.Sprintf("http://localhost:%d", freePort(t))}
	i.world = &world{t: t, op: &provider{issuer: i.url}, base: "none:", storage: t.TempDir(), secrets: &canaries{}}
	i.caddy = newNode(t, i.storage, "CLIENT_SECRET="+clientSecret)
	i.caddy.program = idpCaddy
	i.secrets.add("password", issuerPassword)
	i.secrets.add("client secret", clientSecret)
	t.Cleanup(func() { i.secrets.checkLogs(t, i.caddy) })
	return i
}

func (i *issuer) start(options string) {
	i.t.Helper()
	i.caddy.start(i.caddy.caddyfile(fmt.Sprintf(`
	oidc_idp {
		issuer %s
		%s
	}`, i.url, options), fmt.Sprintf(`
%s {
	bind 127.0.0.1
	log
	oidc_idp
}
`, i.url)))
	i.t.Cleanup(func() { i.secrets.checkAdmin(i.t, i.caddy) })
	i.addAda()
}

func (i *issuer) addAda() {
	i.t.Helper()
	i.operate(issuerPassword, "user", "add", "ada", "--password-stdin", "--email", "ada@example.com", "--email-verified", "--display-name", "Ada L.", "--groups", "staff,wiki")
}

// operate runs an operator's command on a node, with one line on its standard input.
func (n *node) operate(line string, args ...string) string {
	n.t.Helper()
	var output []byte
	var err error
	// Caddy answers before its identity provider can serve.
	eventually(n.t, 30*time.Second, "the identity provider is open", func() bool {
		command := exec.Command(n.program.path(n.t), append(append([]string{"oidc-idp"}, args...), "--address", fmt.Sprintf("127.0.0.1:%d", n.admin))...)
		command.Env = append(os.Environ(), n.env...)
		command.Stdin = strings.NewReader(line + "\n")
		output, err = command.CombinedOutput()
		return err == nil || !bytes.Contains(output, []byte("503"))
	})
	if err != nil {
		n.t.Fatalf("caddy oidc-idp %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return string(output)
}

func (i *issuer) operate(line string, args ...string) string {
	i.t.Helper()
	return i.caddy.operate(line, args...)
}

// refreshTag is how a page after a form leads to another site. The page's policy would
// have to name the target of a redirect.
var refreshTag = regexp.MustCompile(`<meta http-equiv="refresh" content="0; url=([^"]*)">`)

// gone follows the pages that lead on by themselves.
func (p *page) gone() *page {
	p.b.t.Helper()
	for range 5 {
		to := refreshTag.FindStringSubmatch(p.body)
		if to == nil {
			return p
		}
		p = p.follow(html.UnescapeString(to[1]))
	}
	p.b.t.Fatalf("expected a page that stays, seen:%s", p)
	return nil
}

// formWith returns the form with this field.
func (p *page) formWith(field string) form {
	p.b.t.Helper()
	for _, f := range p.forms() {
		if f.fields.Has(field) || f.hasButton(p, field) {
			return f
		}
	}
	p.b.t.Fatalf("expected a form with the field %s, seen:%s", field, p)
	return form{}
}

// hasButton reports whether a button of the page's form has this name.
func (form) hasButton(p *page, name string) bool {
	return strings.Contains(p.body, `type="submit" name="`+name+`"`)
}

// proves signs in at the issuer with name and password, and follows the pages after it.
func (i *issuer) proves(p *page, name, password string) *page {
	i.t.Helper()
	if !strings.HasPrefix(p.url.String(), i.url+"/signin") {
		i.t.Fatalf("expected the issuer to ask, seen:%s", p)
	}
	p = p.send(p.formWith("username"), "username", name).gone()
	return p.send(p.formWith("password"), "password", password).gone()
}

// tokens sends a token request as the client wiki and returns the refresh token.
func (i *issuer) tokens(t *testing.T, client *http.Client, fields string) (refresh string) {
	t.Helper()
	r := must(http.NewRequest("POST", i.url+"/token", strings.NewReader(fields)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("wiki", clientSecret)
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var got struct {
		Refresh string `json:"refresh_token"`
		Access  string `json:"access_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&got); err != nil || got.Access == "" {
		t.Fatalf("expected tokens, seen status %d, %v", answer.StatusCode, err)
	}
	i.secrets.add("access token", got.Access)
	i.secrets.add("refresh token", got.Refresh)
	return got.Refresh
}
