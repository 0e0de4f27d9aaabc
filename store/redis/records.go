package redis

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"
)

const (
	// copyFor is how long a copy may be used even if the server has reported no
	// change, because notifications may be lost, and a server that was replaced
	// does not know of changes. Callers that rely on Version call again after
	// versionFor. Together these are the ten seconds for which outdated records may
	// be used.
	copyFor    = 9 * time.Second
	versionFor = time.Second

	// deleteAtOnce is the maximum number of keys per round trip.
	deleteAtOnce = 100

	// mostMilliseconds is a century. Servers refuse longer expiries.
	mostMilliseconds = 100 * 365 * 24 * 3600 * 1000
)

// Load implements store.Store. It uses copies.
func (l *link) Load(ctx context.Context, keys ...string) ([][]byte, error) {
	if l.settings.Cluster && l.written.any(keys) {
		return l.Reload(ctx, keys...)
	}
	records, err := l.read(ctx, "load", keys, func(ctx context.Context, client valkey.Client) []valkey.ValkeyResult {
		commands := make([]valkey.CacheableTTL, len(keys))
		names := l.named(keys)
		for i, key := range keys {
			length := len(l.settings.Prefix) + len(key)
			commands[i] = valkey.CT(client.B().Get().Key(names[:length]).Cache(), copyFor)
			names = names[length:]
		}
		return client.DoMultiCache(ctx, commands...)
	})
	if errors.Is(err, errFull) {
		// A full server refuses transactions, which the library uses for copies,
		// but still responds to reads.
		return l.Reload(ctx, keys...)
	}
	return records, err
}

// named joins the names of all keys. It is called on every request.
func (l *link) named(keys []string) string {
	var b strings.Builder
	length := 0
	for _, key := range keys {
		length += len(l.settings.Prefix) + len(key)
	}
	b.Grow(length)
	for _, key := range keys {
		b.WriteString(l.settings.Prefix)
		b.WriteString(key)
	}
	return b.String()
}

// Reload implements store.Store.
func (l *link) Reload(ctx context.Context, keys ...string) ([][]byte, error) {
	return l.read(ctx, "reload", keys, func(ctx context.Context, client valkey.Client) []valkey.ValkeyResult {
		commands := make(valkey.Commands, len(keys))
		for i, key := range keys {
			commands[i] = client.B().Get().Key(l.settings.Prefix + key).Build()
		}
		return client.DoMulti(ctx, commands...)
	})
}

func (l *link) read(ctx context.Context, what string, keys []string, ask func(context.Context, valkey.Client) []valkey.ValkeyResult) ([][]byte, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	records := make([][]byte, len(keys))
	err := l.call(ctx, what, keys[0], func(ctx context.Context, client valkey.Client) error {
		for i, result := range ask(ctx, client) {
			record, err := result.AsBytes()
			if valkey.IsValkeyNil(err) {
				record, err = nil, nil
			}
			if err != nil {
				return err
			}
			records[i] = record
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return records, nil
}

// Save implements store.Store. It copies the record, because the library may still
// use it after the call, when the caller may change it.
func (l *link) Save(ctx context.Context, key string, record []byte, expires time.Time) error {
	left := milliseconds(expires)
	if left <= 0 {
		return l.Delete(ctx, key)
	}
	return l.write(ctx, "save", []string{key}, func(ctx context.Context, client valkey.Client) error {
		return firstError(client.DoMulti(ctx, l.settled(client,
			client.B().Set().Key(l.settings.Prefix+key).Value(string(record)).PxMilliseconds(left).Build())...))
	})
}

// replace is done where the record is still the old one.
var replace = valkey.NewLuaScript(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
	return 0
end
if tonumber(ARGV[3]) > 0 then
	redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else
	redis.call('UNLINK', KEYS[1])
end
return 1`)

// Replace implements store.Store.
func (l *link) Replace(ctx context.Context, key string, old, record []byte, expires time.Time) (done bool, err error) {
	err = l.write(ctx, "replace", []string{key}, func(ctx context.Context, client valkey.Client) error {
		var err error
		done, err = replace.Exec(ctx, client, []string{l.settings.Prefix + key}, []string{
			string(old), string(record), decimal(milliseconds(expires)),
		}).AsBool()
		if err != nil || !done {
			return err
		}
		return firstError(client.DoMulti(ctx, l.settled(client)...))
	})
	return done && err == nil, err
}

// Delete implements store.Store.
func (l *link) Delete(ctx context.Context, keys ...string) error {
	for len(keys) > 0 {
		some := keys[:min(len(keys), deleteAtOnce)]
		keys = keys[len(some):]
		err := l.write(ctx, "delete", some, func(ctx context.Context, client valkey.Client) error {
			commands := make(valkey.Commands, 0, len(some)+1)
			for _, key := range some {
				commands = append(commands, client.B().Unlink().Key(l.settings.Prefix+key).Build())
			}
			return firstError(client.DoMulti(ctx, l.settled(client, commands...)...))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// write changes records such that the next Load sees it.
func (l *link) write(ctx context.Context, what string, keys []string, ask func(context.Context, valkey.Client) error) error {
	if l.settings.Cluster {
		// Remember the keys from before the write, for concurrent Loads, until all
		// copies made by those have expired.
		window := copyFor + 2*l.settings.Timeout
		l.written.add(window, keys...)
		defer l.written.add(window, keys...)
	}
	defer l.changed(nil)
	return l.call(ctx, what, keys[0], ask)
}

// settled appends a read to commands. Its response comes after the notifications of
// their changes: since Redis 7, servers send those after the response to a command.
// In a cluster, reads without a key go to any server; see recent.
func (l *link) settled(client valkey.Client, commands ...valkey.Completed) valkey.Commands {
	if l.settings.Cluster {
		return commands
	}
	return append(commands, client.B().Ping().Build())
}

func firstError(results []valkey.ValkeyResult) error {
	for _, result := range results {
		if err := result.Error(); err != nil {
			return err
		}
	}
	return nil
}

// milliseconds returns the milliseconds until then. A duration is sent rather than
// a time, since the server's clock may differ.
func milliseconds(then time.Time) int64 {
	return min(time.Until(then).Milliseconds(), mostMilliseconds)
}
