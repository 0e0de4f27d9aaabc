package mail

import (
	"net/netip"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/lockout"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
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
	room, err := lockout.Use(tx, "mail/block/"+block(client), perBlock, window, now)
	if err != nil || !room || userID == "" {
		return room && userID != "", err
	}
	return lockout.Use(tx, "mail/account/"+userID, perAccount, window, now)
}

// block names the block of addresses that a client belongs to.
func block(client netip.Addr) string { return passwords.Block(client).String() }
