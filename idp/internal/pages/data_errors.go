package pages

import "time"

// Error is any page that reports an error. Its texts are Key.title, Key.message and, with
// Hint, Key.hint.
type Error struct {
	Common
	Key string
	// Code is an error code that is also logged, such as invalid_request. It may be
	// empty.
	Code string
	// Detail is meant for developers of applications. It is in English, and must not
	// contain secrets. It may be empty.
	Detail string
	// Hint reports whether there is a text Key.hint.
	Hint bool
	// Link is where to go next, with the text LinkKey. It may be empty.
	Link, LinkKey string
}

// NotFound is for paths that do not exist.
func NotFound() *Error { return &Error{Key: "not_found"} }

// WrongMethod is for requests with a method that their path does not allow.
func WrongMethod() *Error { return &Error{Key: "wrong_method"} }

// BadRequest is for an application's request whose error cannot be returned to the
// application, because its client or redirect URI could not be verified.
func BadRequest(code, detail string) *Error {
	return &Error{Key: "bad_request", Code: code, Detail: detail, Hint: true}
}

// Expired is for a request that has expired, has been answered, or belongs to another
// browser.
func Expired() *Error { return &Error{Key: "expired", Hint: true} }

// Forged is for a form that was not sent by one of our pages in this browser.
func Forged() *Error { return &Error{Key: "forged", Hint: true} }

// Forbidden is for actions that the user is not allowed to take.
func Forbidden() *Error { return &Error{Key: "forbidden"} }

// ExternalFailed is for a response of an external provider that was rejected. The page
// does not reveal the reason; code helps to find it in the log.
func ExternalFailed(code string) *Error {
	return &Error{Key: "external_failed", Code: code, Hint: true}
}

// NoAccount is for a user who was authenticated by an external provider but has no
// account here.
func NoAccount(external string) *Error {
	return &Error{Key: "no_account", Hint: true, Detail: "", Common: Common{App: external}}
}

// Unavailable is for a database that does not respond. The status is 503.
func Unavailable(retryAfter time.Duration) *Error {
	return &Error{Key: "unavailable", Common: Common{RetryAfter: retryAfter}}
}

// Busy is for too many requests. The status is 429.
func Busy(retryAfter time.Duration) *Error {
	return &Error{Key: "busy", Common: Common{RetryAfter: retryAfter}}
}

// Failed is for internal errors. The status is 500.
func Failed() *Error { return &Error{Key: "failed"} }
