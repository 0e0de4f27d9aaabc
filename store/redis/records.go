package redis

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/valkey-io/valkey-go"
)

const (
	// copyFor is how long a copy may be kept, however reliably the server reports
	// of changes: something between us may be less so, and a server that others
	// have given up does not know.
	// Who goes by Version asks again after versionFor: together that is the ten
	// seconds for which anybody may go by what was there.
	copyFor    = 9 * time.Second
	versionFor = time.Second

	// deleteAtOnce limits the keys of one round trip.
	deleteAtOnce = 100

	// mostMilliseconds is a century: more than servers can add to their time is
	// an error there.
	mostMilliseconds = 100 * 365 * 24 * 3600 * 1000
)

// Load returns the record of each key, from a copy where there is one.
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
		// A server that is full begins no transaction, in which the library asks
		// for what it keeps. It answers questions.
		return l.Reload(ctx, keys...)
	}
	return records, err
}

// named returns the names of all keys in one text: this is asked for on every
// request.
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

// Reload returns the record of each key, from the server.
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

// Save keeps a record until it expires. The record is copied: a call that ends
// early may leave it with the library, and who called may use it again.
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

// Replace is Save where the record is still the old one.
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

// Delete removes the records.
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

// write changes records so that the next Load sees it.
func (l *link) write(ctx context.Context, what string, keys []string, ask func(context.Context, valkey.Client) error) error {
	if l.settings.Cluster {
		// From before, for a Load meanwhile, until no copy is left that was made
		// by one which had begun.
		window := copyFor + 2*l.settings.Timeout
		l.written.add(window, keys...)
		defer l.written.add(window, keys...)
	}
	defer l.changed(nil)
	return l.call(ctx, what, keys[0], ask)
}

// settled adds a question to commands whose answer comes after the server has
// told of the changes that they make: since Redis 7 it answers first, and tells
// then. In a cluster questions without a key go to any server; see recent.
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

// milliseconds are left until then. They are counted here and not sent as a
// time: the server's clock may be another.
func milliseconds(then time.Time) int64 {
	return min(time.Until(then).Milliseconds(), mostMilliseconds)
}
