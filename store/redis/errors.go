package redis

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/valkey-io/valkey-go"
)

var (
	errSilent  = errors.New("no answer in time")
	errFull    = errors.New("the server's memory is full")
	errAborted = errors.New("the user lacks a rule for multi, exec or pttl, or the server hung up")
)

// hints is advice for operators about errors of the server, by their first word.
var hints = map[string]error{
	"CROSSSLOT":  errors.New("the option cluster is missing"),
	"DENIED":     errors.New("the server is in protected mode"),
	"MISCONF":    errors.New("the server cannot write to its disk"),
	"MOVED":      errors.New("the option cluster is missing"),
	"NOAUTH":     errors.New("the option password is missing"),
	"NOPERM":     errors.New("the user lacks a rule"),
	"NOREPLICAS": errors.New("the master has too few replicas"),
	"OOM":        errFull,
	"READONLY":   errReplica,
	"WRONGPASS":  errors.New("the user or password is wrong"),
}

// general are errors that other calls would get as well, such as that of a server
// that has become a replica. All others concern the call itself, such as when the
// memory is full.
var general = map[string]bool{
	"BUSY": true, "LOADING": true, "MASTERDOWN": true, "MOVED": true, "NOAUTH": true, "READONLY": true,
}

// assess returns what an error means for other calls.
func (l *link) assess(err error, key string) *trouble {
	t := &trouble{err: l.explain(err), key: l.settings.Prefix + key, all: !l.settings.Cluster}
	if answer, ok := valkey.IsValkeyErr(err); ok {
		t.all = t.all && general[codeOf(answer.Error())]
	}
	return t
}

// explain returns an error that is safe in logs, without keys, which a server may
// repeat.
func (l *link) explain(err error) error {
	if timeout := net.Error(nil); errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return errSilent
	}
	if errors.Is(err, valkey.ErrDoCacheAborted) {
		return errAborted
	}
	var text string
	if answer, ok := valkey.IsValkeyErr(err); ok {
		text = answer.Error()
	} else if answer := refused(""); errors.As(err, &answer) {
		text = string(answer)
	} else {
		return err
	}
	code := codeOf(text)
	if strings.Contains(text, l.settings.Prefix) {
		text = code
	}
	if hint, ok := hints[code]; ok {
		return fmt.Errorf("%w: %w", hint, refused(text))
	}
	return refused(text)
}

func codeOf(text string) string {
	code, _, _ := strings.Cut(strings.TrimPrefix(text, "-"), " ")
	return code
}
