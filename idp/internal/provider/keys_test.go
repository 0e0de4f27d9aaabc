package provider

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// published returns the key ids at /jwks.
func (n *node) published() (ids []string) {
	n.t.Helper()
	w := n.serve(httptest.NewRequest(http.MethodGet, issuer+"/jwks", nil))
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil {
		n.t.Fatal(err)
	}
	for _, key := range set.Keys {
		for _, private := range []string{"d", "p", "q", "k"} {
			if key[private] != nil {
				n.t.Errorf("expected public keys alone, seen %v", key)
			}
		}
		ids = append(ids, key["kid"].(string))
	}
	slices.Sort(ids)
	return ids
}

// signs returns the id of the current signing key.
func (n *node) signs() string {
	n.t.Helper()
	header, _ := claims(n.t, n.tokens(url.Values{"grant_type": {"client_credentials"}}, basic("wiki", wikiKey)).Access)
	return header["kid"].(string)
}

// Nodes that start at the same time agree on the first keys.
func TestNodesAgreeOnTheFirstKeys(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	nodes := []*node{n, nodeOn(t, n.db, n.clock), nodeOn(t, n.db, n.clock)}
	got := make([][]string, len(nodes))
	var all sync.WaitGroup
	for i, one := range nodes {
		all.Go(func() { got[i] = one.published() })
	}
	all.Wait()
	if len(got[0]) != 2 || !slices.Equal(got[0], got[1]) || !slices.Equal(got[1], got[2]) {
		t.Errorf("expected two keys, the same everywhere, seen %v", got)
	}
}

func TestKeysRotateWithOverlap(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	other := nodeOn(t, n.db, n.clock)
	old, before := n.signs(), n.published()
	other.published()
	rotation, err := n.Keys.Rotate(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := other.Keys.Rotate(t.Context(), false); err != nil || len(again.Keys) != 4 || !again.Active.Equal(rotation.Active) {
		t.Errorf("expected a rotation that is on its way not to begin again, seen %+v %v", again, err)
	}
	n.clock.add(keysRefresh)
	if got := other.published(); len(got) != 4 {
		t.Errorf("expected the new keys to be published at once, seen %v", got)
	}
	if got := other.signs(); got != old {
		t.Errorf("expected the old key to sign still, seen %v", got)
	}
	n.clock.add(publishedBefore)
	fresh := other.signs()
	if slices.Contains(before, fresh) {
		t.Errorf("expected a new key to sign after an hour, seen %v", fresh)
	}
	if got := n.published(); !slices.Contains(got, old) {
		t.Errorf("expected the old key to be published, seen %v", got)
	}
	n.clock.add(publishedAfter)
	if got := n.published(); slices.Contains(got, old) || len(got) != 2 {
		t.Errorf("expected the new keys alone, seen %v", got)
	}
	if got := n.signs(); got != fresh {
		t.Errorf("expected the same key to sign, seen %v", got)
	}
	if rotation, err = n.Keys.Rotate(t.Context(), false); err != nil || len(rotation.Keys) != 4 {
		t.Errorf("expected retired keys to be removed by the next rotation, seen %d %v", len(rotation.Keys), err)
	}
}

func TestCompromisedKeysAreGoneAtOnce(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	other := nodeOn(t, n.db, n.clock)
	b := browser{}
	hint := n.redeemWiki(n.code(b, wikiRequest())).ID
	before := other.published()
	rotation, err := n.Keys.Rotate(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	if len(rotation.Keys) != 2 {
		t.Errorf("expected two keys, seen %d", len(rotation.Keys))
	}
	n.clock.add(keysRefresh)
	for _, at := range []*node{n, other} {
		for _, id := range at.published() {
			if slices.Contains(before, id) {
				t.Errorf("expected new keys alone, seen %v", id)
			}
		}
		w := b.visit(at, http.MethodGet, issuer+"/end_session?id_token_hint="+hint, "")
		if w.Header().Get("X-Page") != "sign_out" || !n.isSignedIn(b) {
			t.Errorf("expected what the old keys signed to count no more, seen %v", w.Header())
		}
	}
}

// A sealed key can be opened only in its own row. If rows are swapped, no token is signed.
func TestASealedKeyOpensInItsRowAlone(t *testing.T) {
	t.Parallel()
	n := newNode(t)
	n.published()
	err := n.db.Update(t.Context(), func(tx store.Tx) error {
		rows, err := tx.SigningKeys()
		if err != nil {
			return err
		}
		rows[0].Sealed, rows[1].Sealed = rows[1].Sealed, rows[0].Sealed
		return putKeys(tx, rows)
	})
	if err != nil {
		t.Fatal(err)
	}
	other := nodeOn(t, n.db, n.clock)
	got := other.tokens(url.Values{"grant_type": {"client_credentials"}}, basic("wiki", wikiKey))
	if got.status != http.StatusInternalServerError || got.Error != "server_error" {
		t.Errorf("expected an error of ours, seen %+v", got)
	}
}

func TestActiveKey(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(hours int) time.Time { return now.Add(time.Duration(hours) * time.Hour) }
	rows := []store.SigningKey{
		{ID: "retired", Alg: rs256, Active: at(-9), Retires: now},
		{ID: "old", Alg: rs256, Active: at(-5), Retires: at(1)},
		{ID: "new", Alg: rs256, Active: now},
		{ID: "next", Alg: rs256, Active: at(1)},
		{ID: "other", Alg: es256, Active: at(-1)},
	}
	for _, row := range []struct {
		alg  string
		now  time.Time
		want string
	}{{rs256, now, "new"}, {rs256, now.Add(-1), "old"}, {rs256, at(1), "next"}, {es256, now, "other"}, {"none", now, ""}} {
		got := ""
		if key := activeKey(rows, row.alg, row.now); key != nil {
			got = key.ID
		}
		if got != row.want {
			t.Errorf("%s at %v: expected %q, seen %q", row.alg, row.now, row.want, got)
		}
	}
}
