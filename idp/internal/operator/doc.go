// Package operator implements what operators can do: operations on accounts, groups,
// applications, sessions and keys, each with a JSON request and a JSON response. It does
// not know how requests arrive or how responses are printed.
//
// Responses contain no hashes or keys, except those that an operator asks for: a link, a
// new access key, or an export with hashes.
package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/accounts"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/server"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/logtext"
)

// Error is an error with an HTTP status code. Its text is meant for the operator.
type Error struct {
	Status int
	Err    error
}

func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the underlying error.
func (e *Error) Unwrap() error { return e.Err }

func refuse(status int, format string, args ...any) error {
	return &Error{status, fmt.Errorf(format, args...)}
}

// An operation is a row of the table below.
type operation struct {
	// event is the event of the audit line. It is empty for operations that change
	// nothing.
	event string
	do    func(ctx context.Context, s *server.Server, body []byte) (any, error)
}

// with returns a function that decodes the request of an operation and calls do.
func with[Request, Response any](do func(context.Context, *server.Server, Request) (Response, error)) func(context.Context, *server.Server, []byte) (any, error) {
	return func(ctx context.Context, s *server.Server, body []byte) (any, error) {
		var request Request
		if err := decode(body, &request); err != nil {
			return nil, err
		}
		return do(ctx, s, request)
	}
}

// operations maps <noun>/<verb> to the operation.
var operations = map[string]operation{
	"first-user": {"first_user_link_made", with(firstUser)},

	"user/add":            {"user_added", with(addUser)},
	"user/list":           {"", with(listUsers)},
	"user/show":           {"", with(showUser)},
	"user/set":            {"user_changed", with(setUser)},
	"user/lock":           {"user_locked", with(lockUser)},
	"user/unlock":         {"user_unlocked", with(unlockUser)},
	"user/remove":         {"user_removed", with(removeUser)},
	"user/reuse-name":     {"name_released", with(reuseName)},
	"user/import":         {"users_imported", with(importUsers)},
	"user/export":         {"users_exported", with(exportUsers)},
	"user/reset-password": {"password_reset_link_made", with(resetPassword)},
	"user/reset-mfa":      {"factors_reset", with(resetFactors)},
	"user/add-token":      {"factor_added", with(addToken)},

	"group/add":    {"group_set", with(setGroup)},
	"group/list":   {"", with(listGroups)},
	"group/remove": {"group_removed", with(removeGroup)},

	"application/add":    {"application_added", with(addApplication)},
	"application/list":   {"", with(listApplications)},
	"application/remove": {"application_removed", with(removeApplication)},

	"key/add":    {"access_key_added", with(addKey)},
	"key/list":   {"", with(listKeys)},
	"key/remove": {"access_key_removed", with(removeKey)},

	"authenticator/list":   {"", with(listAuthenticators)},
	"authenticator/assign": {"authenticator_assigned", with(assignAuthenticator)},

	"external/list":        {"", with(listExternals)},
	"external/show":        {"", with(showExternal)},
	"external/link":        {"external_account_linked", with(linkIdentity)},
	"external/unlink":      {"external_account_unlinked", with(unlinkIdentity)},
	"external/rotate-keys": {"saml_keys_rotated", with(rotateSAMLKeys)},

	"invite/add":    {"invite_made", with(addInvite)},
	"invite/list":   {"", with(listInvites)},
	"invite/remove": {"invite_removed", with(removeInvite)},

	"sessions/list": {"", with(listSessions)},
	"sessions/end":  {"sessions_ended", with(endSessions)},

	"keys/list":   {"", with(listSigningKeys)},
	"keys/rotate": {"signing_keys_rotated", with(rotateKeys)},
}

// Names returns the names of all operations, sorted.
func Names() []string { return slices.Sorted(maps.Keys(operations)) }

// Events returns the events of the audit lines, sorted.
func Events() []string {
	var all []string
	for _, o := range operations {
		if o.event != "" {
			all = append(all, o.event)
		}
	}
	slices.Sort(all)
	return all
}

// Exists reports whether there is an operation.
func Exists(name string) bool {
	_, ok := operations[name]
	return ok
}

// audited is implemented by responses that add attributes to the audit line.
type audited interface{ audit() []slog.Attr }

// Do carries out an operation. Operations that change something are logged.
func Do(ctx context.Context, s *server.Server, name string, body []byte) (any, error) {
	o, ok := operations[name]
	if !ok {
		return nil, refuse(http.StatusNotFound, "there is no operation %s", name)
	}
	response, err := o.do(ctx, s, body)
	if err != nil {
		return nil, explained(err)
	}
	if o.event != "" {
		attrs := []slog.Attr{slog.String("event", o.event), slog.String("via", "admin_api")}
		if a, ok := response.(audited); ok {
			attrs = append(attrs, a.audit()...)
		}
		s.Logger.LogAttrs(ctx, slog.LevelInfo, "an operator made a change", attrs...)
	}
	return response, nil
}

// explained gives an error its HTTP status code.
func explained(err error) error {
	var known *Error
	var invalid *accounts.InvalidError
	var broken *accounts.PasswordError
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &invalid), errors.As(err, &broken):
		return &Error{http.StatusBadRequest, err}
	case errors.Is(err, store.ErrNotFound):
		return &Error{http.StatusNotFound, err}
	case errors.Is(err, store.ErrExists), errors.Is(err, accounts.ErrHadAccount), errors.Is(err, accounts.ErrNameInUse):
		return &Error{http.StatusConflict, err}
	case errors.Is(err, store.ErrUnavailable):
		return &Error{http.StatusServiceUnavailable, err}
	}
	return err
}

// decode decodes the JSON object of a request. An empty body counts as an empty object.
// Unknown members are errors.
func decode(body []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		if _, err = decoder.Token(); err == nil {
			err = errors.New("something follows the object")
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return refuse(http.StatusBadRequest, "%s", strings.TrimPrefix(err.Error(), "json: "))
}

// about returns the attributes of an audit line about a user.
func about(user *store.User) []slog.Attr {
	return []slog.Attr{
		slog.String("user", logtext.Clean(user.Name, logtext.MaxName)), slog.String("subject", user.ID), slog.String("kind", string(user.Kind)),
	}
}

// found returns a user by name, e-mail address or ID. If kinds are given, users of other
// kinds are not found.
func found(ctx context.Context, s *server.Server, text string, kinds ...store.Kind) (*store.User, error) {
	if text == "" {
		return nil, refuse(http.StatusBadRequest, "name a user")
	}
	user, err := s.Accounts.Find(ctx, text)
	if errors.Is(err, store.ErrNotFound) {
		user, err = s.Accounts.Get(ctx, text)
	}
	if errors.Is(err, store.ErrNotFound) || err == nil && len(kinds) > 0 && !slices.Contains(kinds, user.Kind) {
		what := "user"
		if slices.Contains(kinds, store.Application) {
			what = "application"
		}
		return nil, refuse(http.StatusNotFound, "there is no %s %s", what, logtext.Clean(text, logtext.MaxName))
	}
	return user, err
}

// inUTC returns a time in UTC, to the second, or nil for the zero time.
func inUTC(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}
