package oidcrp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// TestTheAppThatWasStartedLastIsMeant, as long as it is not given back.
func TestTheAppThatWasStartedLastIsMeant(t *testing.T) {
	t.Parallel()
	var apps runningApps
	older, newer, newest := new(App), new(App), new(App)
	var takeBack [3]func() error
	for _, step := range []struct {
		do   func()
		want *App
	}{
		{func() {}, nil},
		{func() { takeBack[0] = apps.add(older) }, older},
		{func() { takeBack[1] = apps.add(newer) }, newer},
		{func() { _ = takeBack[1]() }, older}, // the load has failed
		{func() { takeBack[2] = apps.add(newest) }, newest},
		{func() { _ = takeBack[0]() }, newest}, // it has not
		{func() { _ = takeBack[2]() }, nil},
	} {
		if step.do(); apps.last() != step.want {
			t.Fatalf("%p is meant, want %p", apps.last(), step.want)
		}
	}
}

func TestLongErrorsAreCut(t *testing.T) {
	t.Parallel()
	h := statusOf(op.Health{State: op.Failing, Err: errors.New(strings.Repeat("x", 5000))})
	if len(h.Error) != maxErrorText {
		t.Errorf("%d characters", len(h.Error))
	}
}

func TestTablesObeyNobody(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := showProviders(&out, []byte(`{"providers":[{"id":"corp","issuer":"a\u001b[2Jb","metadata":{"state":"failing","error":"x\u001b]0;\u0007\r\n\u009by"},"keys":{"state":"ok"}}]}`)); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\a\r\u009b") || strings.Count(out.String(), "\n") != 3 {
		t.Errorf("%q", out.String())
	}
	for _, show := range []func(*bytes.Buffer) error{
		func(b *bytes.Buffer) error { return showProviders(b, []byte("[]")) },
		func(b *bytes.Buffer) error { return showEnded(b, []byte("7")) },
		func(b *bytes.Buffer) error { return showKeys(b, []byte(`"x"`)) },
	} {
		if err := show(&out); err == nil {
			t.Error("an answer to something else is shown")
		}
	}
}

// The rest runs a Caddy of its own, whose admin API is on a socket.

const adminEnv = "OIDC_RP_ADMIN"

// TestAdminAPIOverReloads follows which configuration the admin API is about.
func TestAdminAPIOverReloads(t *testing.T) {
	t.Parallel()
	inOwnProcess(t, adminEnv, "TestAdminHelper")
}

// TestAdminHelper is the process of TestAdminAPIOverReloads.
func TestAdminHelper(t *testing.T) {
	if os.Getenv(adminEnv) == "" {
		return
	}
	address := adminSocket(t)
	load := func(lines, sites string) error { return loadWithAdmin(t, address, lines, sites) }
	site := func(issuer string) string {
		return "http://127.0.0.1:0 {\noidc_rp {\nissuer " + issuer + "\nclient_id rp\n}\n}\n"
	}
	issuer := func() string {
		out, err := command(t, "providers", "--json", "--address", address)
		if err != nil {
			return err.Error()
		}
		var answer providersAnswer
		if err := json.Unmarshal([]byte(out), &answer); err != nil || len(answer.Providers) != 1 {
			t.Fatalf("%v: %s", err, out)
		}
		return answer.Providers[0].Issuer
	}
	if err := load("", "http://127.0.0.1:0 {\nrespond x\n}"); err != nil {
		t.Fatal(err)
	}
	if got := issuer(); !strings.Contains(got, "503") {
		t.Errorf("without the app: %s", got)
	}
	for i := range 3 {
		want := fmt.Sprintf("http://127.0.0.1:1/%d", i)
		if err := load("", site(want)); err != nil {
			t.Fatal(err)
		}
		if got := issuer(); got != want || len(running.apps) != 1 {
			t.Errorf("load %d: %s, %d apps", i, got, len(running.apps))
		}
	}
	// Apps start in any order: some of these fail before ours has begun, others after.
	taken := takenPort(t)
	for range 10 {
		if err := load("", site("http://127.0.0.1:1/failed")+"http://"+taken+" {\nrespond x\n}"); err == nil {
			t.Fatal("a configuration with a port that is taken was loaded")
		}
		if got := issuer(); got != "http://127.0.0.1:1/2" || len(running.apps) != 1 {
			t.Errorf("after a load that failed: %s, %d apps", got, len(running.apps))
		}
	}
	if err := load("", "http://127.0.0.1:0 {\nrespond x\n}"); err != nil {
		t.Fatal(err)
	}
	if got := issuer(); !strings.Contains(got, "503") || len(running.apps) != 0 {
		t.Errorf("without the app again: %s, %d apps", got, len(running.apps))
	}
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
}
