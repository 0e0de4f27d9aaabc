// Package flow is what an instance of the directive does with requests: it
// authenticates their users, and serves its endpoints, which log users in,
// refresh their tokens and log them out.
//
// # What it knows
//
// Requests and responses of net/http, the cookies of an origin (cookiescope), the
// sessions of an instance (sessionstore), its providers (op), and which response
// follows from what. It keeps nothing of its own but Memory.
//
// It does not know Caddy: configurations, modules, matchers, placeholders'
// replacers and the next handler are the root package's. What may be served is
// decided there, by package authz; the flows respond. It knows no store and no
// storage, no claims beyond what package identity makes of them, and no texts for
// users beyond packages errorcode and pages.
//
// # The seam
//
// The root makes one Instance of each resolved configuration of the directive, and
// one Shared for all of them. For each request it keeps a State, and then
//
//   - asks Instance.Endpoint and Instance.SiblingEndpoint whether the path is one
//     of ours, and lets the Call serve it, or
//   - makes an Exchange with Instance.At, calls Exchange.Authenticate, decides
//     with State.User and Exchange.Shortfall, and forwards the request or has the
//     Exchange respond: BeginLogin, StepUp, RespondUnauthorized, RespondKnownError,
//     RespondUnavailable.
//
// An *Error is a response that is left to the server's own error pages. What the
// flows need of the server is the interface Server.
//
// # The way of a callback
//
//	endpoints.go         Call.Serve checks method, provider, early data and host
//	callback.go          serveCallback is the outline of what follows
//	formpost.go          receive reads the response, sendOn a posted one by GET
//	callback_unread.go   respondUnread, where a response cannot be read
//	authenticate.go      identify opens the session that the browser has already
//	callback_flow.go     takeTransaction finds the login in flight by its state
//	callback_outcome.go  outcome has the response count once, on all nodes
//	signin.go            signIn redeems the code, checks the tokens, fetches userinfo
//	known_users.go       checkKnown looks the user up in the directories
//	signin_mark.go       markSignIn notices browsers that keep no cookies
//	session_create.go    createSession keeps the session and ends the one before
//	callback_outcome.go  respondOutcome leads to the page, or to
//	remembered.go        rememberSignIn has the browser remember the provider
//	respond.go           respondError, which makes a page of a Failure
//
// # The types
//
// A request is one request at one instance. The type sessions is that with what is
// done to sessions, Exchange is that with what is responded; login, callbackFlow and
// logout are an Exchange with what one flow knows. A refreshFlow is no request,
// since it goes on when the request has gone. No file uses one that is above it in
// this order, and endpoints.go is at the top.
package flow
