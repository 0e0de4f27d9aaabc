package op

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/bounded"
)

// This file keeps the last good metadata and keys where a restart finds them.
// They are used only while the provider does not answer.

const (
	// keepFor is how long what was fetched is used while the provider does not
	// answer, in memory as well: a key that was withdrawn must not live on because
	// somebody keeps the key set from us.
	keepFor = 24 * time.Hour
	// keepAgain is when an unchanged document is written again, so that its age
	// counts from a later fetch.
	keepAgain   = 3 * time.Hour
	maxKept     = 512 << 10 // bytes of a document
	storeWithin = 30 * time.Second
	loadWithin  = 3 * time.Second
	loadEvery   = 5 * time.Second
	// clocksDiffer is how far from the future another instance may seem to write.
	clocksDiffer = 5 * time.Minute
	// stillNew is the age up to which no notice is given that a document is used
	// although the provider does not answer.
	stillNew    = 2 * time.Hour
	noticeEvery = 10 * time.Minute
)

// DocumentStore keeps documents about one provider, so that no one else can read or
// change them. Load returns nil where it has none.
type DocumentStore interface {
	Load(ctx context.Context, part string) ([]byte, error)
	Store(ctx context.Context, part string, document []byte) error
}

// Notice says that a provider does not answer, and that what was learned before is
// used in the place of an answer, or that this is over.
type Notice struct {
	Part    string // metadata or keys
	Over    bool
	Fetched time.Time // when what is used was fetched
	Err     error     // why it cannot be fetched now
}

// kept is a document as it is kept.
type kept struct {
	Fetched  int64  `json:"fetched"` // in Unix seconds
	Document []byte `json:"document"`
	// Found is where the connection led by which metadata came; see guard.
	Found locality `json:"found,omitempty"`
	// From is the address that keys were fetched from.
	From string `json:"from,omitempty"`
}

func (k *kept) time() time.Time { return time.Unix(k.Fetched, 0) }

func (k *kept) sum() [sha256.Size]byte {
	return sha256.Sum256([]byte(k.From + "\x00" + string(rune(k.Found)) + "\x00" + string(k.Document)))
}

// shelf is where one of a provider's documents is kept.
type shelf struct {
	part   string
	now    func() time.Time
	keeper atomic.Pointer[DocumentStore]
	notify func(Notice)

	mu      sync.Mutex
	saved   [sha256.Size]byte // of what is kept, as far as is known here
	savedAt int64
	next    *kept // to be saved
	saving  bool
	loading bool
	loadAt  time.Time // no look before

	noticedAt time.Time // when the last notice was given; zero while all is well
	tellMu    sync.Mutex
}

// save keeps a document that was just fetched, in the background, if it has
// changed or what is kept grows old. An error is forgotten: the next fetch tries
// again.
func (s *shelf) save(k *kept) {
	if s.keeper.Load() == nil || len(k.Document) > maxKept {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if k.sum() == s.saved && k.Fetched-s.savedAt < int64(keepAgain.Seconds()) {
		return
	}
	s.next = k
	if !s.saving {
		s.saving = true
		go s.work()
	}
}

// work saves until nothing is left to save.
func (s *shelf) work() {
	for {
		s.mu.Lock()
		k := s.next
		s.next = nil
		s.saving = k != nil
		s.mu.Unlock()
		if k == nil {
			return
		}
		if s.store(k) {
			s.mu.Lock()
			s.saved, s.savedAt = k.sum(), k.Fetched
			s.mu.Unlock()
		}
	}
}

// store writes a document, unless another instance has written the same or a
// later one.
func (s *shelf) store(k *kept) bool {
	ctx, cancel := context.WithTimeout(context.Background(), storeWithin)
	defer cancel()
	keeper := *s.keeper.Load()
	if there := s.read(ctx, keeper); there != nil {
		if there.Fetched > k.Fetched {
			return false
		}
		if there.sum() == k.sum() && k.Fetched-there.Fetched < int64(keepAgain.Seconds()) {
			return true
		}
	}
	text, err := json.Marshal(k)
	return err == nil && keeper.Store(ctx, s.part, text) == nil
}

// read returns what is kept, or nil for what is not there, cannot be understood,
// is too old, or from the future.
func (s *shelf) read(ctx context.Context, keeper DocumentStore) *kept {
	text, err := keeper.Load(ctx, s.part)
	if err != nil || len(text) == 0 {
		return nil
	}
	k := new(kept)
	if json.Unmarshal(text, k) != nil {
		return nil
	}
	if age := s.now().Sub(k.time()); age >= keepFor || age < -clocksDiffer {
		return nil
	}
	return k
}

// load returns what is kept. It does not wait long for a storage that hangs, and
// does not look often.
func (s *shelf) load() *kept {
	keeper := s.keeper.Load()
	s.mu.Lock()
	now := s.now()
	wait := s.loadAt.Sub(now)
	if keeper == nil || s.loading || wait > 0 && wait <= loadEvery {
		s.mu.Unlock()
		return nil
	}
	s.loading, s.loadAt = true, now.Add(loadEvery)
	s.mu.Unlock()
	found, _ := bounded.Within(context.Background(), loadWithin, func(ctx context.Context) (*kept, error) {
		k := s.read(ctx, *keeper)
		s.mu.Lock()
		s.loading = false
		s.mu.Unlock()
		return k, nil
	})
	return found // nil if the storage hangs
}

// stale gives notice, at most once in noticeEvery, that something fetched then is used because the
// provider does not answer. A short outage is no news; an answer that cannot be right is.
func (s *shelf) stale(fetched time.Time, err error, loaded bool) {
	now := s.now()
	var settings *SettingsError
	if !loaded && now.Sub(fetched) < stillNew && !errors.As(err, &settings) {
		return
	}
	s.tellMu.Lock()
	defer s.tellMu.Unlock()
	if since := now.Sub(s.noticedAt); s.notify == nil || !s.noticedAt.IsZero() && since >= 0 && since < noticeEvery {
		return
	}
	s.noticedAt = now
	s.notify(Notice{Part: s.part, Fetched: fetched, Err: err})
}

// live gives notice that the provider answers again, if one was given that it did not.
func (s *shelf) live() {
	s.tellMu.Lock()
	defer s.tellMu.Unlock()
	if !s.noticedAt.IsZero() {
		s.noticedAt = time.Time{}
		s.notify(Notice{Part: s.part, Over: true})
	}
}

// KeepIn sets where the metadata and keys are kept. Until it is called they are
// not.
func (r *Discovery) KeepIn(keeper DocumentStore) {
	r.shelf.keeper.Store(&keeper)
	if r.keys.shelf != nil {
		r.keys.shelf.keeper.Store(&keeper)
	}
}

// loadMetadata returns the metadata that is kept, checked like any other against
// the configuration of today.
func (r *Discovery) loadMetadata() (*Metadata, time.Time) {
	if r.config.static() {
		return nil, time.Time{}
	}
	k := r.shelf.load()
	if k == nil {
		return nil, time.Time{}
	}
	metadata, err := r.config.parse(k.Document)
	if err != nil {
		return nil, time.Time{}
	}
	before := r.guard.found.Swap(uint32(k.Found))
	if r.complete(metadata) != nil {
		r.guard.found.Store(before)
		return nil, time.Time{}
	}
	return metadata, k.time()
}

// keysAddress is where the keys are, as far as that is known.
func (r *Discovery) keysAddress() string {
	if r.config.Endpoints.JWKS != "" {
		return r.config.Endpoints.JWKS
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.metadata == nil {
		return ""
	}
	return r.metadata.Endpoints.JWKS
}
