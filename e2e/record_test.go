package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"
)

// What each journey has shown goes, as a line of JSON, to the file that
// E2E_RECORD names; cmd/matrix makes a table of it.

// A record is one line. A feature may have several for one provider: it works
// where all do.
type record struct {
	Provider string `json:"provider"`
	Feature  string `json:"feature"`
	Result   string `json:"result"` // "works", "fails", "not offered"
}

var recorder struct {
	sync.Mutex
	notOffered map[string]bool // names of tests
	named      map[string]bool // those whose feature is not what their name says
}

// records notes, when the test has ended, whether what its name says works
// with that provider. Every world does it, so journeys need not.
func records(t testing.TB, provider string) {
	recorder.Lock()
	named := recorder.named[t.Name()]
	recorder.Unlock()
	if !named {
		whenDone(t, provider, strings.SplitN(t.Name(), "/", 2)[0])
	}
}

// recordsAs is records under another name; it comes before the world is made.
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

// notOffered says that the provider does not have what the journey is about,
// and that the journey has seen what happens then.
func notOffered(t testing.TB) {
	recorder.Lock()
	defer recorder.Unlock()
	if recorder.notOffered == nil {
		recorder.notOffered = map[string]bool{}
	}
	recorder.notOffered[t.Name()] = true
}
