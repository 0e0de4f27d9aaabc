package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/valkey-io/valkey-go"
	"go.uber.org/zap"
)

const (
	// pingEvery is how long a connection may be without an answer before a PING
	// asks for one. An answer just after one look at the clock is seen at the
	// next, so that twice as long may pass.
	pingEvery = 400 * time.Millisecond

	// sentinelPingEvery is pingEvery for Sentinels. dial distinguishes the two by it.
	sentinelPingEvery = time.Second

	// probeEvery is how often a server in trouble is asked again.
	probeEvery = 200 * time.Millisecond

	// topologyEvery is how often Sentinels or nodes are asked who is master,
	// besides their own notifications.
	topologyEvery = 2 * time.Second

	// linger is how long connections outlive their configuration, for requests
	// that began under it.
	linger = 10 * time.Second

	// mostCopies limits the copies of records, by bytes, for each server.
	mostCopies = 64 << 20
)

// link is the connection to a server, or to those of a cluster, and what is
// known of its state. All configurations that say the same share one.
type link struct {
	settings settings
	logger   atomic.Pointer[zap.Logger]
	linger   time.Duration

	client  atomic.Pointer[valkey.Client]
	trouble atomic.Pointer[trouble]
	sockets sockets
	written recent
	version atomic.Uint64 // see Version

	begin, finish sync.Once
	tried         chan struct{} // closed after the first attempt
	wake          chan struct{}
	ended         chan struct{}
}

// trouble is why calls fail, until a probe succeeds.
type trouble struct {
	err error
	// all: no call can succeed, so that none is tried.
	all bool
	key string // where it was met: of a cluster only one server may be in trouble
}

// pooled is a link in the pool.
type pooled struct{ *link }

// Destruct ends the link when the last configuration has.
func (p pooled) Destruct() error {
	time.AfterFunc(p.linger, p.end)
	return nil
}

// acquire returns the link for these settings, which connects at first use.
func acquire(c settings, logger *zap.Logger) (*link, func() error, error) {
	key, err := c.fingerprint()
	if err != nil {
		return nil, nil, err
	}
	value, _, err := links.LoadOrNew(key, func() (caddy.Destructor, error) { return pooled{newLink(c)}, nil })
	if err != nil {
		return nil, nil, err
	}
	l := value.(pooled).link
	l.logger.Store(logger)
	return l, func() error { _, err := links.Delete(key); return err }, nil
}

func newLink(c settings) *link {
	l := &link{
		settings: c, linger: linger,
		tried: make(chan struct{}), wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	l.logger.Store(zap.NewNop())
	l.version.Store(1)
	return l
}

// end closes all connections, and ends what happens in the background.
func (l *link) end() {
	l.finish.Do(func() {
		close(l.ended)
		l.sockets.drop(true)
	})
}

// over is whether the link has ended.
func (l *link) over() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// ready returns the client, once there is one. Where no call can succeed it
// returns at once.
func (l *link) ready(ctx context.Context) (valkey.Client, error) {
	for waited := false; ; waited = true {
		if t := l.trouble.Load(); t != nil && t.all {
			return nil, t.err
		}
		if client := l.client.Load(); client != nil {
			return *client, nil
		}
		if waited || l.over() {
			return nil, errClosed
		}
		l.begin.Do(func() { go l.keep() })
		select {
		case <-l.tried:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// keep connects, and then looks after whatever trouble calls meet.
func (l *link) keep() {
	var tried sync.Once
	attempted := func() { tried.Do(func() { close(l.tried) }) }
	defer attempted()
	var client valkey.Client
	for client == nil {
		var err error
		if client, err = l.connect(); err != nil {
			client = nil
			if l.over() {
				return
			}
			l.fail(&trouble{err: err, all: true})
			attempted()
			if !l.pause(probeEvery) {
				return
			}
		}
	}
	defer client.Close()
	l.client.Store(&client)
	l.recovered()
	attempted()
	go l.warnOfEviction(client)
	tick := time.NewTicker(versionFor)
	defer tick.Stop()
	for {
		select {
		case <-l.ended:
			return
		case <-l.wake:
		case <-tick.C:
			l.changed(nil)
		}
		for t := l.trouble.Load(); t != nil; t = l.trouble.Load() {
			if l.probe(client, t.key) {
				l.recovered()
			} else if !l.pause(probeEvery) {
				return
			}
		}
	}
}

// pause waits, and is false when the link has ended.
func (l *link) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-l.ended:
		return false
	case <-timer.C:
		return true
	}
}

// connect makes a client. It fails when there is no connection yet; later the
// client connects by itself.
func (l *link) connect() (valkey.Client, error) {
	c := l.settings
	dialer := net.Dialer{Timeout: c.Timeout, KeepAlive: pingEvery}
	option := valkey.ClientOption{
		InitAddress: c.Addresses, Username: c.Username, Password: c.Password, SelectDB: c.Database,
		TLSConfig: c.tls, Dialer: dialer, DialCtxFn: l.dial, ConnWriteTimeout: c.Timeout,
		ClientSetInfo: valkey.DisableClientSetInfo,
		// One connection to each server, so that its notifications of changes come
		// before the answers to what was asked later.
		PipelineMultiplex: -1, AlwaysPipelining: true,
		// All that is read is tracked. With OPTIN a server that refuses CLIENT
		// CACHING would track nothing, and the library keep copies for all that.
		ClientTrackingOptions: []string{"OPTOUT"},
		OnInvalidations:       l.changed, // after the copies are gone
		CacheSizeEachConn:     mostCopies, ReadBufferEachConn: 64 << 10, WriteBufferEachConn: 64 << 10,
		ForceSingleClient: !c.Cluster && c.Master == "",
		RetryDelay:        retryDelay,
	}
	if c.Master != "" {
		option.Sentinel = valkey.SentinelOption{
			MasterSet: c.Master, Username: c.SentinelUsername, Password: c.SentinelPassword, TLSConfig: c.tls,
			Dialer:                  net.Dialer{Timeout: c.Timeout, KeepAlive: sentinelPingEvery},
			TopologyRefreshInterval: topologyEvery,
		}
	}
	if c.Cluster {
		option.ClusterOption = valkey.ClusterOption{ShardsRefreshInterval: topologyEvery, MaxMovedRedirections: 5}
	}
	client, err := valkey.NewClient(option)
	if err != nil {
		if client != nil {
			client.Close()
		}
		l.sockets.drop(false)
		return nil, l.explain(err)
	}
	return client, nil
}

// Version stays the same while no copy that Load may have answered from has
// ended: the server has reported no change, no connection was lost, and none of
// this node's calls has changed anything.
func (l *link) Version() uint64 {
	if l.trouble.Load() != nil {
		return 0
	}
	return l.version.Load()
}

// changed says that copies have ended.
func (l *link) changed([]valkey.ValkeyMessage) { l.version.Add(1) }

// retryDelay lets the library ask again at once where a connection broke under
// a question, and a few times where a cluster moves keys. All else fails now:
// who waits for us has no time.
func retryDelay(attempts int, _ valkey.Completed, _ error) time.Duration {
	if attempts > 3 {
		return -1
	}
	return time.Duration(attempts-1) * 10 * time.Millisecond
}

// fail records an outage, and logs it when it begins.
func (l *link) fail(t *trouble) {
	for {
		old := l.trouble.Load()
		if old != nil && (old.all || !t.all) {
			return
		}
		if l.trouble.CompareAndSwap(old, t) {
			if old == nil {
				l.logger.Load().Error("the session store fails", zap.String("event", "store_down"), zap.String("store", "redis"), zap.Error(t.err))
			}
			break
		}
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// recovered notes that the trouble is over.
func (l *link) recovered() {
	if l.trouble.Swap(nil) != nil {
		l.logger.Load().Info("the session store works again", zap.String("event", "store_up"), zap.String("store", "redis"))
	}
}

// probe does what calls do, with a key of its own, and is true when all of it
// succeeded. A server that answers but refuses something may still be asked.
func (l *link) probe(client valkey.Client, key string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), l.settings.Timeout)
	defer cancel()
	key = l.settings.Prefix + "probe:{" + key + "}" // the braces: on the same server of a cluster
	err := firstError(client.DoMulti(ctx, l.settled(client, client.B().Set().Key(key).Value("1").Px(time.Second).Build())...))
	if err == nil {
		err = firstError(client.DoMultiCache(ctx, valkey.CT(client.B().Get().Key(key).Cache(), time.Second)))
	}
	if err == nil {
		err = dropLock.Exec(ctx, client, []string{key}, []string{"1"}).Error()
	}
	if err == nil || valkey.IsValkeyNil(err) {
		return true
	}
	if t := l.assess(err, ""); !t.all {
		if old := l.trouble.Load(); old != nil && old.all {
			l.trouble.CompareAndSwap(old, &trouble{err: t.err, key: old.key})
		}
	}
	return false
}

// call asks the server. It limits the time, and distinguishes an outage from what is
// only the caller's.
func (l *link) call(ctx context.Context, what, key string, ask func(context.Context, valkey.Client) error) error {
	if ctx.Err() != nil {
		return failed(what, context.Cause(ctx))
	}
	within := &limited{Context: ctx, timeout: l.settings.Timeout}
	defer within.end()
	client, err := l.ready(within)
	if err == nil {
		// Callers that wait for one connection share its fate: when another one's
		// context ended, ours has not.
		for range 3 {
			if err = ask(within, client); !othersFault(err) || within.Err() != nil {
				break
			}
		}
		if err != nil && ctx.Err() == nil && !l.over() {
			t := l.assess(err, key)
			l.fail(t)
			err = t.err
		}
	}
	if err == nil {
		return nil
	}
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case l.over():
		err = errClosed
	case errors.Is(err, context.DeadlineExceeded):
		err = errSilent
	}
	return failed(what, err)
}

func failed(what string, err error) error {
	return fmt.Errorf("session store redis: %s: %w", what, err)
}

// othersFault is for errors that may be about another call, which asked the
// same: its context ended, or its connection.
func othersFault(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, valkey.ErrDoCacheAborted)
}
