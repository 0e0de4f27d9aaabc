package accesskey

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/claims"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

const (
	// MaxFile is the maximum size of a file in bytes: about 100,000 keys.
	MaxFile = 16 << 20
	// keptFor is how long the last content of a file remains in use if it cannot be
	// read.
	keptFor = time.Hour
	// loggedLines is how many invalid lines are logged individually.
	loggedLines = 10
)

// GroupsClaim is the claim with the groups in a key's session.
const GroupsClaim = "groups"

// Keys are the keys of one file, which is read again within seconds when it changes.
// They are a program.Verifier.
type Keys struct {
	path   string
	now    func() time.Time
	logger *slog.Logger

	value *livefile.Value[set]
	// unreadable is since when the file cannot be read, in Unix nanoseconds, or
	// zero. over reports whether its last content is no longer used.
	unreadable atomic.Int64
	over       atomic.Bool
}

// set is the content of a file: its keys by their hashes.
type set map[Hash]*key

// key is one of them.
type key struct {
	Line
	// loaded is the session of the key, once it has been used.
	loaded atomic.Pointer[sessionstore.Loaded]
}

var _ program.Verifier = (*Keys)(nil)

// Open returns the keys of a file, which must exist.
func Open(path string, now func() time.Time, logger *slog.Logger) (*Keys, error) {
	k := &Keys{path: path, now: now, logger: logger.With(slog.String("file", path))}
	var err error
	if k.value, err = livefile.NewLimited(MaxFile, now, k.notify, k.read); err == nil && len(k.value.Get()) == 0 {
		k.logger.Warn("a file of access keys has no key", slog.String("event", "access_keys_empty"))
	}
	return k, err
}

func (k *Keys) read(read livefile.Read) (set, error) {
	text, err := read(k.path)
	if err != nil {
		return nil, err
	}
	lines, bad := Parse(string(text))
	for i, line := range bad {
		if i == loggedLines {
			k.logger.Warn("more lines of a file of access keys count as absent", slog.String("event", "access_keys_lines_ignored"), slog.Int("lines", len(bad)-i))
			break
		}
		k.logger.Warn("a line of a file of access keys counts as absent", slog.String("event", "access_keys_lines_ignored"), slog.Int("line", line.Number), slog.String("reason", line.Reason))
	}
	found := make(set, len(lines))
	for _, line := range lines {
		found[line.Hash] = &key{Line: line}
	}
	return found, nil
}

// notify logs events of the file, and records since when it cannot be read.
func (k *Keys) notify(e livefile.Event) {
	switch e.Kind {
	case livefile.Changed:
		k.unreadable.Store(0)
		k.over.Store(false)
		k.logger.Info("a file of access keys has changed and is in use", slog.String("event", "access_keys_reloaded"))
	case livefile.Broken:
		k.unreadable.CompareAndSwap(0, k.now().UnixNano())
		k.logger.Error("a file of access keys cannot be read; its last content counts for an hour, then no key in it does", slog.String("event", "access_keys_unreadable"), slog.Any("error", e.Err))
	case livefile.Writable:
		k.logger.Warn("every user of this machine can write to a file of access keys", slog.String("event", "file_writable_by_all"))
	}
}

// keys returns the keys that are in use.
func (k *Keys) keys() set {
	all := k.value.Get()
	since := k.unreadable.Load()
	if since == 0 || k.now().UnixNano()-since < int64(keptFor) {
		return all
	}
	if !k.over.Swap(true) {
		k.logger.Error("a file of access keys could not be read for an hour; no key in it counts", slog.String("event", "access_keys_expired"))
	}
	return nil
}

// Kind implements program.Verifier.
func (k *Keys) Kind() program.Kind { return program.Key }

// Recognizes implements program.Verifier.
func (k *Keys) Recognizes(token string) bool { return strings.HasPrefix(token, program.KeyPrefix) }

// Verify implements program.Verifier. The key is looked up by its hash, so that
// timing reveals nothing about other keys.
func (k *Keys) Verify(_ context.Context, token string) (*sessionstore.Loaded, error) {
	name, err := NameIn(token)
	if err != nil {
		return nil, &program.Refusal{Reason: err.Error()}
	}
	found := k.keys()[HashOf(token)]
	switch {
	case found == nil:
		return nil, &program.Refusal{Reason: "no line has this access key"}
	case found.Name != name:
		return nil, &program.Refusal{Reason: "its line has another name than the access key"}
	case found.IsExpired(k.now()):
		return nil, &program.Refusal{Reason: "the access key has expired", Session: &found.session().Session}
	}
	return found.session(), nil
}

// session returns the session of the key. It is created once, so that its caches
// last as long as the file is unchanged.
func (k *key) session() *sessionstore.Loaded {
	if made := k.loaded.Load(); made != nil {
		return made
	}
	made := &sessionstore.Loaded{Session: session.Session{
		Kind: session.Key, Provider: program.KeyProvider, Subject: k.Name, Username: k.Name, Expires: k.Expires,
	}}
	copy(made.Session.ID[:], k.Hash[:]) // distinguishes keys of the same name in logs
	if len(k.Groups) > 0 {
		groups, _ := json.Marshal(k.Groups) // texts always marshal
		made.Session.Claims, _ = claims.Encode(map[string]json.RawMessage{GroupsClaim: groups})
	}
	if k.loaded.CompareAndSwap(nil, made) {
		return made
	}
	return k.loaded.Load()
}
