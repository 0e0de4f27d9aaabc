package signin

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// TicketDevice is the kind of the tickets of browsers that have signed in to an
// account before. They must be deleted when a password or a factor changes.
const TicketDevice = "device"

const (
	deviceCookie = "oidc_idp_device"
	deviceLasts  = 180 * 24 * time.Hour
)

// device is a browser that has signed in to an account before. The zero value is
// one that has not.
type device struct {
	// id identifies the device in attempt counters.
	id string
	// since is when the device gave a second factor and was remembered; zero if it
	// was not.
	since time.Time
}

// remembered reports whether the device replaces the second factor.
func (d device) remembered(lasts time.Duration, now time.Time) bool {
	return lasts > 0 && !d.since.IsZero() && now.Sub(d.since) < lasts
}

// deviceData is the Data of a device ticket.
type deviceData struct {
	Since time.Time `json:"since,omitzero"`
}

// deviceHash returns the hash of a browser's secret for one account. A browser has
// one cookie for all accounts.
func deviceHash(secret, userID string) store.Hash {
	return store.HashOf("device of " + userID + " " + secret)
}

// deviceOf returns the device for a user.
func (v *visit) deviceOf(tx store.Tx, user *store.User) (d device, err error) {
	secret := v.Cookies.Get(v.r, deviceCookie)
	if secret == "" {
		return d, nil
	}
	hash := deviceHash(secret, user.ID)
	ticket, err := tx.Ticket(TicketDevice, hash, v.Now())
	if errors.Is(err, store.ErrNotFound) {
		return d, nil
	}
	if err != nil {
		return d, err
	}
	return readDevice(ticket, hash, user)
}

func readDevice(ticket *store.Ticket, hash store.Hash, user *store.User) (d device, err error) {
	if ticket.UserID != user.ID {
		return d, nil
	}
	var data deviceData
	if err := json.Unmarshal(ticket.Data, &data); err != nil {
		return d, fmt.Errorf("read a device: %w", err)
	}
	return device{hex.EncodeToString(hash[:16]), data.Since}, nil
}

// keepDevice records that the browser has signed in to a user's account, and lets
// it replace the second factor if the user asked for that and has just given one.
func (v *visit) keepDevice(user *store.User, remember bool) error {
	secret := v.Cookies.Get(v.r, deviceCookie)
	if secret == "" {
		secret = rand.Text()
	}
	now := v.Now()
	err := v.Store.Update(v.r.Context(), func(tx store.Tx) error {
		hash := deviceHash(secret, user.ID)
		var data deviceData
		before, err := tx.TakeTicket(TicketDevice, hash, now)
		switch {
		case err == nil:
			d, err := readDevice(before, hash, user)
			if err != nil {
				return err
			}
			data.Since = d.since
		case !errors.Is(err, store.ErrNotFound):
			return err
		}
		if remember {
			data.Since = now
		}
		encoded, err := json.Marshal(data)
		if err != nil {
			return err
		}
		return tx.AddTicket(store.Ticket{Hash: hash, Kind: TicketDevice, UserID: user.ID, Data: encoded, Created: now, Expires: now.Add(deviceLasts)})
	})
	if err != nil {
		return fmt.Errorf("keep a device: %w", err)
	}
	v.Cookies.Set(v.w, deviceCookie, secret, deviceLasts)
	return nil
}

// firstFactor reports whether proofs include one that a sign-in can begin with.
func (p proofs) firstFactor() bool {
	for _, kind := range []string{amrPassword, amrHardware, amrSoftware} {
		if _, ok := p[kind]; ok {
			return true
		}
	}
	return false
}

// secondFactor reports whether proofs include a second factor.
func (p proofs) secondFactor() bool {
	for _, kind := range []string{amrCode, amrHardware, amrSoftware} {
		if _, ok := p[kind]; ok {
			return true
		}
	}
	return false
}
