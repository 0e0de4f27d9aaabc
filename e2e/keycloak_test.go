package e2e

import (
	"bytes"
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Keycloak needs half a minute of processor time to start, so all journeys share one
// process, which ends with the test binary. Each provider is a realm with its own users,
// keys, and sessions.
const keycloak = "keycloak"

// A keycloakServer is the process that all journeys share.
type keycloakServer struct {
	once  sync.Once
	err   error
	child *process
	port  int

	mu      sync.Mutex
	token   string // of the admin API
	expires time.Time
}

var theKeycloak keycloakServer

const keycloakAdmin = "admin-of-the-tests"

// start starts the process or waits until it has started.
func (k *keycloakServer) start(t testing.TB) {
	t.Helper()
	needFile(t, "idps/keycloak/.dist/installed")
	k.once.Do(func() { k.err = k.launch(t) })
	if k.err != nil {
		t.Fatalf("Keycloak: %v", k.err)
	}
	if !k.child.running() {
		t.Fatalf("Keycloak has ended:\n%s", k.child.log.tail(20))
	}
}

// launch runs Java with the options that kc.sh would set. kc.sh itself would leave its
// child running when it is killed.
func (k *keycloakServer) launch(t testing.TB) (err error) {
	t.Helper()
	java, err := exec.LookPath("java")
	if err != nil {
		return err
	}
	installed, err := filepath.Abs("idps/keycloak/.dist/home")
	if err != nil {
		return err
	}
	// Keycloak writes below its home directory. Another run of the tests may share the
	// installation.
	home := filepath.Join(bin, keycloak)
	if err := os.Mkdir(home, 0o700); err != nil {
		return err
	}
	for _, part := range []string{"bin", "conf", "lib", "providers", "themes", "version.txt"} {
		if err := os.Symlink(filepath.Join(installed, part), filepath.Join(home, part)); err != nil {
			return err
		}
	}
	k.port = freePort(t)
	env := []string{"KC_BOOTSTRAP_ADMIN_USERNAME=" + keycloakAdmin, "KC_BOOTSTRAP_ADMIN_PASSWORD=" + keycloakAdmin}
	began := time.Now()
	k.child, err = launch(keycloak, env, java,
		"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xms64m", "-Xmx512m", "-XX:MaxMetaspaceSize=256m", "-XX:+ExitOnOutOfMemoryError",
		"-Dfile.encoding=UTF-8", "-Djava.security.egd=file:/dev/urandom", "-Djava.io.tmpdir="+bin,
		"-Djava.util.concurrent.ForkJoinPool.common.threadFactory=io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory",
		"--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.util.concurrent=ALL-UNNAMED", "--add-opens=java.base/java.security=ALL-UNNAMED",
		"-Dkc.home.dir="+home, "-Djboss.server.config.dir="+home+"/conf", "-Djava.util.logging.manager=org.jboss.logmanager.LogManager", "-Dpicocli.disable.closures=true",
		"-cp", home+"/lib/quarkus-run.jar", "io.quarkus.bootstrap.runner.QuarkusEntryPoint",
		"start", "--optimized", "--cache=local", "--http-enabled=true", "--http-host=127.0.0.1", fmt.Sprintf("--http-port=%d", k.port), "--hostname-strict=false", "--log-level=warn")
	if err != nil {
		return err
	}
	const limit = 10 * time.Minute // for a slow or busy machine
	for {
		if _, err = k.ask(http.MethodGet, "/serverinfo", nil); err == nil {
			t.Logf("Keycloak has started in %v", time.Since(began).Round(time.Second))
			return nil
		}
		if !k.child.running() || time.Since(began) > limit {
			return fmt.Errorf("it does not answer: %w\n%s", err, k.child.log.tail(20))
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// bearer returns a token for the admin API. Tokens are valid for a minute.
func (k *keycloakServer) bearer() (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if time.Now().Before(k.expires) {
		return k.token, nil
	}
	answer, err := http.PostForm(fmt.Sprintf("http://localhost:%d/realms/master/protocol/openid-connect/token", k.port),
		url.Values{"grant_type": {"password"}, "client_id": {"admin-cli"}, "username": {keycloakAdmin}, "password": {keycloakAdmin}})
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	var given struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&given); err != nil || given.AccessToken == "" {
		return "", cmp.Or(err, fmt.Errorf("the admin's token endpoint answers %d", answer.StatusCode))
	}
	k.token, k.expires = given.AccessToken, time.Now().Add(30*time.Second)
	return k.token, nil
}

var errNotFound = errors.New("status 404")

// ask calls the admin API. path is relative to /admin.
func (k *keycloakServer) ask(method, path string, body any) (answer []byte, err error) {
	token, err := k.bearer()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest(method, fmt.Sprintf("http://localhost:%d/admin%s", k.port, path), bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer got.Body.Close()
	answer, err = io.ReadAll(got.Body)
	switch {
	case err != nil:
		return nil, err
	case got.StatusCode == http.StatusNotFound:
		return nil, errNotFound
	case got.StatusCode >= 300:
		return nil, fmt.Errorf("%s %s answers %d: %.300s", method, path, got.StatusCode, answer)
	}
	return answer, nil
}

// realm returns the name of the provider's realm.
func (p *provider) realm() string { return fmt.Sprintf("e2e-%d", p.port) }

// startKeycloak creates the provider's realm, and deletes an earlier one. It returns the
// provider's part of the shared process.
func (p *provider) startKeycloak(t testing.TB) (child *process, port int) {
	t.Helper()
	k := &theKeycloak
	k.start(t)
	ask := func(method, path string, body any) {
		t.Helper()
		if _, err := k.ask(method, path, body); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := k.ask(http.MethodDelete, "/realms/"+p.realm(), nil); err != nil && !errors.Is(err, errNotFound) {
		t.Fatal(err)
	}
	text, err := os.ReadFile("idps/keycloak/realm.json")
	if err != nil {
		t.Fatal(err)
	}
	var realm object
	if err := json.Unmarshal(text, &realm); err != nil {
		t.Fatal(err)
	}
	realm["realm"] = p.realm()
	realm["components"] = object{"org.keycloak.keys.KeyProvider": keycloakKeys(t)}
	ask(http.MethodPost, "/realms", realm)

	// The scope groups, which every client created below may request.
	scope := fmt.Sprintf("00000000-0000-4000-8000-%012d", p.port)
	ask(http.MethodPost, "/realms/"+p.realm()+"/client-scopes", object{
		"id": scope, "name": "groups", "protocol": "openid-connect",
		"protocolMappers": []object{{
			"name": "groups", "protocol": "openid-connect", "protocolMapper": "oidc-group-membership-mapper",
			"config": object{"claim.name": "groups", "full.path": "false", "id.token.claim": "true", "access.token.claim": "false", "userinfo.token.claim": "true"},
		}},
	})
	ask(http.MethodPut, "/realms/"+p.realm()+"/default-optional-client-scopes/"+scope, nil)
	for _, client := range []object{
		p.keycloakClient("rp", rpSecret, ""),
		p.keycloakClient("rp-post", rpSecret, ""),
		p.keycloakClient("rp-bcl", rpSecret, p.uris("backchannel-logout")[0]),
		p.keycloakClient("rp-public", "", ""),
	} {
		ask(http.MethodPost, "/realms/"+p.realm()+"/clients", client)
	}
	return partOf(t, k.child), k.port
}

// keycloakClient returns a client in the form of the admin API.
func (p *provider) keycloakClient(id, secret, backchannel string) object {
	attributes := object{"pkce.code.challenge.method": "S256", "post.logout.redirect.uris": strings.Join(p.uris("signedout"), "##")}
	if backchannel != "" {
		attributes["backchannel.logout.url"], attributes["backchannel.logout.session.required"] = backchannel, "true"
	}
	return object{
		"clientId": id, "secret": secret, "publicClient": secret == "", "standardFlowEnabled": true, "frontchannelLogout": false,
		"redirectUris": p.uris("code"), "attributes": attributes,
		"protocolMappers": []object{{
			"name": "amr", "protocol": "openid-connect", "protocolMapper": "oidc-amr-mapper",
			"config": object{"id.token.claim": "true", "access.token.claim": "false"},
		}},
	}
}

// keycloakKeys returns keys for a realm. Keycloak would take ten times as long to create
// them.
func keycloakKeys(t testing.TB) []object {
	t.Helper()
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))})
	priority := []string{"100"}
	return []object{
		{"name": "rsa", "providerId": "rsa", "config": object{"privateKey": []string{string(private)}, "algorithm": []string{"RS256"}, "priority": priority}},
		{"name": "hmac", "providerId": "hmac-generated", "config": object{"algorithm": []string{"HS512"}, "priority": priority}},
		{"name": "aes", "providerId": "aes-generated", "config": object{"priority": priority}},
	}
}

// A named is an object of a realm.
type named struct{ ID, Name string }

// keycloakList reads a list of the realm's objects.
func (p *provider) keycloakList(t testing.TB, path string) (all []named) {
	t.Helper()
	answer, err := theKeycloak.ask(http.MethodGet, "/realms/"+p.realm()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(answer, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// keycloakUser returns the path of a user in the admin API.
func (p *provider) keycloakUser(t testing.TB, name string) string {
	t.Helper()
	users := p.keycloakList(t, "/users?exact=true&username="+name)
	if len(users) != 1 {
		t.Fatalf("expected one user %s, seen %d", name, len(users))
	}
	return "/realms/" + p.realm() + "/users/" + users[0].ID
}

// keycloakGroups sets the groups of a user.
func (p *provider) keycloakGroups(t testing.TB, user string, groups ...string) {
	t.Helper()
	path := p.keycloakUser(t, user)
	for _, group := range p.keycloakList(t, "/groups") {
		method := http.MethodDelete
		if slices.Contains(groups, group.Name) {
			method = http.MethodPut
		}
		if _, err := theKeycloak.ask(method, path+"/groups/"+group.ID, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// endKeycloakSessions ends all sessions of a user, like an administrator.
func (p *provider) endKeycloakSessions(t testing.TB, user string) {
	t.Helper()
	if _, err := theKeycloak.ask(http.MethodPost, p.keycloakUser(t, user)+"/logout", nil); err != nil {
		t.Fatal(err)
	}
}

// oneTimePassword returns the code that a user's authenticator shows at a time (RFC
// 6238), with the secrets in realm.json.
func oneTimePassword(user string, now time.Time) string {
	secret := map[string]string{"alice": "alice-secret-of-20-by", "bob": "bob-secret-of-20-byte"}[user]
	var step [8]byte
	binary.BigEndian.PutUint64(step[:], uint64(now.Unix()/30))
	mac := hmac.New(sha1.New, []byte(secret))
	_, _ = mac.Write(step[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", binary.BigEndian.Uint32(sum[at:])&0x7fffffff%1e6)
}
