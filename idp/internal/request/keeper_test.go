package request_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

// memory is a store that has only requests.
type memory struct {
	store.Tx
	mu   sync.Mutex
	rows map[string]store.Request
}

func (m *memory) View(_ context.Context, f func(store.Tx) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return f(m)
}

func (m *memory) Update(ctx context.Context, f func(store.Tx) error) error { return m.View(ctx, f) }

func (m *memory) Request(id string) (*store.Request, error) {
	row, ok := m.rows[id]
	if !ok {
		return nil, store.ErrNotFound
	}
	return &row, nil
}

func (m *memory) PutRequest(row store.Request) error {
	m.rows[row.ID] = row
	return nil
}

func (m *memory) TakeRequest(id string) (*store.Request, error) {
	row, err := m.Request(id)
	delete(m.rows, id)
	return row, err
}

// browser keeps cookies.
type browser map[string]*http.Cookie

func (b browser) request() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://login.example.com/", nil)
	for _, c := range b {
		r.AddCookie(c)
	}
	return r
}

func (b browser) take(w *httptest.ResponseRecorder) {
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b, c.Name)
		} else {
			b[c.Name] = c
		}
	}
}

type harness struct {
	*request.Keeper
	rows *memory
	now  time.Time
}

func newHarness() *harness {
	h := &harness{rows: &memory{rows: make(map[string]store.Request)}, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	h.Keeper = request.NewKeeper(h.rows, request.Cookies{}, func() time.Time { return h.now })
	return h
}

func (h *harness) begin(t *testing.T, b browser, q request.Request) string {
	t.Helper()
	w := httptest.NewRecorder()
	if err := h.Begin(w, b.request(), &q); err != nil {
		t.Fatalf("begin: %v", err)
	}
	b.take(w)
	return q.ID
}

func TestARequestBelongsToItsBrowser(t *testing.T) {
	t.Parallel()
	h, a, other := newHarness(), browser{}, browser{}
	first := h.begin(t, a, request.Request{Kind: "authorize", ClientID: "wiki", LoginHint: "ada"})
	second := h.begin(t, a, request.Request{Kind: "authorize", ClientID: "shop"})
	theirs := h.begin(t, other, request.Request{Kind: "authorize", ClientID: "wiki", Home: "https://wiki.example.net/"})

	t.Run("it opens with what it began with", func(t *testing.T) {
		q, err := h.Open(a.request(), first)
		if err != nil {
			t.Fatal(err)
		}
		if q.LoginHint != "ada" {
			t.Errorf("expected the login hint ada, seen %q", q.LoginHint)
		}
		if want := h.now.Add(request.Lifetime); !q.Expires.Equal(want) {
			t.Errorf("expected it to expire at %v, seen %v", want, q.Expires)
		}
	})
	t.Run("a second tab has its own", func(t *testing.T) {
		q, err := h.Open(a.request(), second)
		if err != nil {
			t.Fatal(err)
		}
		if q.ClientID != "shop" {
			t.Errorf("expected the request of shop, seen %q", q.ClientID)
		}
	})
	t.Run("another browser gets none of them", func(t *testing.T) {
		for _, id := range []string{first, second} {
			if _, err := h.Open(other.request(), id); !errors.Is(err, request.ErrOtherBrowser) {
				t.Errorf("expected Open to fail with %v, seen %v", request.ErrOtherBrowser, err)
			}
			if _, err := h.Take(httptest.NewRecorder(), other.request(), id); !errors.Is(err, request.ErrOtherBrowser) {
				t.Errorf("expected Take to fail with %v, seen %v", request.ErrOtherBrowser, err)
			}
		}
	})
	t.Run("the cookie of another request opens it as little", func(t *testing.T) {
		forged := browser{}
		for name, c := range other {
			copied := *c
			copied.Name = strings.Replace(name, theirs, first, 1)
			forged[copied.Name] = &copied
		}
		if _, err := h.Open(forged.request(), first); !errors.Is(err, request.ErrOtherBrowser) {
			t.Errorf("expected %v, seen %v", request.ErrOtherBrowser, err)
		}
		if h.CheckFormToken(forged.request(), first, h.FormToken(a.request(), first)) {
			t.Error("expected the form token of another browser to be refused")
		}
	})
	t.Run("its cookie is for this host alone", func(t *testing.T) {
		for name, c := range a {
			if !strings.HasPrefix(name, "__Host-") {
				t.Errorf("expected the prefix __Host-, seen %s", name)
			}
			if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
				t.Errorf("expected Secure, HttpOnly, SameSite=Lax and Path=/, seen %s", c)
			}
		}
	})
	t.Run("the database has only a hash of the cookie", func(t *testing.T) {
		for _, c := range a {
			secret := strings.Split(c.Value, ".")[1]
			for _, row := range h.rows.rows {
				if strings.Contains(string(row.Data), secret) {
					t.Error("expected no secret in the row")
				}
			}
		}
	})
}

func TestARequestIsTakenOnce(t *testing.T) {
	t.Parallel()
	h, b := newHarness(), browser{}
	id := h.begin(t, b, request.Request{Kind: "authorize", ClientID: "wiki", Home: "https://wiki.example.net/"})
	before := browser{}
	for name, c := range b {
		before[name] = c
	}

	var wait sync.WaitGroup
	taken := make(chan error, 50)
	for range cap(taken) {
		wait.Go(func() {
			w := httptest.NewRecorder()
			_, err := h.Take(w, before.request(), id)
			if err == nil {
				b.take(w)
			}
			taken <- err
		})
	}
	wait.Wait()
	close(taken)
	won := 0
	for err := range taken {
		var over *request.OverError
		switch {
		case err == nil:
			won++
		case !errors.As(err, &over):
			t.Errorf("expected the others to find it over, seen %v", err)
		case !over.Answered:
			t.Error("expected the others to find it answered, seen expired")
		}
	}
	if won != 1 {
		t.Errorf("expected one to get it, seen %d", won)
	}

	var over *request.OverError
	if _, err := h.Open(b.request(), id); !errors.As(err, &over) {
		t.Fatalf("expected the browser to remember that it is over, seen %v", err)
	}
	if over.Home != "https://wiki.example.net/" {
		t.Errorf("expected it to know the application, seen %q", over.Home)
	}
}

func TestARequestExpires(t *testing.T) {
	t.Parallel()
	for _, swept := range []bool{false, true} {
		h, b := newHarness(), browser{}
		id := h.begin(t, b, request.Request{Kind: "authorize", ClientID: "wiki", Home: "https://wiki.example.net/"})
		h.now = h.now.Add(request.Lifetime - time.Second)
		if _, err := h.Open(b.request(), id); err != nil {
			t.Errorf("expected it to be open a second before its end, seen %v", err)
		}
		h.now = h.now.Add(2 * time.Second)
		if swept {
			clear(h.rows.rows)
		}
		_, err := h.Update(b.request(), id, func(store.Tx, *request.Request) error { return nil })
		var over *request.OverError
		if !errors.As(err, &over) {
			t.Fatalf("expected it to be over, seen %v", err)
		}
		if over.Answered {
			t.Error("expected expired, seen answered")
		}
		if over.Home != "https://wiki.example.net/" {
			t.Errorf("expected it to know the application, seen %q", over.Home)
		}
	}
}

func TestUpdateKeepsWhatItChanged(t *testing.T) {
	t.Parallel()
	h, b := newHarness(), browser{}
	id := h.begin(t, b, request.Request{Kind: "authorize"})
	if _, err := h.Update(b.request(), id, func(_ store.Tx, q *request.Request) error {
		q.State = []byte("seen")
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	if _, err := h.Update(b.request(), id, func(_ store.Tx, q *request.Request) error {
		q.State = []byte("never kept")
		return refused
	}); !errors.Is(err, refused) {
		t.Errorf("expected %v, seen %v", refused, err)
	}
	q, err := h.Open(b.request(), id)
	if err != nil {
		t.Fatal(err)
	}
	if string(q.State) != "seen" {
		t.Errorf("expected the state of the first change, seen %q", q.State)
	}
	if !h.CheckFormToken(b.request(), id, h.FormToken(b.request(), id)) {
		t.Error("expected the form token to be valid after a change")
	}
}

func TestABrowserKeepsFewRequests(t *testing.T) {
	t.Parallel()
	h, b := newHarness(), browser{}
	var ids []string
	for range 30 {
		ids = append(ids, h.begin(t, b, request.Request{Kind: "authorize"}))
		h.now = h.now.Add(time.Second)
	}
	if len(b) != 12 {
		t.Errorf("expected 12 cookies, seen %d", len(b))
	}
	for i, id := range ids {
		_, err := h.Open(b.request(), id)
		if open := err == nil; open != (i >= 18) {
			t.Errorf("expected the last 12 of 30 to be open, seen the one with index %d: %v", i, err)
		}
	}
}

func FuzzCookie(f *testing.F) {
	f.Add("", "AAAA")
	f.Add("t.s.d2lraQ", "AAAA")
	f.Add("1..", "../..")
	f.Add("1.2.3.4", "ID")
	f.Fuzz(func(t *testing.T, value, id string) {
		h, b := newHarness(), browser{}
		h.begin(t, b, request.Request{Kind: "authorize"})
		r := httptest.NewRequest(http.MethodGet, "https://login.example.com/", nil)
		r.AddCookie(&http.Cookie{Name: "__Host-oidc_idp_request_" + id, Value: value})
		ids := slices.Collect(func(yield func(string) bool) {
			for own := range h.rows.rows {
				if !yield(own) {
					return
				}
			}
		})
		for _, id := range append(ids, id) {
			if _, err := h.Open(r, id); err == nil {
				t.Errorf("expected no cookie but the browser's own to open a request, seen %q", value)
			}
		}
	})
}
