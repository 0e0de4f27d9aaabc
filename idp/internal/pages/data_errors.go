package pages

import "time"

// Error is any page that says that something cannot be done. Key is that of its
// texts: Key.title, Key.message and Key.hint.
type Error struct {
	Common
	Key string
	// Code is what the log line has, too, such as invalid_request; may be empty.
	Code string
	// Detail is for the developers of applications; may be empty. It is in
	// English and never holds a secret.
	Detail string
	// Hint: there is a text Key.hint.
	Hint bool
	// Link leads on, with the text LinkKey; may be empty.
	Link, LinkKey string
}

// NotFound is for an address that there is not.
func NotFound() *Error { return &Error{Key: "not_found"} }

// WrongMethod is for a request with a method that its address does not have.
func WrongMethod() *Error { return &Error{Key: "wrong_method"} }

// BadRequest is for a request of an application that cannot be answered there,
// since its client or redirect URI is not known to be right.
func BadRequest(code, detail string) *Error {
	return &Error{Key: "bad_request", Code: code, Detail: detail, Hint: true}
}

// Expired is for a request that took too long, was answered already, or is of
// another browser.
func Expired() *Error { return &Error{Key: "expired", Hint: true} }

// Forged is for a form that no page of ours in this browser has sent.
func Forged() *Error { return &Error{Key: "forged", Hint: true} }

// Forbidden is for what the user must not do.
func Forbidden() *Error { return &Error{Key: "forbidden"} }

// ExternalFailed is for an answer of an external provider that was not accepted.
// All reasons look the same; code finds the line in the log.
func ExternalFailed(code string) *Error {
	return &Error{Key: "external_failed", Code: code, Hint: true}
}

// NoAccount is for a user whom an external provider authenticated and who has no
// account here.
func NoAccount(external string) *Error {
	return &Error{Key: "no_account", Hint: true, Detail: "", Common: Common{App: external}}
}

// Unavailable is for a database that does not answer: status 503.
func Unavailable(retryAfter time.Duration) *Error {
	return &Error{Key: "unavailable", Common: Common{RetryAfter: retryAfter}}
}

// Busy is for too many requests: status 429.
func Busy(retryAfter time.Duration) *Error {
	return &Error{Key: "busy", Common: Common{RetryAfter: retryAfter}}
}

// Failed is for what went wrong here: status 500.
func Failed() *Error { return &Error{Key: "failed"} }
