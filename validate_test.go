package oidcrp_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	oidcrp "github.com/caddy-oidc-rp/caddy-oidc-rp"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/unload"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/go-jose/go-jose/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// poolReferences returns the number of references to each shared value.
func poolReferences() map[any]int {
	held := make(map[any]int)
	for _, pool := range []*caddy.UsagePool{oidcrp.Discoveries, oidcrp.StorageStates} {
		var keys []any
		pool.Range(func(key, _ any) bool {
			keys = append(keys, key)
			return true
		})
		for _, key := range keys {
			held[key], _ = pool.References(key)
		}
	}
	return held
}

// holdsStill fails the test if the pools hold other values at its end than at its
// beginning.
func holdsStill(t *testing.T) {
	t.Helper()
	before := poolReferences()
	t.Cleanup(func() {
		if after := poolReferences(); !maps.Equal(before, after) {
			t.Errorf("the pools held %v and now hold %v", before, after)
		}
	})
}

// isolated returns a configuration with its own storage, without an admin endpoint and
// without a log.
func isolated(t *testing.T, config, storage string) []byte {
	t.Helper()
	var c map[string]any
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		t.Fatalf("%v: %s", err, config)
	}
	c["admin"] = map[string]any{"disabled": true}
	c["logging"] = map[string]any{"logs": map[string]any{"default": map[string]any{"writer": map[string]any{"output": "discard"}}}}
	c["storage"] = map[string]any{"module": "file_system", "root": storage}
	isolated, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	return isolated
}

// provisioned provisions a configuration, and releases it at the end of the test.
func provisioned(t *testing.T, config, storage string) *oidcrp.App {
	t.Helper()
	ctx, err := provision(isolated(t, config, storage))
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	module, err := ctx.App("oidc_rp")
	if err != nil {
		t.Fatal(err)
	}
	app := module.(*oidcrp.App)
	t.Cleanup(func() { unload.Config(ctx) })
	return app
}

// operatorsFiles creates the files that the configurations of these tests refer to, and
// sets the environment for them.
func operatorsFiles(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	next, err := json.Marshal(jose.JSONWebKey{Key: other, KeyID: "next"})
	if err != nil {
		t.Fatal(err)
	}
	another, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := jose.JSONWebKey{Key: another, KeyID: "more", Use: "enc"}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	inPEM := func(kind string, data []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
	}
	for name, text := range map[string]string{
		"ca.pem": inPEM("CERTIFICATE", certificate), "cert.pem": inPEM("CERTIFICATE", certificate), "key.pem": inPEM("PRIVATE KEY", private),
		"users.csv": `userName,active
alice,true
`, "users.txt": "alice", "keys.txt": "ci:" + strings.Repeat("0a", 32), "next.jwk": string(next), "more.jwk": string(jwk), "empty.pem": "", "pages/error.html": `{{define "content"}}<p>{{.Message}}</p>{{end}}`,
		"unclosed/error.html": `{{define "content"}}{{if .Message}}`, "unknown/confirm.html": `{{define "content"}}{{.Password}}{{end}}`,
	} {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range map[string]string{
		"FILES": filepath.ToSlash(folder), "CLIENT_ID": "rp", "CLIENT_SECRET": "s3cret-of-the-client", "PROXY": "http://user:s3cret@proxy.example.com:3128",
		"GROUP": "auditors", "TENANT": "11111111-2222-3333-4444-555555555555", "OLD_SECRET": strings.Repeat("an older s3cret ", 3), "HOST": "app.example.com", "KEY": inPEM("PRIVATE KEY", private),
	} {
		t.Setenv("OIDC_"+name, value)
	}
	return folder
}

func TestWhatIsAdaptedCanBeProvisioned(t *testing.T) {
	operatorsFiles(t)
	for _, g := range goldens(t) {
		if g.refused() {
			continue
		}
		t.Run(g.name, func(t *testing.T) {
			holdsStill(t)
			storage := filepath.Join(t.TempDir(), "absent")
			if strings.Contains(g.expected, `"builtin": {`) {
				mustRefuse(t, g.expected, "builtin: this Caddy has no identity provider; build it with")
				return
			}
			provisioned(t, g.expected, storage)
			if _, err := os.Stat(storage); !os.IsNotExist(err) {
				t.Errorf("the storage was touched: %v", err)
			}
		})
	}
}

func TestExample(t *testing.T) {
	holdsStill(t)
	text, err := os.ReadFile("example.Caddyfile")
	if err != nil {
		t.Fatal(err)
	}
	if formatted := caddyfile.Format(text); !bytes.Equal(formatted, text) {
		t.Errorf("not as caddy fmt writes it:\n%s", formatted)
	}
	for _, name := range []string{"CORP_CLIENT_ID", "CORP_CLIENT_SECRET", "PARTNERS_CLIENT_ID"} {
		t.Setenv(name, "of a test")
	}
	config, err := adapted(string(text))
	if err != nil {
		t.Fatal(err)
	}
	app := provisioned(t, config, filepath.Join(t.TempDir(), "absent"))
	if n := len(app.Handlers()); n != 5 {
		t.Errorf("expected five instances, seen %d", n)
	}
	if n := len(app.ResolvedProviders()); n != 2 {
		t.Errorf("expected two providers, seen %d", n)
	}
}

func TestAConfigurationThatFailsLateGivesEverythingBack(t *testing.T) {
	stored := fmt.Sprintf(`{"session": {"store": {"module": "storage", "storage": {"module": "file_system", "root": %q}}}}`, t.TempDir())
	for _, tc := range []struct{ name, app, routes, cause string }{
		{"in the second site", "{}", soundSite(soundProvider) + `, ` + over(t, soundSite(soundProvider), `{"home": "start"}`), "home: "},
		{"in another module", "{}", soundSite(soundProvider) + `, {"handler": "encode", "encodings": {"nothing": {}}}`, "nothing"},
		{"after a store", stored, soundSite(soundProvider) + `, ` + over(t, soundSite(soundProvider), `{"home": "start"}`), "home: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			mustRefuse(t, configOf(over(t, soundApp, tc.app), tc.routes), tc.cause)
		})
	}
}

func TestProvisioningAsksNobodyAndWritesNothing(t *testing.T) {
	holdsStill(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var connections atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			connection.Close()
		}
	}()
	issuer := "http://" + listener.Addr().String()
	storage := filepath.Join(t.TempDir(), "absent")
	provider := over(t, soundProvider, fmt.Sprintf(`{"issuer": %q}`, issuer))
	byHand := over(t, provider, fmt.Sprintf(`{"authorization_endpoint": "%[1]s/a", "token_endpoint": "%[1]s/t", "jwks_uri": "%[1]s/k", "userinfo_endpoint": "%[1]s/u"}`, issuer))
	app := provisioned(t, configOf(`{"providers": {"corp": `+provider+`, "hand": `+byHand+`}}`, `{"handler": "oidc_rp", "providers": ["corp", "hand"], "default_provider": "corp"}`), storage)
	if len(app.Handlers()) != 1 {
		t.Errorf("%d instances", len(app.Handlers()))
	}
	time.Sleep(50 * time.Millisecond) // for background work
	listener.Close()
	<-done
	if n := connections.Load(); n != 0 {
		t.Errorf("the provider got %d connections", n)
	}
	if _, err := os.Stat(storage); !os.IsNotExist(err) {
		t.Errorf("the storage was touched: %v", err)
	}
}

func TestModulesInALogShowNoSecret(t *testing.T) {
	holdsStill(t)
	t.Setenv("OIDC_CLIENT_SECRET", "s3cret of the environment")
	secrets := strings.Repeat("a long s3cret ", 4)
	provider := over(t, soundProvider, `{"authorization_params": {"resource": "https://api.example/s3cret"}, "proxy": "http://me:s3cret@proxy.example.com"}`)
	shared := over(t, provider, `{"client_secret": "{env.OIDC_CLIENT_SECRET}"}`)
	app := provisioned(t, configOf(
		`{"providers": {"corp": `+shared+`}, "session": {"secret": ["`+secrets+`"]}}`,
		over(t, soundSite(provider), `{"session": {"secret": ["`+secrets+`"]}}`)), t.TempDir())
	h := app.Handlers()[0]
	for name, encoder := range map[string]zapcore.Encoder{
		"json":    zapcore.NewJSONEncoder(zap.NewDevelopmentEncoderConfig()),
		"console": zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()),
	} {
		var out bytes.Buffer
		logger := zap.New(zapcore.NewCore(encoder, zapcore.AddSync(&out), zap.DebugLevel))
		for _, module := range []any{h, app, app.Providers["corp"], h.OwnProviders["default"]} {
			logger.Info("a module", zap.Any("module", module))
			logger.With(zap.Any("module", module)).Info("a module as context")
		}
		if strings.Contains(out.String(), "s3cret") {
			t.Errorf("%s: %s", name, &out)
		}
		for _, known := range []string{"corp", "login.example.com", "private"} {
			if !strings.Contains(out.String(), known) {
				t.Errorf("%s: nothing is printed about %s: %s", name, known, &out)
			}
		}
	}
}
