package mail

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// scripted is a Sender that fails a given number of times.
type scripted struct {
	mu       sync.Mutex
	failures int
	err      error
	hold     chan struct{} // if set, Send waits for it
	sent     []Message
	tries    int
}

func (s *scripted) Send(ctx context.Context, m Message) error {
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tries++
	if s.failures > 0 {
		s.failures--
		return s.err
	}
	s.sent = append(s.sent, m)
	return nil
}

func (s *scripted) counts() (tries, sent int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tries, len(s.sent)
}

func writer(t *testing.T) Writer {
	t.Helper()
	texts, err := pages.Texts("", nil)
	if err != nil {
		t.Fatal(err)
	}
	return Writer{Texts: texts, Site: "Example", Account: "https://login.example.com/account", Contact: "the service desk"}
}

func start(t *testing.T, sender Sender, log *bytes.Buffer) *Queue {
	t.Helper()
	return Start(Options{Sender: sender, Writer: writer(t), Logger: slog.New(slog.NewTextHandler(log, nil)), Now: time.Now})
}

var alice = &store.User{ID: "u1", Name: "alice", Email: "alice@example.net"}

func TestAMailIsTriedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sender := &scripted{failures: 2, err: errors.New("connection refused")}
		q := start(t, sender, new(bytes.Buffer))
		q.Post(Letter{Kind: PasswordChanged, To: alice.Email, User: alice})
		synctest.Wait()
		if tries, _ := sender.counts(); tries != 1 {
			t.Errorf("expected one attempt at once, seen %d", tries)
		}
		time.Sleep(36 * time.Second)
		synctest.Wait()
		if tries, sent := sender.counts(); tries != 3 || sent != 1 {
			t.Errorf("expected the mail at the third attempt, seen %d attempts and %d mails", tries, sent)
		}
		q.Close(t.Context())
	})
}

func TestAMailIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		err   error
		tries int
	}{
		"after five attempts":            {errors.New("connection refused"), 5},
		"at once if no server takes it":  {ErrPermanent, 1},
		"at once if the address is none": {checkAddress("alice"), 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			sender := &scripted{failures: 100, err: row.err}
			q := start(t, sender, &log)
			q.Post(Letter{Kind: PasswordChanged, To: alice.Email, User: alice})
			time.Sleep(time.Hour)
			synctest.Wait()
			if tries, _ := sender.counts(); tries != row.tries {
				t.Errorf("%s: expected %d attempts, seen %d", name, row.tries, tries)
			}
			q.Close(t.Context())
			if !strings.Contains(log.String(), "event=mail_failed mail=password_changed user_id=u1") {
				t.Errorf("%s: expected a line in the log, seen %s", name, log.String())
			}
		})
	}
}

func TestALinkThatHasExpiredIsNotSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sender := &scripted{failures: 3, err: errors.New("connection refused")}
		q := start(t, sender, new(bytes.Buffer))
		q.Post(Letter{Kind: Reset, To: alice.Email, User: alice, Link: "https://login.example.com/reset#s", Until: time.Now().Add(time.Minute)})
		time.Sleep(time.Hour)
		synctest.Wait()
		if tries, sent := sender.counts(); tries != 3 || sent != 0 {
			t.Errorf("expected three attempts in the first minute, seen %d attempts and %d mails", tries, sent)
		}
		q.Close(t.Context())
	})
}

func TestNothingWaitsForTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		sender := &scripted{hold: make(chan struct{})}
		q := start(t, sender, &log)
		began := time.Now()
		for range capacity + 10 {
			q.Post(Letter{Kind: PasswordChanged, To: alice.Email, User: alice})
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("expected no waiting, seen %s", waited)
		}
		if got := strings.Count(log.String(), "event=mail_dropped"); got != 10 {
			t.Errorf("expected ten mails to be dropped, seen %d", got)
		}
		close(sender.hold)
		q.Close(t.Context())
		if _, sent := sender.counts(); sent != capacity {
			t.Errorf("expected %d mails, seen %d", capacity, sent)
		}
	})
}

func TestCloseTriesOnceMore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sender := &scripted{failures: 1, err: errors.New("connection refused")}
		q := start(t, sender, new(bytes.Buffer))
		q.Post(Letter{Kind: PasswordChanged, To: alice.Email, User: alice})
		synctest.Wait()
		q.Close(t.Context())
		if tries, sent := sender.counts(); tries != 2 || sent != 1 {
			t.Errorf("expected the mail at the second attempt, seen %d attempts and %d mails", tries, sent)
		}
		q.Post(Letter{Kind: PasswordChanged, To: alice.Email, User: alice})
		q.Close(t.Context())
		if _, sent := sender.counts(); sent != 1 {
			t.Errorf("expected no mail after the end, seen %d", sent)
		}
	})
}

func TestCloseDoesNotWaitForever(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := start(t, &scripted{hold: make(chan struct{})}, new(bytes.Buffer))
		q.Post(Letter{Kind: PasswordChanged, To: alice.Email, User: alice})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		began := time.Now()
		q.Close(ctx)
		if took := time.Since(began); took != 5*time.Second {
			t.Errorf("expected five seconds, seen %s", took)
		}
	})
}

func TestTheLogHasNoSecrets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		q := start(t, &scripted{failures: 1, err: errors.New("connection refused")}, &log)
		q.Post(Letter{Kind: Reset, To: alice.Email, User: alice, Link: "https://login.example.com/reset#s3cret", Code: "C0DE", Until: time.Now().Add(time.Hour)})
		time.Sleep(time.Minute)
		q.Close(t.Context())
		for _, secret := range []string{"s3cret", "C0DE", "alice@example.net"} {
			if strings.Contains(log.String(), secret) {
				t.Errorf("expected no %q in the log, seen %s", secret, log.String())
			}
		}
		if !strings.Contains(log.String(), "event=mail_sent") {
			t.Errorf("expected that it was sent, seen %s", log.String())
		}
	})
}
