package integration_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/directory/directorytest"
)

func init() { caddy.RegisterModule(guestbook{}) }

// guestbook is a directory module from outside of this project.
type guestbook struct {
	Guests []string `json:"guests,omitempty"`
	Closed bool     `json:"closed,omitempty"`
}

func (guestbook) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "oidc_rp.directories.guestbook", New: func() caddy.Module { return new(guestbook) }}
}

func (g *guestbook) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if g.Guests = d.RemainingArgs(); len(g.Guests) == 0 {
		g.Closed = true
	}
	return nil
}

func (g *guestbook) Knows(ctx context.Context, user directory.User) (bool, error) {
	if g.Closed {
		return false, &directory.UnavailableError{Err: errors.New("closed today"), RetryAfter: time.Minute}
	}
	for _, guest := range g.Guests {
		if guest == user.ID {
			return true, ctx.Err()
		}
	}
	return false, ctx.Err()
}

func TestADirectoryOfAGuest(t *testing.T) {
	t.Parallel()
	directorytest.Run(t, func(_ *testing.T, users ...directory.User) directory.Directory {
		g := new(guestbook)
		for _, user := range users {
			g.Guests = append(g.Guests, user.ID)
		}
		return g
	})
	op := newOP(t)
	storage := storageDir(t)
	site := func(known string) *harness {
		return newHarnessAt(t, storage, fmt.Sprintf(whoSees, "private", options(op), known))
	}
	b := site("known_users guestbook alice").browser()
	if p := b.open("/page"); p.StatusCode != http.StatusOK {
		t.Errorf("a guest: expected status 200, seen %d", p.StatusCode)
	}
	if p := site("known_users guestbook bob").browser().open("/page"); !strings.Contains(p.body, "Your account is not known here.") {
		t.Errorf("no guest: expected the reason, seen %d %s", p.StatusCode, p.body)
	}
	moveTo(b, site("known_users guestbook"))
	p := b.get("/page")
	if p.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("closed: expected status 503, seen %d", p.StatusCode)
	}
	if after := p.Header.Get("Retry-After"); after != "60" {
		t.Errorf("closed: expected Retry-After 60, seen %q", after)
	}
	moveTo(b, site(`known_users guestbook
	known_users list alice`))
	if p := b.get("/page"); p.StatusCode != http.StatusOK {
		t.Errorf("closed, and known to another directory: expected status 200, seen %d", p.StatusCode)
	}
}
