package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"
)

// The result of each journey is appended, as a line of JSON, to the file that E2E_RECORD
// names. cmd/matrix makes a table from it.

// A record is one line. A feature may have several records for one provider. It works if
// all of them say so.
type record struct {
	Provider string `json:"provider"`
	Feature  string `json:"feature"`
	Result   string `json:"result"` // "works", "fails", "not offered"
}

var recorder struct {
	sync.Mutex
	notOffered map[string]bool // names of tests
	named      map[string]bool // tests whose feature differs from their name
}

// records appends, when the test has ended, whether the feature in the test's name works
// with the provider. Every world calls it, so journeys don't have to.
func records(t testing.TB, provider string) {
	recorder.Lock()
	named := recorder.named[t.Name()]
	recorder.Unlock()
	if !named {
		whenDone(t, provider, strings.SplitN(t.Name(), "/", 2)[0])
	}
}

// recordsAs is like records with another feature name. It must be called before the world
// is created.
func recordsAs(t testing.TB, provider, feature string) {
	recorder.Lock()
	if recorder.named == nil {
		recorder.named = map[string]bool{}
	}
	recorder.named[t.Name()] = true
	recorder.Unlock()
	whenDone(t, provider, feature)
}

func whenDone(t testing.TB, provider, feature string) {
	file := os.Getenv("E2E_RECORD")
	if file == "" {
		return
	}
	t.Cleanup(func() {
		recorder.Lock()
		defer recorder.Unlock()
		result := "works"
		switch {
		case t.Failed():
			result = "fails"
		case t.Skipped():
			return
		case recorder.notOffered[t.Name()]:
			result = "not offered"
		}
		out, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Error(err)
			return
		}
		defer out.Close()
		if err := json.NewEncoder(out).Encode(record{provider, feature, result}); err != nil {
			t.Error(err)
		}
	})
}

// notOffered says that the provider does not have this feature, and that the journey has
// checked what happens then.
func notOffered(t testing.TB) {
	recorder.Lock()
	defer recorder.Unlock()
	if recorder.notOffered == nil {
		recorder.notOffered = map[string]bool{}
	}
	recorder.notOffered[t.Name()] = true
}
