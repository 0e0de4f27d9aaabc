package adminapi

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/identity"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/op"
)

// discovery is a Discovery that returns its fields.
type discovery struct {
	health   op.Health
	metadata *op.Metadata
	issuers  []string
}

func (d *discovery) Health() (op.Health, *op.Metadata) { return d.health, d.metadata }
func (d *discovery) KeysHealth() (op.Health, int)      { return op.Health{State: op.OK}, 2 }
func (d *discovery) IsIssuer(name string) bool         { return slices.Contains(d.issuers, name) }

func TestMergeProviders(t *testing.T) {
	t.Parallel()
	one, other := new(discovery), &discovery{issuers: []string{"other"}}
	merged := MergeProviders([]Provider{
		{ID: "corp", Shared: true, Discovery: one, Written: "1"},
		{ID: "own", Sites: []string{"b.test"}, Discovery: one, Written: "1"},
		{ID: "corp", Sites: []string{"b.test", "a.test"}, Discovery: one, Written: "1"},
		{ID: "corp", Sites: []string{"a.test", "c.test"}, Discovery: one, Written: "1"},
		{ID: "own", Sites: []string{"a.test"}, Discovery: one, Written: "2"},
		{ID: "own", Sites: []string{"c.test"}, Discovery: other, Written: "1"},
	})
	var seen []string
	for _, p := range merged {
		seen = append(seen, p.ID+" "+strings.Join(p.Sites, ","))
	}
	expected := []string{"corp a.test,b.test,c.test", "own a.test", "own b.test", "own c.test"}
	if !slices.Equal(seen, expected) {
		t.Errorf("expected %q, seen %q", expected, seen)
	}
	if !merged[0].Shared {
		t.Error("expected the first to be shared")
	}
}

func TestListProviders(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 678, time.FixedZone("", 3600))
	metadata := &op.Metadata{Issuer: "https://op.test"}
	metadata.Endpoints.Token = "https://op.test/token"
	response := ListProviders(MergeProviders([]Provider{
		{ID: "a", ClientID: "rp", Mapping: identity.Mapping{Issuer: "https://op.test"}, Discovery: &discovery{
			health: op.Health{State: op.Failing, Read: at, Failed: at, Err: errors.New("refused")}, metadata: metadata,
		}},
		{ID: "b", Disabled: true, Discovery: &discovery{health: op.Health{State: op.Unknown}}},
	}))
	data, err := json.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	const expected = `{"providers":[` +
		`{"id":"a","issuer":"https://op.test","client_id":"rp","shared":false,"sites":[],"disabled":false,` +
		`"metadata":{"state":"failing","read":"2026-01-02T02:04:05Z","failed":"2026-01-02T02:04:05Z","error":"refused"},` +
		`"keys":{"state":"ok","usable":2},"endpoints":["token_endpoint"]},` +
		`{"id":"b","issuer":"","client_id":"","shared":false,"sites":[],"disabled":true,` +
		`"metadata":{"state":"unknown"},"keys":{"state":"ok","usable":2},"endpoints":[]}]}`
	if string(data) != expected {
		t.Errorf("expected\n%s\nseen\n%s", expected, data)
	}
}

func TestListProvidersOfNoConfiguration(t *testing.T) {
	t.Parallel()
	if data, _ := json.Marshal(ListProviders(nil)); string(data) != `{"providers":[]}` {
		t.Errorf("expected an empty list, seen %s", data)
	}
}

func TestLongErrorsAreCut(t *testing.T) {
	t.Parallel()
	h := healthOf(op.Health{State: op.Failing, Err: errors.New(strings.Repeat("x", 5000))})
	if len(h.Error) != maxErrorText {
		t.Errorf("expected %d bytes, seen %d", maxErrorText, len(h.Error))
	}
}
