package accesskey_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/accesskey"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/program"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/sessionstore"
)

// TestKeysThatAreKeptElsewhere tests the answers of a remote key store, and how long
// they count.
func TestKeysThatAreKeptElsewhere(t *testing.T) {
	t.Parallel()
	robot, err := accesskey.New("robot")
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	right := &accesskey.Line{Name: "robot", Groups: []string{"ci"}, Expires: start.Add(time.Hour)}
	down := errors.New("the database does not answer")
	type keeper struct {
		line *accesskey.Line
		err  error
	}
	for name, test := range map[string]struct {
		key         string
		first, then keeper
		after       time.Duration
		expected    string // of the second request
		asked       int
	}{
		"a key that counts":                           {robot, keeper{line: right}, keeper{line: right}, time.Second, "robot", 1},
		"a key that was removed a moment ago":         {robot, keeper{line: right}, keeper{err: accesskey.ErrUnknown}, 2 * time.Second, "robot", 1},
		"a key that was removed three seconds ago":    {robot, keeper{line: right}, keeper{err: accesskey.ErrUnknown}, 3 * time.Second, "refused", 2},
		"a key that is added":                         {robot, keeper{err: accesskey.ErrUnknown}, keeper{line: right}, 0, "robot", 2},
		"a keeper that is down":                       {robot, keeper{err: down}, keeper{err: down}, 0, "unavailable", 2},
		"a keeper that is down for a moment":          {robot, keeper{line: right}, keeper{err: down}, time.Second, "robot", 1},
		"a keeper that comes back":                    {robot, keeper{err: down}, keeper{line: right}, 0, "robot", 2},
		"a key that ends while its answer is known":   {robot, keeper{line: &accesskey.Line{Name: "robot", Expires: start.Add(time.Second)}}, keeper{}, time.Second, "refused", 1},
		"a key that has ended":                        {robot, keeper{line: right}, keeper{line: right}, time.Hour, "refused", 2},
		"a key that its keeper knows by another name": {robot, keeper{line: &accesskey.Line{Name: "alice"}}, keeper{}, 0, "refused", 1},
		"what is no key":                              {"orp_robot_x", keeper{line: right}, keeper{line: right}, 0, "refused", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now, says, asked := start, test.first, 0
			keys := accesskey.NewRemote(func(_ context.Context, key string) (*accesskey.Line, error) {
				asked++
				return says.line, says.err
			}, func() time.Time { return now })
			_, _ = keys.Verify(t.Context(), test.key)
			now, says = now.Add(test.after), test.then
			if seen := verdict(keys.Verify(t.Context(), test.key)); seen != test.expected || asked != test.asked {
				t.Errorf("expected %s after %d questions, seen %s after %d", test.expected, test.asked, seen, asked)
			}
		})
	}
}

// verdict returns the subject of the session, or the kind of error.
func verdict(loaded *sessionstore.Loaded, err error) string {
	var refusal *program.Refusal
	var unavailable *program.UnavailableError
	switch {
	case errors.As(err, &refusal):
		return "refused"
	case errors.As(err, &unavailable):
		return "unavailable"
	case err != nil:
		return err.Error()
	}
	return loaded.Session.Subject
}
