// Package errorcode has the table of what can go wrong with a sign-in or a
// sign-out: for each error code the sentence that users read, the title and the
// hint of its page, and how loud the log is. A new error code is one row of
// codes.go and its use; a cause that deserves other words than its code has is
// one row of situations.go.
//
// It knows texts and which errors of package op have which code. It knows
// nothing of requests, of pages or of how a line is logged.
package errorcode

import (
	"errors"
	"log/slog"
	"slices"
)

// Code is an error code: the value of auth_error, of {http.oidc_rp.error.code}, of
// code in the log and of reason in problem documents. The set is closed and part of
// the public interface.
type Code string

// row is a row of the table.
type row struct {
	// message is the sentence that users read.
	message string
	// title is the title of the error page. Default: «Sign-in did not work».
	title string
	// hint is advice for users. Default: none.
	hint string
	// level is the log level. Default: info.
	level slog.Level
	// covers reports whether an error of package op has this code. Default: never.
	// If several rows cover an error, the first one applies.
	covers func(error) bool
	// operational reports that the problem is the service's and not one user's, so
	// that its line is not an audit line.
	operational bool
	// throttled reports that every page load fails while the problem lasts.
	throttled bool
	// reason reports that it is the reason of a 401, which auth_error never has.
	reason bool
}

// DefaultTitle is the title of error pages without a title of their own.
const DefaultTitle = "Sign-in did not work"

// unavailableTitle is the title of all pages with status 503.
const unavailableTitle = "Not available at the moment"

var (
	table = make(map[Code]*row)
	names []Code // of the table, in its order
)

// define adds a row to the table.
func define(name Code, r row) Code {
	if table[name] != nil {
		panic("errorcode: " + name + " is defined twice")
	}
	table[name] = &r
	names = append(names, name)
	return name
}

// Lookup returns the error code of a name in auth_error. ok is false for unknown
// names and for reasons of a 401.
func Lookup(name string) (c Code, ok bool) {
	r := table[Code(name)]
	if r == nil || r.reason {
		return "", false
	}
	return Code(name), true
}

// Codes returns all error codes, in the order of the table.
func Codes() []Code { return slices.DeleteFunc(slices.Clone(names), Code.IsReason) }

// Reasons returns all reasons of a 401.
func Reasons() []Code {
	return slices.DeleteFunc(slices.Clone(names), func(c Code) bool { return !c.IsReason() })
}

// IsReason reports whether a code is no error but the reason of a 401.
func (c Code) IsReason() bool { return c.row().reason }

// Message returns the sentence that users read; "" for an unknown code.
func (c Code) Message() string { return c.row().message }

func (c Code) row() *row {
	if r := table[c]; r != nil {
		return r
	}
	return &none
}

// none is the row of unknown codes.
var none row

// Of returns the code of an error of package op.
func Of(err error) Code {
	for _, c := range names {
		if r := table[c]; r.covers != nil && r.covers(err) {
			return c
		}
	}
	return ProviderError
}

// is returns a predicate: it reports whether an error wraps target.
func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

// as reports whether an error wraps one of type T.
func as[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

// Logging is how a failure is logged.
type Logging struct {
	Level slog.Level
	// Refusal reports that the failure is about one user, and so an audit line.
	Refusal bool
	// Throttled reports that only one line per interval is logged at that level.
	Throttled bool
}

// Log returns how a failure with a code and a cause is logged.
func Log(c Code, cause error) Logging {
	r := c.row()
	logging := Logging{Level: r.level, Refusal: !r.operational, Throttled: r.throttled}
	if s := situationOf(cause); s != nil {
		logging.Level = max(logging.Level, s.level)
	}
	return logging
}

// Text is a text for users: in English, and its key for other languages.
type Text struct{ Key, English string }

// textOf returns a text of the table; the zero Text if it is empty.
func textOf(section, name, field, english string) Text {
	if english == "" {
		return Text{}
	}
	return Text{section + "." + name + "." + field, english}
}

// Explanation is what users read about a failure.
type Explanation struct {
	Title, Message Text
	// Hint is what users can do; may be empty.
	Hint Text
	// Retry reports whether another sign-in could help.
	Retry bool
}

// Explain returns what users read about a failure with a code and a cause.
// unavailable reports whether the status is 503.
func Explain(c Code, cause error, unavailable bool) Explanation {
	if s := situationOf(cause); s != nil {
		return s.explain()
	}
	text := c.explain()
	switch {
	case unavailable:
		text.Title = Text{"error.unavailable", unavailableTitle}
	case text.Title.English == "":
		text.Title = Text{"error.title", DefaultTitle}
	}
	return text
}

// explain returns what the table says about a code.
func (c Code) explain() Explanation {
	r := c.row()
	return Explanation{
		Title: textOf("error", string(c), "title", r.title), Message: textOf("error", string(c), "message", r.message), Hint: textOf("error", string(c), "hint", r.hint),
		Retry: true,
	}
}

// explain returns what the table says about a situation.
func (s *situation) explain() Explanation {
	return Explanation{
		Title: textOf("cause", s.name, "title", s.title), Message: textOf("cause", s.name, "message", s.message), Hint: textOf("cause", s.name, "hint", s.hint),
		Retry: !s.final,
	}
}

// Texts returns all texts about failures, in English by key.
func Texts() map[string]string {
	all := map[string]string{"error.title": DefaultTitle, "error.unavailable": unavailableTitle}
	add := func(e Explanation) {
		for _, text := range []Text{e.Title, e.Message, e.Hint} {
			if text.Key != "" {
				all[text.Key] = text.English
			}
		}
	}
	for _, c := range names {
		add(c.explain())
	}
	for _, s := range situations {
		add(s.explain())
	}
	return all
}
