package revocation

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/clusterstore/clustertest"
)

func TestAStorageThatDoesNotReturnWhatWasStored(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage, sessions := old(t)
		j := storage.node(time.Now)
		mangled := NewLog(func() clusterstore.Storage { return mangling{unlocked{Memory: storage.Memory}} }, time.Now)
		ready(t, mangled, j)
		before := storage.Keys()
		if err := mangled.Pack(t.Context()); !errors.Is(err, errNotKept) {
			t.Errorf("Pack: %v", err)
		}
		if !slices.Equal(storage.Keys(), before) {
			t.Errorf("%d files before, %d after", len(before), len(storage.Keys()))
		}
		wantKnown(t, "a later node", storage.node(time.Now), sessions)
	})
}

// mangling is a storage that treats values as text.
type mangling struct{ unlocked }

func (m mangling) Store(ctx context.Context, key string, value []byte) error {
	return m.unlocked.Store(ctx, key, []byte(strings.ToValidUTF8(string(value), "?")))
}

// TestBrokenPacks checks that an incomplete pack is no error, and that its events are known
// once it is complete.
func TestBrokenPacks(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage, sessions := old(t)
		before := storage.copy()
		j := storage.node(time.Now)
		ready(t, j)
		packAll(t, j)
		_, packs := storage.root()
		key := logRoot + "/" + packs[0]
		data := storage.Files[key]
		for _, length := range []int{0, 1, len(packHead), len(data) / 2, len(data) - 1} {
			here := before.copy()
			here.Files[key] = data[:length]
			reader, packer := here.node(time.Now), here.node(time.Now)
			wantKnown(t, "a node that reads a broken pack", reader, sessions)
			ready(t, packer)
			packAll(t, packer)
			wantKnown(t, "a later node", here.node(time.Now), sessions)
			here.With(func(m *clustertest.Memory) { m.Files[key] = data })
			wantKnown(t, "a node that comes when it is whole", here.node(time.Now), sessions)

			storage := storage.copy()
			storage.Files[key] = data[:length]
			reader = storage.node(time.Now)
			poll(t, reader)
			if knows(reader, sessions...) == len(sessions) {
				t.Fatal("a broken pack was read")
			}
			storage.With(func(m *clustertest.Memory) { m.Files[key] = data })
			wantKnown(t, "the node that read it broken", reader, sessions)
		}

		storage.With(func(m *clustertest.Memory) { m.Files[key] = data[:100] })
		reader := storage.node(time.Now)
		poll(t, reader)
		time.Sleep(settled + time.Second)
		poll(t, reader)
		loads := storage.Loads
		for range 60 {
			poll(t, reader)
		}
		if got := storage.Loads - loads; got > 60/5 {
			t.Errorf("it is read %d times in 60 polls", got)
		}
		time.Sleep(brokenAgain)
		storage.With(func(m *clustertest.Memory) { m.Files[key] = data })
		wantKnown(t, "the node that looks again", reader, sessions)

		storage.With(func(m *clustertest.Memory) { m.Files[key] = data[:100] })
		reader = storage.node(time.Now)
		poll(t, reader)
		time.Sleep(brokenFor + time.Second)
		sweep(t, reader)
		if _, packs := storage.root(); len(packs) != 0 {
			t.Errorf("after a day there are %q", packs)
		}
	})
}

func TestMinutesThatCannotBeReadStay(t *testing.T) {
	clustertest.InBubble(t, func(t *testing.T) {
		storage, sessions := old(t)
		keys := storage.Keys()
		odd := map[string]string{keys[1]: "AQAAAAAAAAAAAAAAAAAAAA of a later release\n", keys[3]: "AQAAAA"}
		for key, line := range odd {
			storage.Files[key] = append(slices.Clone(storage.Files[key]), line...)
		}
		if path.Dir(keys[1]) == path.Dir(keys[3]) {
			t.Fatalf("expected files of two minutes, seen %q", keys)
		}
		if !isFile(path.Base(keys[1])) {
			t.Fatalf("expected a file of events, seen %q", keys[1])
		}
		j := storage.node(time.Now)
		ready(t, j)
		packAll(t, j)
		for key := range odd {
			if storage.Files[key] == nil {
				t.Errorf("%s was packed", key)
			}
		}
		minutes, _ := storage.root()
		stores := storage.Stores
		time.Sleep(time.Minute)
		poll(t, j)
		packAll(t, j)
		if storage.Stores != stores {
			t.Errorf("expected no more stores, seen %d", storage.Stores-stores)
		}
		if len(minutes) > 8 {
			t.Errorf("expected eight minutes at most, seen %q", minutes)
		}
		wantKnown(t, "a later node", storage.node(time.Now), sessions)
	})
}
