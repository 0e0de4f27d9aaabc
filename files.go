package oidcrp

import (
	"sync"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/livefile"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/placeholder"
)

// This file is about what the configuration names and does not hold: placeholders,
// and files, which are read again when their content changes.

// expand resolves an operator's placeholders; an unknown or empty one is an
// error, which repeats nothing of the text but the name of a variable or file.
func expand(text string) (string, error) { return placeholders.Expand(text) }

var placeholders = placeholder.Expander{Replace: func(text string) (string, error) {
	return caddy.NewReplacer().ReplaceOrErr(text, true, true)
}}

// warnOfFileName says in the log that an option has the name of a file for its
// value.
func warnOfFileName(logger *zap.Logger, option, value string) {
	if placeholder.NamesFile(value) {
		logger.Warn("the value of this option is the name of a file, and is used as it is; to use what the file holds, write a placeholder",
			zap.String("option", option), zap.String("placeholder", "{file."+value+"}"))
	}
}

// logFiles says in the log what happens to the files of an option.
func logFiles(logger func() *zap.Logger, option string) func(livefile.Event) {
	return func(e livefile.Event) {
		fields := []zap.Field{zap.String("option", option), zap.Strings("files", e.Files)}
		switch e.Kind {
		case livefile.Changed:
			logger().Info("a file of the configuration has changed and is in use", fields...)
		case livefile.Broken:
			logger().Error("a file of the configuration has changed and cannot be used; keeping the last good content", append(fields, zap.Error(e.Err))...)
		case livefile.Writable:
			logger().Warn("every user of this machine can write to a file of the configuration", fields...)
		}
	}
}

// logs is the logger of the newest of those configurations that use something
// which outlives them.
type logs struct {
	mu      sync.Mutex
	loggers []*zap.Logger
}

// add returns how to take the logger back. The last one stays.
func (l *logs) add(logger *zap.Logger) (remove func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loggers = append(l.loggers, logger)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for i, one := range l.loggers {
			if one == logger && len(l.loggers) > 1 {
				l.loggers = append(l.loggers[:i:i], l.loggers[i+1:]...)
				return
			}
		}
	}
}

func (l *logs) logger() *zap.Logger {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.loggers) == 0 {
		return caddy.Log()
	}
	return l.loggers[len(l.loggers)-1]
}

// logProviderOutage says in the log that a provider does not answer and what was learned
// before serves.
func logProviderOutage(logger func() *zap.Logger) func(op.Notice) {
	return func(n op.Notice) {
		part := zap.String("of", n.Part)
		if n.Over {
			logger().Info("the provider answers again", part)
			return
		}
		logger().Error("the provider does not answer; using what was fetched before, for at most 24 hours", part, zap.Time("fetched", n.Fetched), zap.Error(n.Err))
	}
}
