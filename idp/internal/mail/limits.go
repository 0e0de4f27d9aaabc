package mail

import (
	"net/netip"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// How many mails strangers can have sent in an hour: to one account, and from one
// block of addresses. Notices of changes are not among them, since a flood must not
// hold one back.
const (
	perAccount = 3
	perBlock   = 20
	window     = time.Hour
)

// Allow counts a mail that a browser asks for, and reports whether it may be sent.
// What is refused is refused silently: the page says the same. It belongs into the
// transaction that makes the link of the mail.
func Allow(tx store.Counters, now time.Time, userID string, client netip.Addr) (bool, error) {
	block, err := count(tx, now, "mail/block/"+Block(client), perBlock)
	if err != nil || !block || userID == "" {
		return block && userID != "", err
	}
	return count(tx, now, "mail/account/"+userID, perAccount)
}

// count adds one to a counter, whose window begins with its first mail, and
// reports whether there was room.
func count(tx store.Counters, now time.Time, key string, most int) (bool, error) {
	c, err := tx.Counter(key)
	if err != nil {
		return false, err
	}
	c.Key, c.Updated = key, now
	if !now.Before(c.Until) {
		c.Failures, c.Until = 0, now.Add(window)
	}
	if c.Failures >= most {
		return false, nil
	}
	c.Failures++
	return true, tx.PutCounter(c)
}

// Block names the block of addresses that a client belongs to: a /24 of IPv4, a
// /64 of IPv6.
func Block(client netip.Addr) string {
	client = client.Unmap().WithZone("")
	bits := 64
	if client.Is4() {
		bits = 24
	}
	prefix, err := client.Prefix(bits)
	if err != nil {
		return "unknown"
	}
	return prefix.String()
}
