package audit

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

func TestFieldsOfAnEvent(t *testing.T) {
	t.Parallel()
	alice := &session.Session{ID: session.ID{1}, Subject: "248289761001", SID: "sid-of-alice"}
	for name, row := range map[string]struct {
		event Event
		want  string
	}{
		"nothing is known": {Event{Kind: Refused},
			"event=refused user= subject= provider= client_ip= session="},
		"a session": {Event{Kind: SignedOut, Via: "logout", User: "alice", Provider: "corp", Session: alice, Host: "rp.test", Client: "::1"},
			"event=signed_out user=alice subject=248289761001 provider=corp client_ip=::1 session=" + SessionName(alice) + " host=rp.test via=logout provider_session=" + Hash("sid-of-alice")},
		"more than the session says": {Event{Kind: Revoked, Subject: "other", SID: "another", Session: alice, Issuer: "https://op.test", Code: "forbidden"},
			"event=revoked user= subject=other provider= client_ip= session=" + SessionName(alice) + " code=forbidden issuer=https://op.test provider_session=" + Hash("another")},
		"a hostile name": {Event{Kind: Refused, User: "a\x1b[2J", Host: "a\nb"},
			`event=refused user=a\u001b[2J subject= provider= client_ip= session= host=a\u000ab`},
	} {
		var fields []string
		for _, attr := range row.event.Attrs() {
			if attr.Value.Kind() != slog.KindString {
				t.Errorf("%s: %s is no text", name, attr.Key)
			}
			fields = append(fields, attr.Key+"="+attr.Value.String())
		}
		if got := strings.Join(fields, " "); got != row.want {
			t.Errorf("%s: expected\n%s\nseen\n%s", name, row.want, got)
		}
	}
}

func TestSecretsAreHashed(t *testing.T) {
	t.Parallel()
	for secret, want := range map[string]string{"": "", "sid": "d07edb1bd5b4a865"} {
		if got := Hash(secret); got != want {
			t.Errorf("%q: expected %q, seen %q", secret, want, got)
		}
	}
	if got := SessionName(nil) + SessionName(new(session.Session)); got != "" {
		t.Errorf("a session without an id: expected no name, seen %q", got)
	}
	a, b := NewErrorID(), NewErrorID()
	if len(a) != 8 {
		t.Errorf("expected an id of eight digits, seen %q", a)
	}
	if a == b {
		t.Errorf("expected two ids, seen %q twice", a)
	}
}

// A flood of refusals does not fill the log.
func TestRefusalsAreSampled(t *testing.T) {
	t.Parallel()
	var s Sampler
	now := time.Unix(1_800_000_000, 0)
	count := func(clients, each int, at time.Time) (logged, suppressed int) {
		for i := range clients * each {
			if ok, n := s.Take(fmt.Sprint(i%clients), at); ok {
				logged, suppressed = logged+1, suppressed+n
			}
		}
		return logged, suppressed
	}
	if logged, _ := count(1, 10_000, now); logged != maxOfClient+9 {
		t.Errorf("of 10,000 refusals of one client: expected %d lines, seen %d", maxOfClient+9, logged)
	}
	logged, suppressed := count(1, 1, now.Add(window))
	if logged != 1 {
		t.Errorf("a minute later: expected 1 line of 1, seen %d", logged)
	}
	if suppressed == 0 {
		t.Error("a minute later: the line does not say how many were left out")
	}
	if logged, _ := count(5_000, 10, now.Add(2*window)); logged < maxOfAll || logged > maxOfAll+50 {
		t.Errorf("of 50,000 refusals of 5,000 clients: expected %d to %d lines, seen %d", maxOfAll, maxOfAll+50, logged)
	}
	if len(s.byClient) > maxClients {
		t.Errorf("clients that are remembered: expected at most %d, seen %d", maxClients, len(s.byClient))
	}
	if logged, _ := count(1, 1, now); logged != 1 {
		t.Errorf("after the clock was set back: expected 1 line of 1, seen %d", logged)
	}
}

func TestOnceRemembersABoundedNumberOfThings(t *testing.T) {
	t.Parallel()
	var once Once[int]
	for i := range maxOnce {
		if !once.First(i) {
			t.Fatalf("%d is not the first one", i)
		}
	}
	if once.First(0) {
		t.Error("what was there is first again")
	}
	if once.First(maxOnce) {
		t.Error("more than the bound is remembered")
	}
}
