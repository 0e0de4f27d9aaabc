package oidcrp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/refresh"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// cookieKeeper has the sessions sealed in the browser's cookies. That one has
// ended is an event in the log, which all nodes read.
type cookieKeeper struct {
	h         *Handler
	by        uint64
	log       *revocation.Log
	refresher *refresh.Coordinator
}

// buffers are for what lives no longer than it takes to open a cookie.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func (c *cookieKeeper) open(ctx context.Context, ring *seal.Ring, s *site, value string, now time.Time) (*kept, error) {
	of := handle{c.by, ring.Serial(), s.sessionPlace, value}
	k := opened.get(of)
	if k == nil {
		buffer := buffers.Get().(*[]byte)
		defer buffers.Put(buffer)
		*buffer = slices.Grow((*buffer)[:0], seal.OpenSize(s.sessionPlace, value))
		plain, stale, err := ring.OpenIn(*buffer, seal.ForSession, s.sessionPlace, value)
		if err != nil {
			return nil, none(err)
		}
		// One text for what is remembered: the value, without the header that it
		// is part of, and what it means.
		var text strings.Builder
		text.Grow(len(value) + len(plain))
		text.WriteString(value)
		text.Write(plain)
		k = &kept{stale: stale}
		if k.session.DecodeText(text.String()[len(value):]) != nil {
			return nil, nil
		}
		of.value = text.String()[:len(value)]
		opened.set(of, k)
		c.h.seeLive(&k.session)
	}
	if c.h.sessionOver(&k.session, now) {
		return nil, nil
	}
	if alive, err := c.aliveAt(ctx, k, now); err != nil || !alive {
		return nil, err
	}
	return k, nil
}

func (c *cookieKeeper) alive(ctx context.Context, k *kept) (bool, error) {
	return c.aliveAt(ctx, k, c.h.now())
}

func (c *cookieKeeper) aliveAt(ctx context.Context, k *kept, now time.Time) (bool, error) {
	if !c.log.Fresh(now) { // else there is nothing to wait for
		if err := c.log.Ready(ctx); err != nil {
			return false, err
		}
	}
	return !c.h.revokedBy(c.log, k), nil
}

func (c *cookieKeeper) keep(ctx context.Context, ring *seal.Ring, s *site, fresh *session.Session) ([]string, error) {
	if err := c.h.beginSession(ctx, c.log, fresh); err != nil {
		return nil, err
	}
	return c.split(ring, s, fresh)
}

func (c *cookieKeeper) update(_ context.Context, ring *seal.Ring, s *site, _ *kept, newer *session.Session) ([]string, error) {
	return c.split(ring, s, newer)
}

func (c *cookieKeeper) end(ctx context.Context, k *kept) error {
	return c.log.Add(ctx, endOf(&k.session, c.h.now()))
}

func (c *cookieKeeper) revocations() revocationStore { return c.log }

func (c *cookieKeeper) ready(context.Context) error { return nil }

func (c *cookieKeeper) superseded(s *session.Session) bool { return c.refresher.Superseded(s) }

// split seals a session and cuts it into cookies. One that is too large only
// because of its refresh token goes on without.
func (c *cookieKeeper) split(ring *seal.Ring, s *site, fresh *session.Session) ([]string, error) {
	size := 0
	seal := func() ([]string, bool) {
		value := ring.Seal(seal.ForSession, s.sessionPlace, fresh.Encode())
		size = len(value)
		return cookie.Split(value, c.h.session.MaxChunks)
	}
	chunks, ok := seal()
	if !ok && fresh.Grant.RefreshToken != "" {
		token := len(fresh.Grant.RefreshToken)
		fresh.Grant = session.Grant{}
		if chunks, ok = seal(); ok {
			c.h.logger.Warn("the refresh token does not fit into the session, which goes on without; keep less with session { claims … }"+c.orMoreChunks(),
				zap.String("provider", fresh.Provider), zap.Int("refresh_token_bytes", token), zap.Int("max_chunks", c.h.session.MaxChunks))
		}
	}
	if !ok {
		return nil, &tooLarge{fmt.Errorf("the session takes %d bytes, and %d fit max_chunks %d; the largest claims, before they are compressed, are %s; list those to keep with session { claims … }%s, or keep sessions in a store",
			size, c.h.session.MaxChunks*cookie.ChunkSize-1, c.h.session.MaxChunks, c.h.largestClaims(fresh), c.orMoreChunks())}
	}
	return chunks, nil
}

// orMoreChunks is advice where more cookies are possible.
func (c *cookieKeeper) orMoreChunks() string {
	if c.h.session.MaxChunks < cookie.MaxChunks {
		return fmt.Sprintf(", or raise max_chunks (%d at most)", cookie.MaxChunks)
	}
	return ""
}

// none turns what is wrong with a stranger's value into nothing; only that a
// newer ring may open it matters.
func none(err error) error {
	if errors.Is(err, seal.ErrUnknownKey) {
		return err
	}
	return nil
}

// largestClaims tells an operator what to keep less of.
func (h *Handler) largestClaims(s *session.Session) string {
	groups := groupsEntry
	if p := h.parties[s.Provider]; p != nil {
		groups = p.groups
	}
	return strings.ReplaceAll(strings.Join(s.Claims.Largest(3), ", "), groupsEntry, groups)
}
