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

// This file stores the last valid metadata and keys for use after a restart. They
// are used only while the provider does not respond.

const (
	// keepFor is how long metadata and keys are used while the provider does not
	// respond, in memory as well. Blocking access to the key set must not keep a
	// withdrawn key valid.
	keepFor = 24 * time.Hour
	// keepAgain is the age from which an unchanged document is stored again, with
	// the date of a later fetch.
	keepAgain   = 3 * time.Hour
	maxKept     = 512 << 10 // maximum size in bytes of a document
	storeWithin = 30 * time.Second
	loadWithin  = 3 * time.Second
	loadEvery   = 5 * time.Second
	// clocksDiffer is how far in the future another node may seem to have fetched.
	clocksDiffer = 5 * time.Minute
	// stillNew is the age up to which a document is used during an outage without
	// notice.
	stillNew    = 2 * time.Hour
	noticeEvery = 10 * time.Minute
)

// DocumentStore stores documents about one provider. Others can neither read nor
// change them. Load returns nil if there is none.
type DocumentStore interface {
	Load(ctx context.Context, part string) ([]byte, error)
	Store(ctx context.Context, part string, document []byte) error
}

// Notice reports that a provider does not respond and that an earlier document is
// used, or that this has ended.
type Notice struct {
	Part    string // metadata or keys
	Over    bool
	Fetched time.Time // when the document was fetched
	Err     error     // why it cannot be fetched now
}

// kept is a stored document.
type kept struct {
	Fetched  int64  `json:"fetched"` // in Unix seconds
	Document []byte `json:"document"`
	// Found is where the connection led over which metadata came; see guard.
	Found locality `json:"found,omitempty"`
	// From is the URL that keys were fetched from.
	From string `json:"from,omitempty"`
}

func (k *kept) time() time.Time { return time.Unix(k.Fetched, 0) }

func (k *kept) sum() [sha256.Size]byte {
	return sha256.Sum256([]byte(k.From + "\x00" + string(rune(k.Found)) + "\x00" + string(k.Document)))
}

// shelf stores one of a provider's documents.
type shelf struct {
	part   string
	now    func() time.Time
	keeper atomic.Pointer[DocumentStore]
	notify func(Notice)

	mu      sync.Mutex
	saved   [sha256.Size]byte // hash of the stored document, as far as known
	savedAt int64
	next    *kept // the document to store
	saving  bool
	loading bool
	loadAt  time.Time // no attempt to load before

	noticedAt time.Time // when the last notice was given; zero while all is well
	tellMu    sync.Mutex
}

// save stores a document that was just fetched, in the background, if it has
// changed or the stored one is old. Errors are ignored, because the next fetch
// tries again.
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

// work stores documents until there are none left.
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

// store stores a document, unless another node has stored the same or a newer one.
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

// read returns the stored document; nil if there is none or it is not valid, too
// old, or from the future.
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

// load returns the stored document. It limits the time and frequency of reading a
// storage that hangs.
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

// stale gives notice, at most once per noticeEvery, that a document fetched then is
// used because the provider does not respond. It gives none for short outages,
// unless the response was not valid.
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

// live gives notice that the provider responds again, if stale has given notice.
func (s *shelf) live() {
	s.tellMu.Lock()
	defer s.tellMu.Unlock()
	if !s.noticedAt.IsZero() {
		s.noticedAt = time.Time{}
		s.notify(Notice{Part: s.part, Over: true})
	}
}

// KeepIn sets where metadata and keys are stored. Before it is called they are not
// stored.
func (r *Discovery) KeepIn(keeper DocumentStore) {
	r.shelf.keeper.Store(&keeper)
	if r.keys.shelf != nil {
		r.keys.shelf.keeper.Store(&keeper)
	}
}

// loadMetadata returns the stored metadata, checked against the current
// configuration.
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

// keysAddress returns the URL of the keys, if it is known.
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
