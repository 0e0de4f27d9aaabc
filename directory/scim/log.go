package scim

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
)

// logEvery is the minimum time between log messages about the same kind of
// problem, since every request may have it.
const logEvery = 10 * time.Second

// throttle limits how often something is logged. The zero value is ready to
// use. It is safe for concurrent use.
type throttle struct{ last atomic.Int64 }

func (t *throttle) due(now time.Time) bool {
	last := t.last.Load()
	age := now.UnixNano() - last
	return (age >= int64(logEvery) || age < 0) && t.last.CompareAndSwap(last, now.UnixNano())
}

// logOdd returns a function that logs the reason of a negative answer.
func (s *SCIM) logOdd(now func() time.Time) func(reason string) {
	logged := new(throttle)
	return func(reason string) {
		if logged.due(now()) {
			s.logger.Warn("an answer of the directory does not show that the user is known", zap.String("event", "directory_answer_unclear"), zap.String("url", s.URL), zap.String("reason", reason))
		}
	}
}

// logEvent returns a function that logs failed requests, and the beginning and
// end of outages.
func (s *SCIM) logEvent(now func() time.Time) func(event, error) {
	logged := new(throttle)
	return func(e event, err error) {
		fields := []zap.Field{zap.String("url", s.URL), zap.Error(err)}
		switch {
		case e == down:
			s.logger.Error("the directory does not answer; users it has known continue for a while", append([]zap.Field{zap.String("event", "directory_down")}, append(fields, zap.Duration("grace", s.terms.grace))...)...)
		case e == back:
			s.logger.Info("the directory answers again", zap.String("event", "directory_up"), zap.String("url", s.URL))
		case logged.due(now()):
			s.logger.Warn("a request to the directory has failed", append([]zap.Field{zap.String("event", "directory_request_failed")}, fields...)...)
		}
	}
}

// logFile logs events of the files in the option ca.
func (s *SCIM) logFile(e livefile.Event) {
	fields := []zap.Field{zap.String("option", "known_users scim: ca"), zap.Strings("files", e.Files)}
	switch e.Kind {
	case livefile.Changed:
		s.logger.Info("a file of the configuration has changed and is in use", append([]zap.Field{zap.String("event", "file_reloaded")}, fields...)...)
	case livefile.Broken:
		s.logger.Error("a file of the configuration has changed and cannot be used; keeping the last good content", append([]zap.Field{zap.String("event", "file_broken")}, append(fields, zap.Error(e.Err))...)...)
	case livefile.Writable:
		s.logger.Warn("every user of this machine can write to a file of the configuration", append([]zap.Field{zap.String("event", "file_writable_by_all")}, fields...)...)
	}
}
