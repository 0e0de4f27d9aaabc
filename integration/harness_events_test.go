package integration_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
)

func init() { caddy.RegisterModule(eventWitness{}) }

// eventWitness is an event handler that records events under its name.
type eventWitness struct {
	Name string `json:"name"`
}

func (eventWitness) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.witness", New: func() caddy.Module { return new(eventWitness) }}
}

func (w *eventWitness) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if !d.AllArgs(&w.Name) {
		return d.ArgErr()
	}
	return nil
}

// witnessed has all recorded events, by the name of the witness.
var witnessed sync.Map

// meanwhile has a function to run while a witness handles an event, by the name of the witness.
var meanwhile sync.Map

func (w *eventWitness) Handle(_ context.Context, e caddy.Event) error {
	if do, ok := meanwhile.Load(w.Name); ok {
		do.(func(caddy.Event))(e)
	}
	value, _ := witnessed.LoadOrStore(w.Name, new(eventList))
	value.(*eventList).add(e)
	return nil
}

type eventList struct {
	mu     sync.Mutex
	events []caddy.Event
}

func (l *eventList) add(e caddy.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

// events waits until a witness has recorded exactly the given events of this plugin and returns
// them. Events about providers arrive a moment after their cause.
func events(t *testing.T, witness string, want ...string) []caddy.Event {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		var all []caddy.Event
		if value, seen := witnessed.Load(witness); seen {
			list := value.(*eventList)
			list.mu.Lock()
			all = slices.Clone(list.events)
			list.mu.Unlock()
		}
		names := make([]string, len(all))
		for i, e := range all {
			names[i] = e.Name()
		}
		if slices.Equal(names, want) {
			return all
		}
		if time.Now().After(end) {
			t.Fatalf("expected the events %q, seen %q", want, names)
		}
	}
}

// holdData checks data of an event.
func holdData(t *testing.T, e caddy.Event, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if got := e.Data[name]; fmt.Sprint(got) != fmt.Sprint(value) {
			t.Errorf("%s of the event %s: expected %v, seen %v in %v", name, e.Name(), value, got, e.Data)
		}
	}
}

var (
	_ caddyevents.Handler   = (*eventWitness)(nil)
	_ caddyfile.Unmarshaler = (*eventWitness)(nil)
)
