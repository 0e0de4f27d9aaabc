package file

import (
	"bytes"
	"errors"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
)

const (
	// keptFor is how long the last content is used after the file has become
	// unreadable.
	keptFor = time.Hour
	// settling is the time between reads when users are missing. Two consecutive
	// reads must agree, because a file that is being written seems to have lost
	// users.
	settling = 200 * time.Millisecond
	// settlingReads is how often the file is read again before giving up.
	settlingReads = 5
	// loggedLines is the number of invalid lines that are logged individually.
	loggedLines = 10
)

var errUnsettled = errors.New("its content changes from one moment to the next")

// content is the content of a file. It is read again when it changes.
type content struct {
	path   string
	now    func() time.Time
	logger *zap.Logger
	sleep  func(time.Duration)

	value *livefile.Value[users]
	last  users // the last users that were read; owned by the check of value
	// unreadable is when the file became unreadable, in Unix nanoseconds, or zero if
	// it can be read. over reports whether it has been logged that the last content
	// has expired.
	unreadable atomic.Int64
	over       atomic.Bool
}

// open reads a file. It returns an error if the file cannot be read.
func open(path string, now func() time.Time, logger *zap.Logger, sleep func(time.Duration)) (*content, error) {
	c := &content{path: path, now: now, logger: logger.With(zap.String("file", path)), sleep: sleep}
	var err error
	if c.value, err = livefile.New(now, c.notify, c.read); err == nil && len(c.last) == 0 {
		c.logger.Warn("a file of known users names no user", zap.String("event", "known_users_empty"))
	}
	return c, err
}

// read reads the file. If users are missing, it waits until the content no
// longer changes.
func (c *content) read(read livefile.Read) (users, error) {
	text, err := read(c.path)
	if err != nil {
		return nil, err
	}
	found, bad := parse(string(text))
	if c.last.lostSome(found) {
		if text, err = c.settled(text); err != nil {
			return nil, err
		}
		found, bad = parse(string(text))
	}
	c.logBad(bad)
	c.last = found
	return found, nil
}

// lostSome reports whether any of the users are missing from now.
func (u users) lostSome(now users) bool {
	for name := range u {
		if !now[name] {
			return true
		}
	}
	return false
}

// settled reads the file again until two consecutive reads agree, and returns
// that content.
func (c *content) settled(text []byte) ([]byte, error) {
	for range settlingReads {
		c.sleep(settling)
		again, err := livefile.ReadFile(c.path)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(again, text) {
			return text, nil
		}
		text = again
	}
	return nil, errUnsettled
}

func (c *content) logBad(bad []badLine) {
	for i, line := range bad {
		if i == loggedLines {
			c.logger.Warn("more lines of a file of known users are ignored", zap.String("event", "known_users_lines_ignored"), zap.Int("lines", len(bad)-i))
			return
		}
		c.logger.Warn("a line of a file of known users is ignored", zap.String("event", "known_users_lines_ignored"), zap.Int("line", line.number), zap.String("reason", line.reason))
	}
}

// notify logs events of the file, and records when it became unreadable.
func (c *content) notify(e livefile.Event) {
	switch e.Kind {
	case livefile.Changed:
		c.unreadable.Store(0)
		c.over.Store(false)
		c.logger.Info("a file of known users has changed and is in use", zap.String("event", "known_users_reloaded"), zap.Int("users", len(c.last)))
	case livefile.Broken:
		c.unreadable.CompareAndSwap(0, c.now().UnixNano())
		c.logger.Error("a file of known users cannot be read; its last content is used for an hour, then no user in it is known", zap.String("event", "known_users_unreadable"), zap.Error(e.Err))
	case livefile.Writable:
		c.logger.Warn("every user of this machine can write to a file of known users", zap.String("event", "file_writable_by_all"))
	}
}

// users returns the current names, or nil if the file has been unreadable for
// too long.
func (c *content) users() users {
	all := c.value.Get()
	since := c.unreadable.Load()
	if since == 0 || c.now().UnixNano()-since < int64(keptFor) {
		return all
	}
	if !c.over.Swap(true) {
		c.logger.Error("a file of known users could not be read for an hour; no user in it is known", zap.String("event", "known_users_expired"))
	}
	return nil
}
