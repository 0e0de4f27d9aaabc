package redis

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/store/redis/redistest"
)

// The package comment lists exactly the rules that are needed.
func TestRules(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("redis.go")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(source), "ACL SETUSER oidc_rp on >password ")
	text, _, _ = strings.Cut(text, "\n//\n")
	rules := strings.Fields(strings.ReplaceAll(text, "//", ""))
	serve := func(t *testing.T, rules ...string) (*redistest.Server, node) {
		server := redistest.Start(t)
		server.Do(append([]string{"ACL", "SETUSER", "sessions", "on", ">secret"}, rules...)...)
		return server, open(t, &Store{URL: server.URL(), Username: "sessions", Password: "secret", Database: 1})
	}
	t.Run("all rules allow all calls", func(t *testing.T) {
		t.Parallel()
		server, n := serve(t, append(rules[:len(rules):len(rules)], "+info")...)
		if err := n.useAll(t); err != nil {
			t.Error(err)
		}
		if log := server.Do("ACL", "LOG"); log != "" {
			t.Errorf("something was refused: %s", log)
		}
	})
	for i, rule := range rules {
		if !strings.HasPrefix(rule, "+") {
			continue
		}
		t.Run("without "+rule, func(t *testing.T) {
			t.Parallel()
			server, n := serve(t, append(rules[:i:i], rules[i+1:]...)...)
			err := n.useAll(t)
			if rule == "+echo" { // it is optional, but no command may be refused
				if log := server.Do("ACL", "LOG"); !strings.Contains(log, "echo") {
					t.Errorf("nothing was refused without it: %s", log)
				}
				return
			}
			if refused := regexp.MustCompile("permissions|lacks a rule"); !refused.MatchString(fmt.Sprint(err)) {
				t.Errorf("without this rule: expected an error about permissions, seen %v", err)
			}
			time.Sleep(3 * probeEvery)
			if logged := n.logged(zap.ErrorLevel); len(logged) != 1 {
				t.Errorf("expected one line about the refusal, seen %q", logged)
			}
			if logged := n.logged(zap.InfoLevel); len(logged) > 0 {
				t.Errorf("expected no line about its end, seen %q", logged)
			}
		})
	}
	t.Run("the rules for Sentinels allow all calls", func(t *testing.T) {
		t.Parallel()
		_, text, _ := strings.Cut(string(source), "ACL SETUSER watcher on >password ")
		text, _, _ = strings.Cut(text, "\n//\n")
		group := redistest.StartSentinels(t, "a-password", "another")
		for _, s := range group.Sentinels {
			s.Do(append([]string{"ACL", "SETUSER", "watcher", "on", ">secret"}, strings.Fields(strings.ReplaceAll(text, "//", ""))...)...)
		}
		group.Master.Do(append([]string{"ACL", "SETUSER", "sessions", "on", ">secret", "+info"}, append(rules, "+info", "+role")...)...)
		config := behind(group)
		config.Username, config.Password = "sessions", "secret"
		config.Sentinel.Username, config.Sentinel.Password = "watcher", "secret"
		n := open(t, config)
		if err := n.useAll(t); err != nil {
			t.Error(err)
		}
		for _, s := range append(group.Sentinels, group.Master) {
			if log := s.Do("ACL", "LOG"); log != "" {
				t.Errorf("something was refused: %s", log)
			}
		}
	})
	t.Run("another prefix is refused", func(t *testing.T) {
		t.Parallel()
		_, n := serve(t, append(rules[:len(rules):len(rules)], "resetkeys", "~other:*")...)
		err := n.Save(t.Context(), "a", []byte("1"), soon())
		if err == nil || !strings.Contains(err.Error(), "the user lacks a rule: NOPERM") {
			t.Errorf("expected an error about a rule, seen %v", err)
		}
	})
}

// useAll calls all methods until one fails.
func (n node) useAll(t *testing.T) error {
	ctx := t.Context()
	if err := n.Save(ctx, "a", []byte("1"), soon()); err != nil {
		return err
	}
	if _, err := n.Load(ctx, "a", "b"); err != nil {
		return err
	}
	if _, err := n.Reload(ctx, "a", "b"); err != nil {
		return err
	}
	if done, err := n.Replace(ctx, "a", []byte("1"), []byte("2"), soon()); err != nil || !done {
		return fmt.Errorf("Replace: %v, %w", done, err)
	}
	if err := n.Delete(ctx, "a"); err != nil {
		return err
	}
	unlock, err := n.Lock(ctx, "a")
	if err != nil {
		return err
	}
	unlock()
	return nil
}
