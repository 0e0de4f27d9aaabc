package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// This file has what is done without a request: what has expired is removed, and keys
// are rotated when it is time.

const (
	sweepEvery = time.Minute
	sweepLimit = 5000
)

// upkeep does both, at intervals.
func (s *Server) upkeep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.keepUp(ctx)
	}
}

// keepUp does what is due now. What fails is tried again at the next interval.
func (s *Server) keepUp(ctx context.Context) {
	if err := s.sweepAll(ctx); err != nil && ctx.Err() == nil {
		s.Logger.LogAttrs(ctx, slog.LevelWarn, "could not remove what has expired", slog.String("event", "sweep_failed"), slog.Any("error", err))
	}
	if err := s.rotateKeys(ctx); err != nil && ctx.Err() == nil {
		s.Logger.LogAttrs(ctx, slog.LevelError, "could not rotate the signing keys", slog.String("event", "key_rotation_failed"), slog.Any("error", err))
	}
	if err := errors.Join(s.Broker.RemoveRetiredSAMLKeys(ctx), s.Broker.RotateSAMLKeysDue(ctx)); err != nil && ctx.Err() == nil {
		s.Logger.LogAttrs(ctx, slog.LevelError, "could not rotate the keys at external providers", slog.String("event", "key_rotation_failed"), slog.Any("error", err))
	}
}

// rotateKeys rotates the signing keys if it is time, and removes those that an operator
// or the schedule has retired.
func (s *Server) rotateKeys(ctx context.Context) error {
	if err := s.Keys.RemoveRetired(ctx); err != nil || s.RotateKeys <= 0 {
		return err
	}
	rotation, done, err := s.Keys.RotateDue(ctx, s.RotateKeys)
	if err != nil || !done {
		return err
	}
	s.Logger.LogAttrs(ctx, slog.LevelInfo, "new signing keys are published", slog.String("event", "signing_keys_rotated"), slog.String("via", "schedule"),
		slog.Int("keys", len(rotation.Keys)), slog.Time("signs_from", rotation.Active.UTC()), slog.Time("old_keys_published_until", rotation.Retired.UTC()))
	return nil
}

// sweepAll removes all that has expired, a part at a time, so that others have their
// turn. Whatever a flood has left goes at once.
func (s *Server) sweepAll(ctx context.Context) error {
	now := s.Now()
	for more := true; more; {
		err := s.Store.Update(ctx, func(tx store.Tx) (err error) {
			more, err = tx.Sweep(now, sweepLimit)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
