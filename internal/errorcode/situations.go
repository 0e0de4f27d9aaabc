package errorcode

import (
	"errors"
	"log/slog"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// situation is a cause that has other texts than its code.
type situation struct {
	// name is the middle part of its texts' keys. Situations with the same texts
	// share it.
	name           string
	title, message string
	// hint says what users can do. Default: nothing.
	hint string
	// level is the minimum log level. Default: that of the code.
	level slog.Level
	// final reports that another sign-in would not help.
	final bool
	// covers reports whether an error is this cause. Default: whether it wraps
	// the one that describe returned.
	covers func(error) bool
}

var situations []*situation

// describe adds a situation and returns the error that stands for it. The text is
// for logs.
func describe(text string, s situation) error {
	cause := errors.New(text)
	if s.covers == nil {
		s.covers = is(cause)
	}
	situations = append(situations, &s)
	return cause
}

// situationOf returns the first situation that covers a cause, or nil.
func situationOf(cause error) *situation {
	for _, s := range situations {
		if s.covers(cause) {
			return s
		}
	}
	return nil
}

const (
	notSafeTitle   = "Sign-in is not possible yet"
	notSafeMessage = "Sign-in is not possible on this site yet."
	notSafeHint    = "It is served over plain HTTP, where a sign-in would not be safe. The log tells its operator what to do."
)

// Causes that have other texts than their codes.
var (
	// ErrRule: a rule of the site does not let the user in.
	ErrRule = describe("a rule is not satisfied", situation{
		name:    "rule",
		title:   "You may not see this page",
		message: "Your account may not see this page.",
		hint:    "If you have another account that may, sign in with it. Otherwise ask the operator of this site.",
	})
	// ErrUnproved: the user did not sign in as strongly, or as recently, as the page
	// demands.
	ErrUnproved = describe("the sign-in does not prove what was demanded", situation{
		name:    "unproved",
		title:   "A stronger sign-in is needed",
		message: "This page needs a stronger or more recent sign-in than yours.",
		hint:    "Try again, and confirm who you are in the way that your identity provider asks for. If that does not help, ask the operator of this site.",
	})
	// ErrDisabled: the option disabled is set for the provider.
	ErrDisabled = describe("this identity provider is disabled", situation{
		name:    "disabled",
		title:   "Sign-in is turned off",
		message: "This identity provider is turned off here.",
		final:   true,
	})
	// ErrAllDisabled: the option disabled is set for all providers that users could
	// choose from.
	ErrAllDisabled = describe("all identity providers are disabled", situation{
		name:    "all_disabled",
		title:   "Sign-in is turned off",
		message: "All identity providers of this site are turned off.",
		final:   true,
	})
	// ErrNoEndpoint: there is no such endpoint, or no such provider.
	ErrNoEndpoint = describe("no such endpoint", situation{
		name:    "no_endpoint",
		title:   "There is no such page",
		message: "This address is misspelled or no longer in use.",
		final:   true,
	})
	// ErrWrongMethod: the endpoint does not accept the request's method.
	ErrWrongMethod = describe("wrong method for this endpoint", situation{
		name:    "wrong_method",
		title:   "This cannot be sent here",
		message: "This page does not accept that kind of request.",
		final:   true,
	})
	// ErrForeignWebSocket: a browser opens a WebSocket from a page of another
	// origin.
	ErrForeignWebSocket = describe("a WebSocket that a page of another site opened", situation{
		name:    "foreign_websocket",
		title:   "Not from this page",
		message: "Pages of other sites may not open WebSockets here.",
		final:   true,
	})
	// ErrSubrequest: another proxy asks about a request that it does not describe, or
	// that is not for this site.
	ErrSubrequest = describe("another proxy asks about a request that cannot be judged", situation{
		name:    "subrequest",
		title:   "This page cannot be opened",
		message: "This request did not come in a way that this site can check.",
		hint:    "If this happens again, tell the operator of this site: the proxy in front of it has to describe each request.",
		final:   true,
	})
	// ErrEndpointDescribed: another proxy asks about a request that is for an endpoint.
	ErrEndpointDescribed = describe("another proxy asks about an endpoint, in the place of sending the request here", situation{
		name:    "endpoint_described",
		title:   "This page cannot be opened",
		message: "The sign-in pages of this site cannot be reached.",
		hint:    "Tell the operator of this site: the proxy in front of it has to send the addresses of the sign-in to the server that checks them.",
		final:   true,
	})
	// ErrBasicInBrowser: HTTP Basic in a request of a browser, which adds it to
	// requests that pages of other sites make.
	ErrBasicInBrowser = describe("HTTP Basic in a request of a browser", situation{
		name:    "basic_in_browser",
		title:   "Not in a browser",
		message: "This way to sign in is for programs, not for browsers.",
		final:   true,
	})
	// ErrCredentialUnchecked: the credentials of a program cannot be judged.
	ErrCredentialUnchecked = describe("the credentials cannot be checked", situation{
		name:    "credential_unchecked",
		title:   unavailableTitle,
		message: "This site cannot check credentials at the moment. Please try again soon.",
	})
	// Every op.SettingsError: settings are wrong, here or at the provider.
	_ = describe("the settings are wrong", situation{
		name:    "settings",
		title:   "Sign-in is not set up correctly",
		message: "This site's sign-in is not set up correctly.",
		hint:    "Waiting will not help. The operator of this site can find the reason in the log.",
		covers:  as[*op.SettingsError],
	})
	// ErrStorage: keys, sessions or revocations cannot be read or written.
	ErrStorage = describe("the storage does not answer", situation{
		name:    "storage",
		title:   unavailableTitle,
		message: "This site cannot check sign-ins at the moment. Please try again soon.",
	})
	// ErrDirectory: a directory of known users cannot be asked.
	ErrDirectory = describe("the directory of known users does not answer", situation{
		name:    "directory",
		title:   unavailableTitle,
		message: "This site cannot check your account at the moment. Please try again soon.",
	})
	// ErrFormPostPlainHTTP: a login with response_mode form_post on a site that
	// browsers reach over plain HTTP. No one can sign in.
	ErrFormPostPlainHTTP = describe("response_mode form_post needs a cookie that browsers keep over HTTPS only: set base_url https://… or trusted_proxies if a proxy in front has TLS, else serve this site over HTTPS", situation{
		name:    "plain_http",
		title:   notSafeTitle,
		message: notSafeMessage,
		hint:    notSafeHint,
		level:   slog.LevelError,
		final:   true,
	})
	// ErrPlainHTTP: a login on a site that browsers reach over plain HTTP. No one
	// can sign in.
	ErrPlainHTTP = describe("this site is served over plain HTTP: set base_url https://… or trusted_proxies if a proxy in front has TLS, else serve it over HTTPS, or allow cookies on plain HTTP with session { cookie { insecure } }", situation{
		name:    "plain_http",
		title:   notSafeTitle,
		message: notSafeMessage,
		hint:    notSafeHint,
		level:   slog.LevelError,
		final:   true,
	})
)
