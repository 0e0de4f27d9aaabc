package server

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// This file does the work that needs no request: deleting what has expired, and rotating
// keys when they are due.

const (
	sweepEvery = time.Minute
	sweepLimit = 5000
)

// upkeep calls keepUp every sweepEvery until ctx ends.
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

// keepUp does the work that is due. Work that fails is tried again at the next interval.
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

// rotateKeys rotates the signing keys if they are due, and deletes those that have been
// retired by an operator or by schedule.
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

// sweepAll deletes everything that has expired, in several transactions, so that others
// get their turn. It continues until nothing is left, however much a flood has produced.
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
