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
	// pingEvery is how long a connection may be silent before it gets a PING.
	// Responses are noticed at the next check, so that it may take twice as long.
	pingEvery = 400 * time.Millisecond

	// sentinelPingEvery is pingEvery for Sentinels. dial distinguishes the two by
	// it.
	sentinelPingEvery = time.Second

	// probeEvery is how often a failing server is probed.
	probeEvery = 200 * time.Millisecond

	// topologyEvery is how often Sentinels or nodes are asked for the master, in
	// addition to their notifications.
	topologyEvery = 2 * time.Second

	// linger is how long connections outlive their configuration, for requests
	// that began under it.
	linger = 10 * time.Second

	// mostCopies is the maximum size in bytes of the copies of records per server.
	mostCopies = 64 << 20
)

// link is the connection to a server, or to those of a cluster, and its state.
// Configurations with equal settings share one.
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
	// all reports that no call can succeed, so that none is tried.
	all bool
	key string // the key of the failed call; in a cluster, only one server may be failing
}

// pooled is a link in the pool.
type pooled struct{ *link }

// Destruct implements caddy.Destructor. It ends the link.
func (p pooled) Destruct() error {
	time.AfterFunc(p.linger, p.end)
	return nil
}

// acquire returns the link for settings. It connects at first use.
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

// end closes all connections and ends background work.
func (l *link) end() {
	l.finish.Do(func() {
		close(l.ended)
		l.sockets.drop(true)
	})
}

// over reports whether the link has ended.
func (l *link) over() bool {
	select {
	case <-l.ended:
		return true
	default:
		return false
	}
}

// ready returns the client once there is one. If no call can succeed, it returns an
// error at once.
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

// keep connects, and then probes the server after failures.
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

// pause waits, and returns false when the link has ended.
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

// connect creates a client. It fails if no connection can be made yet; later the
// client reconnects by itself.
func (l *link) connect() (valkey.Client, error) {
	c := l.settings
	dialer := net.Dialer{Timeout: c.Timeout, KeepAlive: pingEvery}
	option := valkey.ClientOption{
		InitAddress: c.Addresses, Username: c.Username, Password: c.Password, SelectDB: c.Database,
		TLSConfig: c.tls, Dialer: dialer, DialCtxFn: l.dial, ConnWriteTimeout: c.Timeout,
		ClientSetInfo: valkey.DisableClientSetInfo,
		// Use one connection per server, so that its notifications of changes
		// precede the responses to later commands.
		PipelineMultiplex: -1, AlwaysPipelining: true,
		// Track everything that is read. With OPTIN, a server that refuses CLIENT
		// CACHING would track nothing, and the library would still keep copies.
		ClientTrackingOptions: []string{"OPTOUT"},
		OnInvalidations:       l.changed, // called after the copies were removed
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

// Version implements store.Versioned. It stays the same while no copy that Load may
// have used has become invalid: the server has reported no change, no connection
// was lost, and no call of this node has changed anything.
func (l *link) Version() uint64 {
	if l.trouble.Load() != nil {
		return 0
	}
	return l.version.Load()
}

// changed records that copies have become invalid.
func (l *link) changed([]valkey.ValkeyMessage) { l.version.Add(1) }

// retryDelay lets the library retry at once if a connection broke during a command,
// and a few times if a cluster moves keys. Other commands fail immediately, because
// requests wait for them.
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

// recovered records that the trouble is over.
func (l *link) recovered() {
	if l.trouble.Swap(nil) != nil {
		l.logger.Load().Info("the session store works again", zap.String("event", "store_up"), zap.String("store", "redis"))
	}
}

// probe runs the commands of calls with a key of its own, and reports whether all
// succeeded. A server that responds but refuses some of them may still be used.
func (l *link) probe(client valkey.Client, key string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), l.settings.Timeout)
	defer cancel()
	key = l.settings.Prefix + "probe:{" + key + "}" // a hash tag, for the same server of a cluster
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

// call runs a command. It limits the time, and distinguishes outages from errors
// that concern only this caller.
func (l *link) call(ctx context.Context, what, key string, ask func(context.Context, valkey.Client) error) error {
	if ctx.Err() != nil {
		return failed(what, context.Cause(ctx))
	}
	within := &limited{Context: ctx, timeout: l.settings.Timeout}
	defer within.end()
	client, err := l.ready(within)
	if err == nil {
		// Callers that wait for one connection share its error, which may be that
		// of another caller's context.
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

// othersFault reports whether an error may be caused by another call for the same
// key: its context ended, or its connection broke.
func othersFault(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, valkey.ErrDoCacheAborted)
}
