package operator

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/authenticator"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/broker"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/mail"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/provider"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
)

// lines is a log or a mailbox.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Send implements mail.Sender.
func (l *lines) Send(_ context.Context, m mail.Message) error {
	_, err := l.Write([]byte("to " + m.To + ": " + m.Subject + "\n" + m.Body))
	return err
}

// site is an identity provider with an operator.
type site struct {
	t testing.TB
	*server.Server
	log, mails *lines
	now        time.Time
}

func newSite(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, log: new(lines), mails: new(lines), now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	issuer, err := address.ParseOrigin("https://login.example.com")
	if err != nil {
		t.Fatal(err)
	}
	clients, err := provider.NewClients(nil)
	if err != nil {
		t.Fatal(err)
	}
	set, err := authenticator.NewSet(authenticator.New("admins"))
	if err != nil {
		t.Fatal(err)
	}
	s.Server, err = server.Open(t.Context(), server.Options{
		Issuer: issuer, Name: "Example", Clients: clients, Storage: clustertest.NewLocked(), Authenticators: set, Invites: true, MailSender: s.mails,
		Database: database.Options{SQLite: filepath.Join(t.TempDir(), "accounts.db"), NoSync: true},
		Logger:   slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})), Now: func() time.Time { return s.now },
		Externals: []broker.Config{
			{ID: "github", OAuth2: &broker.OAuth2Config{Preset: "github", ClientID: "id", ClientSecret: "secret"}},
			{ID: "partners", Name: "Partners", SAML: &broker.SAMLConfig{
				EntityID: "https://idp.partners.example", Endpoint: "https://idp.partners.example/sso", Certificate: certificate(t),
			}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// certificateOnce generates the certificate of a SAML identity provider.
var certificateOnce = sync.OnceValues(func() (string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "partners"}, NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return base64.StdEncoding.EncodeToString(der), err
})

func certificate(t testing.TB) string {
	t.Helper()
	text, err := certificateOnce()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// try performs an operation with a JSON request.
func (s *site) try(operation, request string) (map[string]any, error) {
	s.t.Helper()
	response, err := Do(s.t.Context(), s.Server, operation, []byte(request))
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(response)
	if err != nil {
		s.t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(data, &members); err != nil {
		s.t.Fatalf("%s: expected an object, seen %s", operation, data)
	}
	return members, nil
}

// does performs an operation that must succeed.
func (s *site) does(operation, request string) map[string]any {
	s.t.Helper()
	response, err := s.try(operation, request)
	if err != nil {
		s.t.Fatalf("%s %s: %v", operation, request, err)
	}
	return response
}

// refuses performs an operation that must fail with a status and a text.
func (s *site) refuses(status int, text, operation, request string) {
	s.t.Helper()
	response, err := s.try(operation, request)
	var refused *Error
	if !errors.As(err, &refused) || refused.Status != status || !strings.Contains(err.Error(), text) {
		s.t.Errorf("%s %s: expected %d with %q, seen %v %v", operation, request, status, text, response, err)
	}
}

// posted waits for a mail that contains a text.
func (s *site) posted(text string) {
	s.t.Helper()
	for end := time.Now().Add(10 * time.Second); !strings.Contains(s.mails.String(), text); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("expected a mail with %q, seen %s", text, s.mails.String())
		}
	}
}

// audits counts the audit lines of an event.
func (s *site) audits(event string) int {
	return strings.Count(s.log.String(), `"event":"`+event+`","via":"admin_api"`)
}

// quoted returns a value as JSON.
func quoted(text any) string {
	data, err := json.Marshal(text)
	if err != nil {
		panic(err) // cannot happen with the values of tests
	}
	return string(data)
}

const (
	badRequest = http.StatusBadRequest
	notFound   = http.StatusNotFound
	conflict   = http.StatusConflict
)
