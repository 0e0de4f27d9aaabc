package revocation

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// Events dated by a provider are packed a day after the first node was ready to, in packs
// that nodes of the previous release ignore. They have the same effect afterwards.
func TestProvidersWordsArePackedADayLater(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage := newMemory()
		storage.Files[packsFrom] = fmt.Append(nil, time.Now().Unix())
		a := storage.node(time.Now)
		var ended, spared []*session.Session
		for range 18 {
			first, second := month(), month()
			first.Subject = fmt.Sprint("user", len(ended))
			second.Subject = first.Subject
			first.IDTokenIssued = time.Unix(time.Now().Unix()-10, 0)
			second.IDTokenIssued = time.Unix(time.Now().Unix()+10, 0)
			ended, spared = append(ended, first), append(spared, second)
			end(t, a, ForSubject(issuer, first.Subject, time.Now().Add(time.Hour), first.Expires).Issued(time.Now(), time.Now()))
			local := month()
			ended = append(ended, local)
			end(t, a, endedNow(local))
			time.Sleep(10 * time.Minute)
		}
		j := storage.node(time.Now)
		ready(t, j)
		for range 24 {
			poll(t, j)
			packAll(t, j)
			if minutes, packs := storage.root(); len(minutes) != 18 || len(packs) != 0 {
				t.Fatalf("in the first day: minutes %q, packs %q", minutes, packs)
			}
			time.Sleep(time.Hour)
		}
		time.Sleep(10 * time.Minute)
		poll(t, j)
		packAll(t, j)
		minutes, packs := storage.root()
		if len(minutes) != 0 {
			t.Errorf("afterwards: expected no minutes, seen %q", minutes)
		}
		if len(packs) != 1 {
			t.Fatalf("afterwards: expected one pack, seen %q", packs)
		}
		for _, name := range packs {
			if !strings.HasPrefix(name, datedPrefix) {
				t.Errorf("afterwards: expected a pack of dated events, seen %q", name)
			}
		}
		for name, node := range map[string]*Log{"the node that packed": j, "the last node": storage.node(time.Now)} {
			wantKnown(t, name, node, ended)
			if n := knows(node, spared...); n != 0 {
				t.Errorf("%s: %d later sessions are touched", name, n)
			}
		}
	})
}
