package server

import (
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

func TestAFloodOfRequestsIsBounded(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var f flood
	allowed := func(from string, now time.Time) bool { return f.allows(netip.MustParseAddr(from), now) }
	for i := range maxBegun {
		if !allowed(fmt.Sprintf("192.0.2.%d", i%256), start) {
			t.Fatalf("expected %d requests, seen %d", maxBegun, i)
		}
	}
	for name, test := range map[string]struct {
		from  string
		after time.Duration
		want  bool
	}{
		"the block":                   {"192.0.2.1", begunWindow - 1, false},
		"the block, mapped to IPv6":   {"::ffff:192.0.2.1", 0, false},
		"another block":               {"192.0.3.1", 0, true},
		"a proxy that is not trusted": {"127.0.0.1", 0, true},
	} {
		if got := allowed(test.from, start.Add(test.after)); got != test.want {
			t.Errorf("%s: expected %v, seen %v", name, test.want, got)
		}
	}
	for i := range maxBlocks + 1000 {
		allowed(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff), start)
	}
	if len(f.count) > maxBlocks+1 {
		t.Errorf("expected no more than %d blocks, seen %d", maxBlocks+1, len(f.count))
	}
	if !allowed("192.0.2.1", start.Add(begunWindow)) {
		t.Error("after the window: expected a request to be allowed, seen that it is not")
	}
}

func TestAFloodOfRequestsGetsAPage(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.begun.allows(netip.MustParseAddr("192.0.2.1"), n.clock.Now())
	n.begun.count[netip.MustParsePrefix("192.0.2.0/24")] = maxBegun
	b := n.browser().authorize()
	if b.status != http.StatusTooManyRequests {
		t.Errorf("expected status 429, seen %d", b.status)
	}
	if got := b.header.Get("Retry-After"); got == "" {
		t.Error("expected Retry-After, seen none")
	}
	n.clock.pass(begunWindow)
	b.authorize().expect(`name="username"`)
}

// One sweep removes all expired rows of a flood, not only a limited number per minute.
func TestWhatAFloodLeftIsRemoved(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	const rows, batch = 2*sweepLimit + 1, 500
	for first := 0; first < rows; first += batch { // the time of a transaction is limited
		err := n.Store.Update(t.Context(), func(tx store.Tx) error {
			for i := first; i < min(first+batch, rows); i++ {
				if err := tx.PutRequest(store.Request{ID: fmt.Sprint(i), Data: []byte("{}"), Created: n.clock.Now(), Expires: n.clock.Now()}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := n.sweepAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := 0
	err := n.Store.Rows(t.Context(), func(table string, _ []string, _ []any) error {
		if table == "requests" {
			left++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if left != 0 {
		t.Errorf("expected no request to be left of %d, seen %d", rows, left)
	}
}
