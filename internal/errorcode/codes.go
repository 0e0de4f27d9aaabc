package errorcode

import (
	"log/slog"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// The error codes.
var (
	AccessDenied = define("access_denied", row{
		title:   "Sign-in was cancelled",
		message: "The sign-in was cancelled, or the identity provider did not allow it.",
	})
	LoginExpired = define("login_expired", row{
		message: "This sign-in took too long or was already used. Please start again.",
		hint:    "If this happens again, allow cookies for this site, and do not bookmark the sign-in page.",
	})
	StateMismatch = define("state_mismatch", row{
		message: "This response does not belong to a sign-in that was started in this browser. Please start again.",
		level:   slog.LevelWarn,
	})
	ProviderError = define("provider_error", row{
		message: "The identity provider reported a problem with this sign-in.",
		level:   slog.LevelWarn,
	})
	ProviderUnavailable = define("provider_unavailable", row{
		message:     "The identity provider cannot be reached at the moment. Please try again soon.",
		level:       slog.LevelError,
		covers:      as[*op.UnavailableError],
		operational: true,
		throttled:   true,
	})
	TokenExchangeFailed = define("token_exchange_failed", row{
		message: "The identity provider did not confirm this sign-in.",
		level:   slog.LevelError,
		covers:  is(op.ErrExchange),
	})
	UserinfoFailed = define("userinfo_failed", row{
		message: "The identity provider did not return your profile.",
		level:   slog.LevelError,
		covers:  is(op.ErrUserinfo),
	})
	TokenInvalid = define("token_invalid", row{
		message: "The identity provider's confirmation could not be trusted.",
		level:   slog.LevelError,
		covers:  is(op.ErrToken),
	})
	UserUnknown = define("user_unknown", row{
		message: "Your account is not known here.",
	})
	Forbidden = define("forbidden", row{
		message: "Your account may not see this page.",
	})
	SessionTooLarge = define("session_too_large", row{
		message: "Your account carries more information than this site can keep.",
		level:   slog.LevelError,
	})
	LogoutFailed = define("logout_failed", row{
		title:       "Sign-out did not work everywhere",
		message:     "You are signed out in this browser, but the sign-out could not be completed everywhere.",
		level:       slog.LevelError,
		operational: true,
	})
	BadRequest = define("bad_request", row{
		message: "This request was not understood.",
	})
	CookiesRejected = define("cookies_rejected", row{
		title:   "You cannot stay signed in",
		message: "Your browser does not keep this site's cookies, so you cannot stay signed in.",
		hint:    "Allow cookies for this site, and try again in a minute. If they are allowed, tell the operator of this site: the log has the details.",
		level:   slog.LevelWarn,
	})
)

// signInTitle is true for users whose session has ended and for those who have
// not signed in yet: a browser removes the cookie of a session that has expired.
const signInTitle = "Please sign in"

// The reasons of a 401, and of a 403 to a program.
var (
	SignInRequired = define("sign_in_required", row{
		title:   signInTitle,
		message: "This page is for signed-in users.",
		reason:  true,
	})
	SessionEnded = define("session_ended", row{
		title:   signInTitle,
		message: "Your session has ended. Please sign in again.",
		reason:  true,
	})
	SessionOutdated = define("session_outdated", row{
		title:   signInTitle,
		message: "Please sign in again: this page needs more than your session has.",
		reason:  true,
	})
	InvalidToken = define("invalid_token", row{
		title:   "These credentials are not valid",
		message: "The credentials of this request are not valid here.",
		reason:  true,
	})
	InsufficientScope = define("insufficient_scope", row{
		title:   "This token has insufficient scope",
		message: "The token of this request does not have the required scope.",
		reason:  true,
	})
	InsufficientAuthentication = define("insufficient_user_authentication", row{
		title:   "Please confirm who you are",
		message: "This page needs a stronger or more recent sign-in than yours.",
		reason:  true,
	})
)
