// Package flow implements the request handling of a directive instance. It
// authenticates users and serves the endpoints that log users in, refresh their
// tokens and log them out.
//
// # Scope
//
// The package deals with net/http requests and responses, the cookies of an origin
// (cookiescope), the sessions of an instance (sessionstore), and its providers (op).
// Its only state of its own is Memory.
//
// It does not know Caddy: configurations, modules, matchers, replacers and the next
// handler belong to the root package. The root decides, with package authz, what may
// be served; the flows respond. The package has no store or storage of its own.
// It leaves claims to package identity, and texts for users to packages errorcode
// and pages.
//
// # Use by the root package
//
// The root makes one Instance for each resolved configuration of the directive, and
// one Shared for all of them. It keeps a State for each request, and then
//
//   - asks Instance.Endpoint and Instance.SiblingEndpoint whether the path is one
//     of ours, and lets the Call serve it, or
//   - makes an Exchange with Instance.At, calls Exchange.Authenticate, decides
//     with State.User and Exchange.Shortfall, and forwards the request or has the
//     Exchange respond: BeginLogin, StepUp, RespondUnauthorized, RespondKnownError,
//     RespondUnavailable.
//
// An *Error leaves the response to the server's own error pages. The interface
// Server has what the flows need of the web server.
//
// # How a callback is processed
//
//	endpoints.go         Call.Serve checks method, provider, early data and host
//	callback.go          serveCallback is the outline of what follows
//	formpost.go          receive reads the response; redirectPosted turns POST into GET
//	callback_unread.go   respondUnread, where the response cannot be read
//	authenticate.go      identify opens the session that the browser already has
//	callback_flow.go     takeTransaction finds the login in flight by its state
//	callback_outcome.go  outcome processes the response once, across all nodes
//	signin.go            signIn redeems the code, checks the tokens, fetches userinfo
//	known_users.go       checkKnown looks the user up in the directories
//	signin_mark.go       markSignIn detects browsers that keep no cookies
//	session_create.go    createSession stores the session and ends the previous one
//	remembered.go        rememberSignIn has the browser remember the provider
//	callback_outcome.go  respondOutcome redirects to the page, or calls
//	respond.go           respondError, which renders a Failure
//
// # The types
//
// A request is one request at one instance. The type sessions embeds it and adds the
// handling of sessions; Exchange embeds that and adds the responses; login,
// callbackFlow and logout embed an Exchange and add the state of one flow. A
// refreshFlow embeds no request, because it outlives the request that started it.
// Each type depends only on those before it in this list; endpoints.go uses all.
package flow
