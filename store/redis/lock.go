package redis

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/valkey-io/valkey-go"
)

const (
	// lockFor is how long a lock is held after its last renewal, and so how long
	// others wait when its holder dies.
	lockFor   = 15 * time.Second
	renewLock = 4 * time.Second

	// Limits of the interval at which waiting callers try again, with jitter.
	firstWait = 10 * time.Millisecond
	mostWait  = 200 * time.Millisecond
)

var (
	// takeLock takes a free lock, or one that an earlier attempt took whose
	// response was lost.
	takeLock = valkey.NewLuaScript(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
	return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)

	// dropLock releases a lock if it is still ours.
	dropLock = valkey.NewLuaScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then
	return redis.call('UNLINK', KEYS[1])
end
return 0`)
)

// Lock implements store.Store. The lock is held until unlock is called, or no
// renewal has reached the server for 15 seconds.
func (l *link) Lock(ctx context.Context, name string) (unlock func(), err error) {
	held := &lock{link: l, key: "lock:" + name, token: rand.Text()}
	for wait := firstWait; ; wait = min(2*wait, mostWait) {
		taken, err := held.take(ctx)
		if err != nil {
			// The server may have taken it although the reply was lost.
			go held.drop()
			return nil, err
		}
		if taken {
			break
		}
		timer := time.NewTimer(wait/2 + mathrand.N(wait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, failed("lock", context.Cause(ctx))
		}
	}
	released := make(chan struct{})
	go held.renew(released)
	return sync.OnceFunc(func() {
		close(released)
		held.drop()
	}), nil
}

// lock is a lock that is held or waited for. Its key has a colon, which keys of
// records do not have.
type lock struct {
	*link
	key, token string
	// mu keeps a renewal from taking the lock again after its release.
	mu sync.Mutex
}

func (h *lock) take(ctx context.Context) (taken bool, err error) {
	err = h.call(ctx, "lock", h.key, func(ctx context.Context, client valkey.Client) error {
		taken, err = takeLock.Exec(ctx, client, []string{h.settings.Prefix + h.key},
			[]string{h.token, decimal(lockFor.Milliseconds())}).AsBool()
		return err
	})
	return taken, err
}

// renew renews the lock. If that fails, the next time may succeed: only the server
// knows whether another caller has it.
func (h *lock) renew(released <-chan struct{}) {
	ticker := time.NewTicker(renewLock)
	defer ticker.Stop()
	for {
		select {
		case <-released:
			return
		case <-h.ended:
			return
		case <-ticker.C:
		}
		h.mu.Lock()
		select {
		case <-released:
		default:
			_, _ = h.take(context.Background())
		}
		h.mu.Unlock()
	}
}

func (h *lock) drop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	_ = h.call(context.Background(), "unlock", h.key, func(ctx context.Context, client valkey.Client) error {
		return dropLock.Exec(ctx, client, []string{h.settings.Prefix + h.key}, []string{h.token}).Error()
	})
}

func decimal(number int64) string { return strconv.FormatInt(number, 10) }
