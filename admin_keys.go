package oidcrp

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

// keysAnswer is what the admin API tells of the keys that sessions are sealed
// with.
type keysAnswer struct {
	Rings []ringStatus `json:"rings"`
}

// ringStatus is the keys that some sites have together.
type ringStatus struct {
	// From is `storage` for keys that are made, kept and rotated in a storage,
	// and `secret` for those of the configuration.
	From string `json:"from"`
	// Sites are the host names of the sites that use them; `*` is any.
	Sites []string `json:"sites"`
	// Rotate is the interval at which they are rotated by themselves.
	Rotate string      `json:"rotate,omitempty"`
	Keys   []keyStatus `json:"keys"`
	// Made: a new key was made now.
	Made bool `json:"made,omitempty"`
	// Note says why there was none made, or why the storage does not tell and
	// the keys are only those in memory.
	Note string `json:"note,omitempty"`
}

type keyStatus struct {
	ID         string    `json:"id"` // as in sealed values, in hexadecimal
	State      string    `json:"state"`
	Created    time.Time `json:"created,omitzero"`
	SealsFrom  time.Time `json:"seals_from,omitzero"`
	OpensUntil time.Time `json:"opens_until,omitzero"`
}

// The states of a key.
const (
	keySealing = "sealing"
	keyWaiting = "waiting" // to be known on all instances before it seals
	keyOpening = "opening" // what it had sealed
)

// usedRing is a ring of the configuration and the sites that use it.
type usedRing struct {
	managed    *seal.Managed // nil for keys of the configuration
	configured []string      // their ids
	sites      []string
}

// usedRings returns the rings of the configuration, those in storages first.
func (a *App) usedRings() (rings []*usedRing) {
	a.linkInstances()
	for _, h := range a.handlers {
		var ring usedRing
		switch keys := h.instance.Keys.(type) {
		case *seal.Managed:
			ring.managed = keys
		case seal.Fixed:
			ring.configured = keys.Keys.IDs()
		default:
			continue
		}
		i := slices.IndexFunc(rings, func(r *usedRing) bool {
			return r.managed == ring.managed && slices.Equal(r.configured, ring.configured)
		})
		if i < 0 {
			i = len(rings)
			rings = append(rings, &ring)
		}
		for _, site := range h.hosts {
			if !slices.Contains(rings[i].sites, site) {
				rings[i].sites = append(rings[i].sites, site)
			}
		}
	}
	for _, ring := range rings {
		slices.Sort(ring.sites)
	}
	slices.SortFunc(rings, func(a, b *usedRing) int {
		return cmp.Or(cmp.Compare(len(a.configured), len(b.configured)), slices.Compare(a.sites, b.sites))
	})
	return rings
}

// listKeys tells of the keys, after a look at the storage.
func (a *App) listKeys(r *http.Request) (any, error) {
	answer := keysAnswer{Rings: []ringStatus{}}
	for _, ring := range a.usedRings() {
		answer.Rings = append(answer.Rings, ring.status(r, a.clock.Now()))
	}
	return answer, nil
}

func (u *usedRing) status(r *http.Request, now time.Time) ringStatus {
	status := ringStatus{From: "secret", Sites: append([]string{}, u.sites...), Keys: []keyStatus{}}
	for _, id := range u.configured {
		status.Keys = append(status.Keys, keyStatus{ID: id, State: keyOpening})
	}
	if u.managed == nil {
		status.Keys[0].State = keySealing
		return status
	}
	status.From, status.Rotate = "storage", u.managed.Rotation().String()
	keys, err := u.managed.Keys(r.Context())
	if err != nil {
		status.Note = "the storage does not answer: " + err.Error()
	}
	for _, key := range keys {
		k := keyStatus{ID: key.ID, State: keyOpening, Created: inSeconds(key.Created), SealsFrom: inSeconds(key.SealsFrom), OpensUntil: inSeconds(key.OpensUntil)}
		switch {
		case key.Seals:
			k.State = keySealing
		case key.SealsFrom.After(now):
			k.State = keyWaiting
		}
		status.Keys = append(status.Keys, k)
	}
	return status
}

// rotation says how to rotate.
type rotation struct {
	// Compromised: somebody else may have seen the keys.
	Compromised bool `json:"compromised,omitempty"`
}

// rotateKeys makes a new key in each storage. Where the keys are compromised
// the old ones are withdrawn, which ends every session that they had sealed.
func (a *App) rotateKeys(r *http.Request) (any, error) {
	var asked rotation
	if err := readBody(r, &asked); err != nil {
		return nil, err
	}
	rings := a.usedRings()
	if !slices.ContainsFunc(rings, func(u *usedRing) bool { return u.managed != nil }) {
		return nil, adminError(http.StatusConflict, "no site has keys in a storage; those of the option secret are rotated in the configuration")
	}
	answer := keysAnswer{Rings: []ringStatus{}}
	var errs []error
	for _, ring := range rings {
		made := false
		if ring.managed != nil {
			var err error
			if made, err = ring.managed.Rotate(context.WithoutCancel(r.Context()), asked.Compromised); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		if made {
			a.logger.Info("the session keys were rotated by the admin API", zap.Bool("compromised", asked.Compromised), zap.Strings("sites", ring.sites))
		}
		status := ring.status(r, a.clock.Now())
		switch status.Made = made; {
		case made:
		case ring.managed == nil:
			status.Note = "keys of the option secret are rotated in the configuration"
		default:
			status.Note = "no key was made, since a new one is about to seal already"
		}
		answer.Rings = append(answer.Rings, status)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, adminError(http.StatusServiceUnavailable, "a new key could not be kept: %w", err)
	}
	return answer, nil
}
