package op

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// cupboard is a DocumentStore in memory, shared by the instances of a test.
type cupboard struct {
	mu     sync.Mutex
	parts  map[string][]byte
	stores int
	err    error
}

func (c *cupboard) Load(ctx context.Context, part string) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.parts[part], c.err
}

func (c *cupboard) Store(_ context.Context, part string, document []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if c.parts == nil {
		c.parts = map[string][]byte{}
	}
	c.parts[part] = document
	c.stores++
	return nil
}

// instance is the key set of one instance.
type instance struct {
	*KeySet
	op      *jwks
	notices []Notice
}

func newInstance(c *cupboard, op *jwks) *instance {
	i := &instance{op: op}
	i.KeySet = newKeySet(op.fetch, time.Now)
	i.shelf = &shelf{part: "keys", now: time.Now, notify: func(n Notice) { i.notices = append(i.notices, n) }}
	i.address = func() string { return "https://op.example/jwks" }
	var keeper DocumentStore = c
	i.shelf.keeper.Store(&keeper)
	return i
}

func (i *instance) accepts(t *testing.T, name string) bool {
	t.Helper()
	err := verifies(t, i.KeySet, signed(t, name, name, map[string]jose.SignatureAlgorithm{"p256": jose.ES256, "p256-b": jose.ES256}[name]))
	synctest.Wait() // let it store what it fetched
	return err == nil
}

var errDown = errors.New("connection refused")

// Stored keys are used while the provider is down, until they are a day old.
func TestKeptKeysServeWhileTheProviderIsDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, both := new(cupboard), keySetOf(member(t, "p256", ""), member(t, "p256-b", ""))
		first := newInstance(c, &jwks{document: both})
		if !first.accepts(t, "p256") {
			t.Fatal("expected the key to be accepted, seen that it is not")
		}
		if c.stores != 1 {
			t.Fatalf("expected the keys to be stored once, seen %d times", c.stores)
		}
		time.Sleep(20 * time.Hour)
		second := newInstance(c, &jwks{err: errDown})
		if !second.accepts(t, "p256") {
			t.Error("after a restart with the provider down: expected the key to be accepted, seen that it is not")
		}
		if len(second.notices) != 1 {
			t.Fatalf("after a restart with the provider down: expected one notice, seen %v", second.notices)
		}
		if second.notices[0].Over {
			t.Errorf("after a restart with the provider down: expected a notice of an outage, seen %v", second.notices[0])
		}
		// Keys in memory expire as well.
		time.Sleep(4 * time.Hour)
		if second.accepts(t, "p256") {
			t.Error("the keys are used a day after they were fetched")
		}
		if newInstance(c, &jwks{err: errDown}).accepts(t, "p256") {
			t.Error("kept keys are used a day after they were fetched")
		}
		second.op.set(both, nil)
		time.Sleep(time.Minute)
		if !second.accepts(t, "p256") {
			t.Error("when the provider is back: expected the key to be accepted, seen that it is not")
		}
		if !second.notices[len(second.notices)-1].Over {
			t.Errorf("when the provider is back: expected a last notice that the outage is over, seen %v", second.notices)
		}
	})
}

// The latest fetch of all instances counts.
func TestKeyThatAnotherInstanceSawDropped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, both, one := new(cupboard), keySetOf(member(t, "p256", ""), member(t, "p256-b", "")), keySetOf(member(t, "p256-b", ""))
		here := newInstance(c, &jwks{document: both})
		there := newInstance(c, &jwks{document: both})
		for name, i := range map[string]*instance{"here": here, "there": there} {
			if !i.accepts(t, "p256") {
				t.Fatalf("%s: expected the key to be accepted, seen that it is not", name)
			}
		}
		here.op.set(nil, errDown)
		there.op.set(one, nil)
		time.Sleep(keysAge + time.Second)
		if there.accepts(t, "p256") {
			t.Error("the instance that saw it dropped accepts the key")
		}
		if here.accepts(t, "p256") {
			t.Error("the instance that cannot see it: expected the dropped key to be refused, seen that it is accepted")
		}
		if !here.accepts(t, "p256-b") {
			t.Error("the instance that cannot see it: expected the other key to be accepted, seen that it is refused")
		}
		// A stored key set that is older than the one in memory is ignored.
		c.parts["keys"] = must(json.Marshal(kept{Fetched: time.Now().Add(-time.Hour).Unix(), Document: both, From: "https://op.example/jwks"}))
		there.op.set(nil, errDown)
		time.Sleep(keysAge + time.Second)
		if there.accepts(t, "p256") {
			t.Error("an older record brings the key back")
		}
	})
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func TestKeptDocumentsThatCountAsNone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		good := kept{Fetched: time.Now().Unix(), Document: keySetOf(member(t, "p256", "")), From: "https://op.example/jwks"}
		for name, change := range map[string]func(*kept){
			"too old":            func(k *kept) { k.Fetched -= int64(keepFor.Seconds()) },
			"from the future":    func(k *kept) { k.Fetched += 600 },
			"no key set":         func(k *kept) { k.Document = []byte("{}") },
			"of another address": func(k *kept) { k.From = "https://op.example/other" },
		} {
			k := good
			change(&k)
			if newInstance(&cupboard{parts: map[string][]byte{"keys": must(json.Marshal(k))}}, &jwks{err: errDown}).accepts(t, "p256") {
				t.Errorf("%s: the keys are used", name)
			}
		}
		for name, text := range map[string]string{"no JSON": "no", "null": "null", "nothing": "", "a list": "[]"} {
			if newInstance(&cupboard{parts: map[string][]byte{"keys": []byte(text)}}, &jwks{err: errDown}).accepts(t, "p256") {
				t.Errorf("%s: the keys are used", name)
			}
		}
		if !newInstance(&cupboard{parts: map[string][]byte{"keys": must(json.Marshal(good))}}, &jwks{err: errDown}).accepts(t, "p256") {
			t.Error("the good ones are not used")
		}
	})
}

func TestDocumentsAreKeptOnChangeAndNowAndThen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := new(cupboard)
		i := newInstance(c, &jwks{document: keySetOf(member(t, "p256", ""))})
		for range 24 { // six hours
			_ = i.accepts(t, "p256")
			time.Sleep(keysAge)
		}
		if c.stores < 2 || c.stores > 3 {
			t.Errorf("expected two or three stores in six hours without a change, seen %d", c.stores)
		}
		before := c.stores
		i.op.set(keySetOf(member(t, "p256", ""), member(t, "p256-b", "")), nil)
		_ = i.accepts(t, "p256")
		if c.stores != before+1 {
			t.Errorf("kept %d times after a change, want once", c.stores-before)
		}
		i.op.set([]byte(strings.Replace(string(keySetOf(member(t, "p256", ""))), "{", "{"+strings.Repeat(" ", maxKept), 1)), nil)
		time.Sleep(keysAge)
		if _ = i.accepts(t, "p256"); c.stores != before+1 {
			t.Error("a document over the limit is kept")
		}
	})
}

func TestStorageThatFailsOrHangsChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := &cupboard{err: errDown}
		i := newInstance(c, &jwks{document: keySetOf(member(t, "p256", ""))})
		if !i.accepts(t, "p256") {
			t.Error("a storage that fails fails a token")
		}
		c.err = nil
		time.Sleep(keysAge)
		if !i.accepts(t, "p256") {
			t.Error("when the storage is back: expected the key to be accepted, seen that it is not")
		}
		if c.stores != 1 {
			t.Errorf("when the storage is back: expected one store, seen %d", c.stores)
		}
		s := &shelf{part: "keys", now: time.Now}
		var hanging DocumentStore = slow{}
		s.keeper.Store(&hanging)
		began := time.Now()
		if k := s.load(); k != nil {
			t.Errorf("a storage that hangs: expected nothing, seen %v", k)
		}
		if took := time.Since(began); took > 2*loadWithin {
			t.Errorf("a storage that hangs: expected to wait for %s at most, seen %s", 2*loadWithin, took)
		}
		if k := s.load(); k != nil {
			t.Errorf("a second load: expected nothing, seen %v", k)
		}
		if took := time.Since(began); took > 2*loadWithin {
			t.Errorf("a second load: expected no further wait, seen %s of both", took)
		}
		time.Sleep(time.Hour)
	})
}

// slow is a storage that ignores its context.
type slow struct{}

func (slow) Load(context.Context, string) ([]byte, error) { time.Sleep(time.Minute); return nil, nil }
func (slow) Store(context.Context, string, []byte) error  { return nil }
