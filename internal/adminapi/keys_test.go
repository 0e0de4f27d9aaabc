package adminapi

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// managed is a ManagedKeys that returns its fields.
type managed struct {
	keys   []seal.Key
	err    error
	waits  bool // a key is waiting, so no other is made
	forced bool // Rotate was called for compromised keys
}

func (m *managed) Keys(context.Context) ([]seal.Key, error) { return m.keys, m.err }
func (m *managed) Rotation() time.Duration                  { return time.Hour }
func (m *managed) Rotate(_ context.Context, compromised bool) (bool, error) {
	m.forced = compromised
	return !m.waits && m.err == nil, m.err
}

func TestMergeRings(t *testing.T) {
	t.Parallel()
	one, other := new(managed), &managed{waits: true}
	merged := MergeRings([]Ring{
		{Configured: []string{"b"}, Sites: []string{"b.test"}},
		{Managed: other, Sites: []string{"z.test"}},
		{Managed: one, Sites: []string{"y.test"}},
		{Configured: []string{"b"}, Sites: []string{"a.test", "b.test"}},
		{Managed: one, Sites: nil},
		{Configured: []string{"a", "b"}, Sites: []string{"a.test"}},
	})
	var seen []string
	for _, ring := range merged {
		data, err := json.Marshal([]any{ring.Managed != nil, ring.Configured, ring.Sites})
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, string(data))
	}
	expected := []string{
		`[true,null,["y.test"]]`, `[true,null,["z.test"]]`,
		`[false,["b"],["a.test","b.test"]]`, `[false,["a","b"],["a.test"]]`,
	}
	if !slices.Equal(seen, expected) {
		t.Errorf("expected %q, seen %q", expected, seen)
	}
}

func TestListKeys(t *testing.T) {
	t.Parallel()
	stored := &managed{keys: []seal.Key{
		{ID: "1", Seals: true, Created: now.Add(-time.Hour), SealsFrom: now.Add(-time.Hour), OpensUntil: now.Add(time.Hour)},
		{ID: "2", Created: now, SealsFrom: now.Add(time.Minute)},
		{ID: "3", Created: now.Add(-2 * time.Hour), SealsFrom: now.Add(-2 * time.Hour), OpensUntil: now.Add(time.Minute)},
	}}
	failing := &managed{err: errors.New("timeout")}
	for _, row := range []struct {
		name, expected string
		ring           Ring
	}{
		{"in a storage", `{"from":"storage","sites":["a.test"],"rotate":"1h0m0s","keys":[` +
			`{"id":"1","state":"sealing","created":"2026-01-02T02:04:05Z","seals_from":"2026-01-02T02:04:05Z","opens_until":"2026-01-02T04:04:05Z"},` +
			`{"id":"2","state":"waiting","created":"2026-01-02T03:04:05Z","seals_from":"2026-01-02T03:05:05Z"},` +
			`{"id":"3","state":"opening","created":"2026-01-02T01:04:05Z","seals_from":"2026-01-02T01:04:05Z","opens_until":"2026-01-02T03:05:05Z"}]}`,
			Ring{Managed: stored, Sites: []string{"a.test"}}},
		{"in a storage that fails", `{"from":"storage","sites":[],"rotate":"1h0m0s","keys":[],"note":"the storage does not answer: timeout"}`,
			Ring{Managed: failing}},
		{"of the configuration", `{"from":"secret","sites":[],"keys":[{"id":"1","state":"sealing"},{"id":"2","state":"opening"}]}`,
			Ring{Configured: []string{"1", "2"}}},
	} {
		response := ListKeys(t.Context(), MergeRings([]Ring{row.ring}), now)
		if data, err := json.Marshal(response.Rings[0]); err != nil || string(data) != row.expected {
			t.Errorf("%s: expected\n%s\nseen\n%s (%v)", row.name, row.expected, data, err)
		}
	}
}

func TestRotateKeys(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		rings  []Ring
		status int    // of the error, zero for none
		made   []bool // of each ring in the response
	}{
		{"no rings", nil, 409, nil},
		{"keys of the configuration only", []Ring{{Configured: []string{"1"}}}, 409, nil},
		{"keys in a storage", []Ring{{Managed: new(managed)}, {Configured: []string{"1"}}}, 0, []bool{true, false}},
		{"a key is waiting", []Ring{{Managed: &managed{waits: true}}}, 0, []bool{false}},
		{"one storage fails", []Ring{{Managed: new(managed)}, {Managed: &managed{err: errors.New("timeout")}}}, 503, []bool{true}},
	} {
		response, err := RotateKeys(t.Context(), row.rings, RotateRequest{}, now)
		var failed Error
		if errors.As(err, &failed); failed.Status != row.status {
			t.Errorf("%s: expected status %d, seen %v", row.name, row.status, err)
		}
		var made []bool
		for _, ring := range response.Rings {
			made = append(made, ring.Made)
			if ring.Made != (ring.Note == "") {
				t.Errorf("%s: expected a note exactly if no key was made, seen %+v", row.name, ring)
			}
		}
		if !slices.Equal(made, row.made) {
			t.Errorf("%s: expected made %v, seen %v", row.name, row.made, made)
		}
	}
}

func TestRotateCompromisedKeys(t *testing.T) {
	t.Parallel()
	keys := new(managed)
	if _, err := RotateKeys(t.Context(), []Ring{{Managed: keys}}, RotateRequest{Compromised: true}, now); err != nil {
		t.Fatal(err)
	}
	if !keys.forced {
		t.Error("expected the keys to be withdrawn")
	}
}
