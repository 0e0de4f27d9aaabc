package mail

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database/databasetest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// asks counts the mails that are allowed out of so many.
func asks(t *testing.T, db store.Store, now time.Time, user func(i int) string, client func(i int) string, times int) (allowed int) {
	t.Helper()
	for i := range times {
		var ok bool
		err := db.Update(t.Context(), func(tx store.Tx) (err error) {
			ok, err = Allow(tx, now, user(i), netip.MustParseAddr(client(i)))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			allowed++
		}
	}
	return allowed
}

func always(text string) func(int) string { return func(int) string { return text } }
func each(format string) func(int) string {
	return func(i int) string { return fmt.Sprintf(format, i) }
}

func TestMailsAreLimited(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		user, client func(int) string
		want         int
	}{
		"three to an account":                 {always("u1"), each("192.0.%d.1"), 3},
		"twenty from a block of IPv4":         {each("u%d"), each("192.0.2.%d"), 20},
		"twenty from a block of IPv6":         {each("u%d"), each("2001:db8:0:1::%d"), 20},
		"an IPv4 address in IPv6 is the same": {each("u%d"), each("::ffff:192.0.2.%d"), 20},
		"none to an account that is unknown":  {always(""), each("192.0.%d.1"), 0},
		"to many accounts from many blocks":   {each("u%d"), each("192.0.%d.1"), 30},
	} {
		db := databasetest.New(t)
		if got := asks(t, db, noon, row.user, row.client, 30); got != row.want {
			t.Errorf("%s: expected %d mails, seen %d", name, row.want, got)
		}
		if got := asks(t, db, noon.Add(time.Hour-time.Second), row.user, row.client, 1); row.want < 30 && got != 0 {
			t.Errorf("%s: expected no mail within the hour, seen %d", name, got)
		}
		if got := asks(t, db, noon.Add(time.Hour), row.user, row.client, 1); got != min(1, row.want) {
			t.Errorf("%s: expected a mail an hour later, seen %d", name, got)
		}
	}
}

// Unknown names count for the block, too: otherwise the count would tell.
func TestUnknownAccountsCountForTheBlock(t *testing.T) {
	t.Parallel()
	db := databasetest.New(t)
	asks(t, db, noon, always(""), always("192.0.2.1"), perBlock)
	if got := asks(t, db, noon, always("u1"), always("192.0.2.9"), 1); got != 0 {
		t.Errorf("expected no mail, seen %d", got)
	}
}
