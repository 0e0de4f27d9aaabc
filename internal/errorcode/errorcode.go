// Package errorcode is the one table of what can go wrong with a sign-in or a
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

// Code is the name of an error: the value of auth_error, of
// {http.oidc_rp.error.code}, of code in the log and of reason in problem
// documents. The set is closed and part of the contract.
type Code string

// row is what the table says about a code.
type row struct {
	// message is the sentence that users read.
	message string
	// title heads the error page. Default: «Sign-in did not work».
	title string
	// hint says what users can do themselves. Default: nothing.
	hint string
	// level is how loud the log is. Default: info.
	level slog.Level
	// covers reports whether an error of package op has this code. Default: none
	// has. Where several rows cover an error, the first one counts.
	covers func(error) bool
	// operational: the trouble is the service's and not one user's, so its line
	// is no audit line.
	operational bool
	// throttled: while the trouble lasts, every page load meets it.
	throttled bool
	// reason: it says why a request got 401, and auth_error never names it.
	reason bool
}

// DefaultTitle heads the page of an error that has no title of its own.
const DefaultTitle = "Sign-in did not work"

// unavailableTitle heads every page with status 503.
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

// Lookup returns the error code of a name, as auth_error has it. ok reports
// whether there is one; the reasons of a 401 are none.
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

// Message is the sentence that users read, or empty for what is no code.
func (c Code) Message() string { return c.row().message }

func (c Code) row() *row {
	if r := table[c]; r != nil {
		return r
	}
	return &none
}

// none is the row of what is no code.
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

// as reports whether an error wraps one of a type.
func as[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

// Logging is how a failure is logged.
type Logging struct {
	Level slog.Level
	// Refusal: it is about one user, and so an audit line.
	Refusal bool
	// Throttled: only one line in a while is written at that level.
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

// Text is what users read: in English, and the key that it has in other languages.
type Text struct{ Key, English string }

// textOf returns a text of the table; nothing if the table has none.
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
	// Retry reports whether a fresh sign-in could help.
	Retry bool
}

// Explain returns what users read about a failure with a code and a cause.
// unavailable: the status is 503.
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

// Texts returns all that users can read about failures, in English by key.
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
