package e2e

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// A mailServer is mailpit. It accepts all mail over SMTP with TLS, delivers none, and
// returns it over HTTP.
type mailServer struct {
	t         testing.TB
	smtp, api int
	authority *authority
}

func startMailServer(t testing.TB) *mailServer {
	t.Helper()
	const program = "idp/mailpit/.dist/mailpit"
	needFile(t, program)
	m := &mailServer{t: t, smtp: freePort(t), api: freePort(t), authority: newAuthority(t)}
	certificate, key := m.authority.issue(t, "localhost", x509.ExtKeyUsageServerAuth)
	p := spawn(t, "mailpit", nil, program,
		"--listen", fmt.Sprintf("127.0.0.1:%d", m.api), "--smtp", fmt.Sprintf("127.0.0.1:%d", m.smtp), "--disable-version-check",
		"--smtp-tls-cert", certificate, "--smtp-tls-key", key, "--smtp-require-tls", "--smtp-auth-accept-any", "--smtp-disable-rdns")
	eventually(t, 20*time.Second, "mailpit answers", func() bool {
		if !p.running() {
			t.Fatalf("mailpit has ended:\n%s", p.log.tail(20))
		}
		answer, err := http.Get(m.address("/readyz"))
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return m
}

func (m *mailServer) address(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", m.api, path)
}

// A letter is a mail that has arrived.
type letter struct {
	ID, Subject, Text, HTML string
	From                    struct{ Name, Address string }
	To                      []struct{ Address string }
}

// lettersTo returns the mails to an address, latest first.
func (m *mailServer) lettersTo(to string) (letters []letter) {
	m.t.Helper()
	var found struct{ Messages []struct{ ID string } }
	m.get("/api/v1/search?query="+url.QueryEscape("to:"+to), &found)
	for _, message := range found.Messages {
		var l letter
		m.get("/api/v1/message/"+message.ID, &l)
		letters = append(letters, l)
	}
	return letters
}

// await waits until an address has this many mails and returns the last one.
func (m *mailServer) await(to string, count int) letter {
	m.t.Helper()
	var letters []letter
	eventually(m.t, 20*time.Second, fmt.Sprintf("letter %d to %s arrives", count, to), func() bool {
		letters = m.lettersTo(to)
		return len(letters) >= count
	})
	return letters[0]
}

func (m *mailServer) get(path string, into any) {
	m.t.Helper()
	answer, err := http.Get(m.address(path))
	if err != nil {
		m.t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		m.t.Fatalf("mailpit%s: %v", path, err)
	}
}
