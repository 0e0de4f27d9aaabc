package adminapi

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

// KeysResponse is the response of KeysPath and RotatePath.
type KeysResponse struct {
	Rings []RingStatus `json:"rings"`
}

// RingStatus is the state of the keys that sites share.
type RingStatus struct {
	// From is `storage` for keys that are made, kept and rotated in a storage,
	// and `secret` for those of the configuration.
	From string `json:"from"`
	// Sites are the host names of the sites that use the keys; `*` is any.
	Sites []string `json:"sites"`
	// Rotate is the interval of automatic rotation.
	Rotate string      `json:"rotate,omitempty"`
	Keys   []KeyStatus `json:"keys"`
	// Made means that this request made a new key.
	Made bool `json:"made,omitempty"`
	// Note is why no key was made, or why the storage could not be read, so that
	// the keys are only those in memory.
	Note string `json:"note,omitempty"`
}

// KeyStatus is the state of one key. Unknown times are omitted.
type KeyStatus struct {
	ID         string    `json:"id"` // hexadecimal, as in sealed values
	State      string    `json:"state"`
	Created    time.Time `json:"created,omitzero"`
	SealsFrom  time.Time `json:"seals_from,omitzero"`
	OpensUntil time.Time `json:"opens_until,omitzero"`
}

// The states of a key.
const (
	KeySealing = "sealing"
	KeyWaiting = "waiting" // until all nodes know it
	KeyOpening = "opening" // opens what it has sealed before
)

// Where keys are from.
const (
	fromStorage = "storage"
	fromSecret  = "secret"
)

// RotateRequest is the body of a request for RotatePath.
type RotateRequest struct {
	// Compromised means that the keys may be known to others.
	Compromised bool `json:"compromised,omitempty"`
}

// Ring is a key ring of the configuration, and the sites that use it.
type Ring struct {
	Managed    ManagedKeys // nil for configured keys
	Configured []string    // ids of configured keys, the sealing one first
	Sites      []string
}

// ManagedKeys are keys in a storage: a *seal.Managed.
type ManagedKeys interface {
	// Keys returns the keys in the storage, or else those in memory with an error.
	Keys(ctx context.Context) ([]seal.Key, error)
	Rotation() time.Duration
	// Rotate makes a new key unless one is waiting.
	Rotate(ctx context.Context, compromised bool) (made bool, err error)
}

// MergeRings merges equal rings, with the sites of all. Those in storages come
// first.
func MergeRings(uses []Ring) (merged []Ring) {
	for _, use := range uses {
		i := slices.IndexFunc(merged, func(r Ring) bool {
			return r.Managed == use.Managed && slices.Equal(r.Configured, use.Configured)
		})
		if i < 0 {
			i = len(merged)
			merged = append(merged, use)
		}
		merged[i].Sites = addSites(merged[i].Sites, use.Sites)
	}
	slices.SortFunc(merged, func(a, b Ring) int {
		return cmp.Or(cmp.Compare(len(a.Configured), len(b.Configured)), slices.Compare(a.Sites, b.Sites))
	})
	return merged
}

// ListKeys reads the storages and returns the state of merged rings.
func ListKeys(ctx context.Context, rings []Ring, now time.Time) KeysResponse {
	response := KeysResponse{Rings: []RingStatus{}}
	for _, ring := range rings {
		response.Rings = append(response.Rings, ring.status(ctx, now))
	}
	return response
}

func (r *Ring) status(ctx context.Context, now time.Time) RingStatus {
	status := RingStatus{From: fromSecret, Sites: r.Sites, Keys: []KeyStatus{}}
	if r.Managed == nil {
		for i, id := range r.Configured {
			key := KeyStatus{ID: id, State: KeyOpening}
			if i == 0 {
				key.State = KeySealing
			}
			status.Keys = append(status.Keys, key)
		}
		return status
	}
	status.From, status.Rotate = fromStorage, r.Managed.Rotation().String()
	keys, err := r.Managed.Keys(ctx)
	if err != nil {
		status.Note = "the storage does not answer: " + err.Error()
	}
	for _, key := range keys {
		status.Keys = append(status.Keys, keyStatus(key, now))
	}
	return status
}

func keyStatus(key seal.Key, now time.Time) KeyStatus {
	status := KeyStatus{ID: key.ID, State: KeyOpening, Created: inSeconds(key.Created), SealsFrom: inSeconds(key.SealsFrom), OpensUntil: inSeconds(key.OpensUntil)}
	switch {
	case key.Seals:
		status.State = KeySealing
	case key.SealsFrom.After(now):
		status.State = KeyWaiting
	}
	return status
}

// RotateKeys makes a new key in each storage of merged rings. If the keys are
// compromised, it withdraws the old ones, which ends every session that they
// sealed. The response also tells what was done when there is an error: an Error
// with status 409 if no ring is in a storage, or with 503 if one could not be
// written.
func RotateKeys(ctx context.Context, rings []Ring, request RotateRequest, now time.Time) (KeysResponse, error) {
	response := KeysResponse{Rings: []RingStatus{}}
	if !slices.ContainsFunc(rings, func(r Ring) bool { return r.Managed != nil }) {
		return response, Errorf(http.StatusConflict, "no site has keys in a storage; those of the option secret are rotated in the configuration")
	}
	var errs []error
	for _, ring := range rings {
		made := false
		if ring.Managed != nil {
			var err error
			if made, err = ring.Managed.Rotate(context.WithoutCancel(ctx), request.Compromised); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		status := ring.status(ctx, now)
		switch status.Made = made; {
		case made:
		case ring.Managed == nil:
			status.Note = "keys of the option secret are rotated in the configuration"
		default:
			status.Note = "no key was made, since a new one is about to seal already"
		}
		response.Rings = append(response.Rings, status)
	}
	if err := errors.Join(errs...); err != nil {
		return response, Errorf(http.StatusServiceUnavailable, "a new key could not be kept: %w", err)
	}
	return response, nil
}
