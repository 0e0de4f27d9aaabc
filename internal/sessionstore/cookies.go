package sessionstore

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/cookie"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/refresh"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/revocation"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

// Cookies configures a Manager that keeps sessions in cookies. Nodes learn from the
// log which sessions were revoked.
type Cookies struct {
	Log       *revocation.Log
	Refreshes *refresh.Coordinator
	// MaxChunks returns the maximum number of cookies that a session is split into.
	MaxChunks func() int
	// TokenDropped is called with a session that fits only without its refresh
	// token, and the size of that token.
	TokenDropped func(s *session.Session, bytes int)
}

type cookieManager struct {
	base
	Cookies
}

// NewCookieManager returns a Manager that seals sessions into cookies.
func NewCookieManager(c Config, in Cookies) Manager {
	return &cookieManager{newBase(c), in}
}

// buffers are used while a cookie is opened.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func (m *cookieManager) Load(ctx context.Context, ring *seal.Ring, aad, value string, now time.Time) (*Loaded, error) {
	k := m.key(ring, aad, value)
	l := m.Cache.get(&k)
	if l == nil {
		buffer := buffers.Get().(*[]byte)
		defer buffers.Put(buffer)
		*buffer = slices.Grow((*buffer)[:0], seal.OpenSize(aad, value))
		plain, stale, err := ring.OpenIn(*buffer, seal.ForSession, aad, value)
		if err != nil {
			return nil, unlessUnknownKey(err)
		}
		l = &Loaded{Stale: stale}
		if l.Session.DecodeText(string(plain)) != nil {
			openedInvalid.Inc()
			return nil, nil
		}
		k.value = strings.Clone(value) // without the header that it is part of
		m.Cache.set(k, l)
		m.Opened(&l.Session, aad, k.value)
	}
	if m.expired(&l.Session, now) {
		openedExpired.Inc()
		return nil, nil
	}
	if valid, err := m.validAt(ctx, l, now); err != nil || !valid {
		return nil, countRevoked(err)
	}
	return l, nil
}

func (m *cookieManager) Valid(ctx context.Context, l *Loaded) (bool, error) {
	return m.validAt(ctx, l, m.Now())
}

func (m *cookieManager) EndedByTime(ctx context.Context, s *session.Session, now time.Time) (bool, error) {
	if !m.expired(s, now) {
		return false, nil
	}
	return m.validAt(ctx, &Loaded{Session: *s}, now)
}

func (m *cookieManager) validAt(ctx context.Context, l *Loaded, now time.Time) (bool, error) {
	if !m.Log.Fresh(now) {
		if err := m.Log.Ready(ctx); err != nil {
			return false, err
		}
	}
	return !m.revokedIn(m.Log, l), nil
}

func (m *cookieManager) Create(ctx context.Context, ring *seal.Ring, aad string, fresh *session.Session) ([]string, error) {
	if err := m.begin(ctx, m.Log, fresh); err != nil {
		return nil, err
	}
	return m.split(ring, aad, fresh)
}

func (m *cookieManager) Update(_ context.Context, ring *seal.Ring, aad string, _ *Loaded, newer *session.Session) ([]string, error) {
	return m.split(ring, aad, newer)
}

func (m *cookieManager) Revoke(ctx context.Context, l *Loaded) error {
	return counted(m.Log.Add(ctx, m.revocationOf(&l.Session, m.Now())))
}

func (m *cookieManager) IsRevoked(ctx context.Context, target *revocation.Target) (bool, error) {
	return isRevokedIn(ctx, m.Log, target)
}

func (m *cookieManager) RevokeParent(ctx context.Context, parent *session.Parent) error {
	return m.Log.Add(ctx, m.revocationOfParent(parent))
}

func (m *cookieManager) Revocations() Revocations { return m.Log }

func (m *cookieManager) Ready(context.Context) error { return nil }

func (m *cookieManager) Superseded(s *session.Session) bool { return m.Refreshes.Superseded(s) }

// split seals a session and splits it into cookies. If it is too large only because
// of its refresh token, it drops the token.
func (m *cookieManager) split(ring *seal.Ring, aad string, fresh *session.Session) ([]string, error) {
	most := m.MaxChunks()
	value := ring.Seal(seal.ForSession, aad, fresh.Encode())
	chunks, ok := cookie.Split(value, most)
	if !ok && fresh.Grant.RefreshToken != "" {
		token := len(fresh.Grant.RefreshToken)
		fresh.DropGrant()
		value = ring.Seal(seal.ForSession, aad, fresh.Encode())
		if chunks, ok = cookie.Split(value, most); ok {
			m.TokenDropped(fresh, token)
		}
	}
	if !ok {
		return nil, &TooLargeError{m.TooLarge(fresh, len(value), most*cookie.ChunkSize-1)}
	}
	return chunks, nil
}
