// Package adminapi holds what the plugin adds to Caddy's admin API: its paths,
// the JSON documents of requests and responses, how they are made of the
// providers and keys of a configuration, and the tables that the command prints
// of them.
//
// It knows neither Caddy nor how requests are routed, and does not log. No
// document holds a secret, a key or a token.
package adminapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The paths of the endpoints.
const (
	Prefix        = "/oidc_rp/"
	ProvidersPath = Prefix + "providers"
	RevokePath    = Prefix + "revoke"
	KeysPath      = Prefix + "keys"
	RotatePath    = Prefix + "keys/rotate"
)

// Error is an error with the status of its response. Its text is sent and logged,
// so it must not name users.
type Error struct {
	Status int
	Err    error
}

// Errorf returns an Error.
func Errorf(status int, format string, args ...any) Error {
	return Error{status, fmt.Errorf(format, args...)}
}

func (e Error) Error() string { return e.Err.Error() }

func (e Error) Unwrap() error { return e.Err }

// maxBody is the maximum size of a request body in bytes.
const maxBody = 64 << 10

// ReadBody decodes the JSON object in the body of a request. An empty body is an
// empty object. Unknown fields are an Error with status 400, as is anything after
// the object.
func ReadBody(r *http.Request, into any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(into)
	if err == nil {
		if _, err = decoder.Token(); err == nil {
			err = errors.New("something follows the object")
		}
	}
	var mistyped *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &mistyped) && mistyped.Field == "":
		err = fmt.Errorf("the body: does not take a JSON %s", mistyped.Value)
	case errors.As(err, &mistyped):
		err = fmt.Errorf("%s: does not take a JSON %s", mistyped.Field, mistyped.Value)
	}
	return Errorf(http.StatusBadRequest, "%s", strings.TrimPrefix(err.Error(), "json: "))
}

// inSeconds returns a time in the form of documents: in UTC, without fractions.
func inSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// addSites adds missing sites to a sorted list. The result is never nil, which
// would be null in JSON.
func addSites(sites, more []string) []string {
	merged := append([]string{}, sites...)
	merged = append(merged, more...)
	slices.Sort(merged)
	return slices.Compact(merged)
}
