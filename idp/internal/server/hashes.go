package server

import (
	"context"
	"log/slog"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/passwords"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// hashesEvery is how often a node looks for hashes imported by other nodes.
const hashesEvery = 10 * time.Minute

// watchHashes looks for imported hashes that take longer than ours, immediately and then
// every hashesEvery. Any node may import them, and they disappear when their users sign
// in.
func (s *Server) watchHashes(ctx context.Context) {
	ticker := time.NewTicker(hashesEvery)
	defer ticker.Stop()
	for {
		s.MeasureHashes(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// MeasureHashes determines how long all verifications of passwords have to take. It must
// be called after an import.
func (s *Server) MeasureHashes(ctx context.Context) {
	if _, err := s.measureHashes(ctx); err != nil && ctx.Err() == nil {
		s.Logger.LogAttrs(ctx, slog.LevelWarn, "could not look for imported passwords", slog.String("event", "sweep_failed"), slog.Any("error", err))
	}
}

// measureHashes returns for how long each verification occupies the queue; zero if there
// are no imported hashes.
func (s *Server) measureHashes(ctx context.Context) (time.Duration, error) {
	var imported []string
	err := s.Store.View(ctx, func(tx store.Tx) (err error) {
		imported, err = tx.HashBeginnings(passwords.KindPrefix, passwords.KindSize)
		return err
	})
	if err != nil {
		return 0, err
	}
	return s.Passwords.Equalize(ctx, imported)
}
