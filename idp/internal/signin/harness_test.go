package signin

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/hotp"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/broker"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/database/databasetest"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/factors"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/pages"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/request"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/sso"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/idp/internal/store"
)

const issuer = "https://login.example.com"

// harness is a SignIn with a database, sessions, pages and factors. Its accounts are fake:
// the hash of a password is the password.
type harness struct {
	*SignIn
	t       testing.TB
	db      store.Store
	factors *factors.Set
	mu      sync.Mutex
	at      time.Time
	policy  Policy
	share   bool // MFAForAll
	hashes  atomic.Int64
	log     *strings.Builder
	counted map[string]int
	mails   []string
	codes   map[string]string // mailed codes by user
	slept   []time.Duration
	linked  []string
	left    []string // for example "partners ada@partners.example"
}

func newHarness(t testing.TB) *harness {
	t.Helper()
	h := &harness{t: t, db: databasetest.New(t), at: noon, log: new(strings.Builder), counted: make(map[string]int), codes: make(map[string]string)}
	address, _ := url.Parse(issuer)
	var err error
	if h.factors, err = factors.New(factors.Options{Vault: fakeVault{}, Now: h.now, Issuer: address}); err != nil {
		t.Fatal(err)
	}
	shown, err := pages.New(pages.Options{Issuer: issuer})
	if err != nil {
		t.Fatal(err)
	}
	cookies := request.Cookies{}
	logger := slog.New(slog.NewJSONHandler(lockedWriter{h}, nil))
	sessions := sso.New(sso.Options{
		Store: h.db, Cookies: cookies, Applications: noApplications{}, Now: h.now, Logger: logger,
		Limits: func(*store.User) sso.Limits { return sso.Limits{Lifetime: 12 * time.Hour} },
	})
	h.SignIn = New(Options{
		Issuer: issuer, Store: h.db, Cookies: cookies, Requests: request.NewKeeper(h.db, cookies, h.now),
		Sessions: sessions, Pages: shown, Accounts: h, Passwords: h, Lockout: h, Factors: h.factors, Notices: h, Externals: externals{h},
		Keyed:   fakeVault{}.Keyed,
		Home:    func(q *request.Request) string { return "https://" + q.ClientID + ".example.net/" },
		Address: func(r *http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.1") },
		Fail: func(w http.ResponseWriter, r *http.Request, err error) {
			fmt.Fprintf(lockedWriter{h}, "failed: %v\n", err)
			w.WriteHeader(http.StatusInternalServerError)
		},
		Count:  h.count,
		Logger: logger, Now: h.now, Sleep: h.sleep,
	})
	h.Handle("authorize", h)
	h.update(func(tx store.Tx) error { return tx.SetSetting(store.SettingHadAccount, "yes") })
	return h
}

func (h *harness) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *harness) pass(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

func (h *harness) sleep(_ context.Context, d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slept = append(h.slept, d)
	h.at = h.at.Add(d)
}

func (h *harness) count(outcome, factor string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counted[outcome+" "+factor]++
}

type lockedWriter struct{ *harness }

func (w lockedWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(line)
}

func (h *harness) update(f func(store.Tx) error) {
	h.t.Helper()
	if err := h.db.Update(h.t.Context(), f); err != nil {
		h.t.Fatal(err)
	}
}

// addUser adds a person with a password.
func (h *harness) addUser(name, password string) *store.User {
	h.t.Helper()
	u := &store.User{ID: "id-" + name, Kind: store.Person, Name: name, Created: h.now(), Password: store.Password{Hash: password, Changed: h.now()}}
	h.update(func(tx store.Tx) error {
		if err := tx.Reserve(store.Name{Key: name, Kind: store.UserName, UserID: u.ID}); err != nil {
			return err
		}
		return tx.PutUser(u)
	})
	return u
}

func (h *harness) user(id string) (user *store.User) {
	h.t.Helper()
	err := h.db.View(h.t.Context(), func(tx store.Tx) (err error) {
		user, err = tx.User(id)
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return user
}

// addToken adds a token. Its codes are tokenCodes.
func (h *harness) addToken(u *store.User) {
	h.t.Helper()
	h.update(func(tx store.Tx) error {
		_, err := h.factors.HOTP.Add(h.t.Context(), tx, u.ID, factors.Setup{Seed: "3132333435363738393031323334353637383930"}, "token")
		return err
	})
}

// tokenCodes are the codes of the seed in RFC 4226, appendix D.
var tokenCodes = []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"}

// Methods of Accounts.
func (h *harness) Key(typed string) (string, error) {
	if typed == "" || strings.Contains(typed, " ") {
		return "", fmt.Errorf("not a name")
	}
	return strings.ToLower(typed), nil
}
func (h *harness) Policy(*store.User) Policy { return h.policy }
func (h *harness) MFAForAll() bool           { return h.share }
func (h *harness) Remembers() bool           { return h.policy.Remember > 0 }

// Methods of Passwords.
func (h *harness) Verify(_ context.Context, _ Caller, user *store.User, password string) (bool, string, error) {
	h.hashes.Add(1)
	h.pass(72 * time.Millisecond)
	return user != nil && user.Password.Hash != "" && user.Password.Hash == password, "", nil
}

func (h *harness) Set(ctx context.Context, _ Caller, userID, password string) ([]pages.Problem, error) {
	if len(password) < 12 {
		return []pages.Problem{pages.Violation("min_length", map[string]string{"min": "12"})}, nil
	}
	return nil, h.db.Update(ctx, func(tx store.Tx) error {
		user, err := tx.User(userID)
		if err != nil {
			return err
		}
		user.Password = store.Password{Hash: password, Changed: h.now()}
		return tx.PutUser(user)
	})
}

func (h *harness) Rules(*store.User) []pages.Text { return nil }

// Methods of Lockout: three attempts of each kind.
func (h *harness) Allows(tx store.Tx, a Attempt) (bool, error) {
	if a.User == nil {
		return true, nil
	}
	c, err := tx.Counter(a.User.ID + "/" + a.Kind + "/" + a.Device)
	return c.Failures < 3, err
}

func (h *harness) Failed(tx store.Tx, a Attempt) (bool, error) {
	if a.User == nil {
		return false, nil
	}
	key := a.User.ID + "/" + a.Kind + "/" + a.Device
	c, err := tx.Counter(key)
	if err != nil {
		return false, err
	}
	c.Key, c.Failures, c.Updated = key, c.Failures+1, h.now()
	return c.Failures == 3, tx.PutCounter(c)
}

func (h *harness) Completed(tx store.Tx, a Attempt) error { return tx.DeleteCounters(a.User.ID + "/") }

// Methods of Notices.
func (h *harness) mail(text string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mails = append(h.mails, text)
}
func (h *harness) CanMail(u *store.User) bool { return u.Email != "" }
func (h *harness) EnrolmentCode(_ context.Context, u *store.User, _ netip.Addr, code string, _ time.Time) {
	h.mail("code " + u.ID)
	h.codes[u.ID] = code
}
func (h *harness) Locked(_ context.Context, u *store.User)       { h.mail("locked " + u.ID) }
func (h *harness) RecoveryUsed(_ context.Context, u *store.User) { h.mail("recovery " + u.ID) }
func (h *harness) PasswordChanged(_ context.Context, u *store.User) {
	h.mail("password " + u.ID)
}
func (h *harness) FactorAdded(_ context.Context, u *store.User, f *store.Factor) {
	h.mail(string(f.Kind) + " " + u.ID)
}

// externals are the external providers of a harness.
type externals struct{ *harness }

func (h externals) Externals() []broker.External {
	return []broker.External{{ID: "partners", Name: "Partners"}, {ID: "off", Name: "Off", Disabled: true}}
}
func (h externals) Link(_ context.Context, pending *broker.Pending, userID string) error {
	h.linked = append(h.linked, pending.Identity.Subject+" "+userID)
	return nil
}
func (h externals) ForDomain(address string) (string, bool) {
	return "partners", strings.HasSuffix(address, "@partners.example")
}
func (h externals) Begin(w http.ResponseWriter, _ *http.Request, id string, q *request.Request, hint string) {
	h.left = append(h.left, id+" "+hint)
	w.Header().Set("Location", "https://idp.partners.example/")
	w.WriteHeader(http.StatusSeeOther)
}

// Methods of Finisher. The response has what tests check.
func (h *harness) Finish(w http.ResponseWriter, _ *http.Request, q *request.Request, session *store.Session, user *store.User) {
	fmt.Fprintf(w, "finished %s as %s acr=%s amr=%s auth_time=%s", q.ClientID, user.Name, strings.TrimPrefix(session.ACR, "urn:oidc-idp:"), strings.Join(session.AMR, ","), session.AuthTime.UTC().Format("15:04:05"))
}

func (h *harness) Refuse(w http.ResponseWriter, _ *http.Request, q *request.Request, code, _ string) {
	fmt.Fprintf(w, "refused %s: %s", q.ClientID, code)
}

type noApplications struct{}

func (noApplications) Receives(string) bool                     { return false }
func (noApplications) Builtin() []string                        { return nil }
func (noApplications) Notify(context.Context, []store.Delivery) {}

type fakeVault struct{}

func (fakeVault) Seal(_ context.Context, row, column string, value []byte) ([]byte, error) {
	return append([]byte(row+"|"+column+"|"), value...), nil
}

func (fakeVault) Open(_ context.Context, row, column string, sealed []byte) ([]byte, error) {
	value, ok := strings.CutPrefix(string(sealed), row+"|"+column+"|")
	if !ok {
		return nil, fmt.Errorf("does not open")
	}
	return []byte(value), nil
}

func (fakeVault) Pepper(context.Context, string, []byte) ([]byte, string, error) { return nil, "", nil }

func (fakeVault) Keyed(_ context.Context, purpose, text string) ([]byte, error) {
	mac := hmac.New(sha256.New, []byte("key of "+purpose))
	mac.Write([]byte(text))
	return mac.Sum(nil), nil
}

// browser is a browser with cookies and one tab.
type browser struct {
	*harness
	t       testing.TB
	cookies map[string]*http.Cookie
	path    string // of the page
	status  int
	body    string
	header  http.Header
}

func (h *harness) browser() *browser {
	return &browser{harness: h, t: h.t, cookies: make(map[string]*http.Cookie)}
}

func (b *browser) do(method, path string, form url.Values, change ...func(*http.Request)) *browser {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequest(method, issuer+path, body)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return b.took(w, path)
}

func (b *browser) took(w *httptest.ResponseRecorder, path string) *browser {
	b.t.Helper()
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c
		}
	}
	b.status, b.body, b.header, b.path = w.Code, w.Body.String(), w.Header(), path
	if location := w.Header().Get("Location"); w.Code == http.StatusSeeOther && strings.HasPrefix(location, "/") {
		return b.do(http.MethodGet, location, nil)
	}
	return b
}

func (b *browser) get(path string) *browser { b.t.Helper(); return b.do(http.MethodGet, path, nil) }

// begin begins a request, as an application does.
func (b *browser) begin(q request.Request) *browser {
	b.t.Helper()
	q.Kind = "authorize"
	if q.ClientID == "" {
		q.ClientID = "wiki"
	}
	r := httptest.NewRequest(http.MethodGet, issuer+"/authorize", nil)
	for _, c := range b.cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	b.SignIn.Begin(w, r, &q)
	return b.took(w, "/authorize")
}

var (
	formAction = regexp.MustCompile(`<form [^>]*action="([^"]+)"`)
	hidden     = regexp.MustCompile(`<input type="hidden" name="csrf" value="([^"]+)"`)
)

// submit sends the first form of the page.
func (b *browser) submit(pairs ...string) *browser {
	b.t.Helper()
	action := formAction.FindStringSubmatch(b.body)
	if action == nil {
		b.t.Fatalf("expected a form, seen %d %.2000s", b.status, b.body)
	}
	return b.send(html.UnescapeString(action[1]), pairs...)
}

// send sends fields with the form token of the page.
func (b *browser) send(path string, pairs ...string) *browser {
	b.t.Helper()
	token := hidden.FindStringSubmatch(b.body)
	if token == nil {
		b.t.Fatalf("expected a form token, seen %d %.2000s", b.status, b.body)
	}
	form := url.Values{fieldToken: {token[1]}}
	for i := 0; i < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	return b.do(http.MethodPost, path, form)
}

// expect checks that the page has a text.
func (b *browser) expect(text string) *browser {
	b.t.Helper()
	if !strings.Contains(html.UnescapeString(b.body), text) {
		b.t.Fatalf("expected a page with %q, seen %d at %s: %.3000s", text, b.status, b.path, b.body)
	}
	return b
}

// lacks checks that the page does not have a text.
func (b *browser) lacks(text string) *browser {
	b.t.Helper()
	if strings.Contains(html.UnescapeString(b.body), text) {
		b.t.Fatalf("expected a page without %q, seen %d at %s: %.3000s", text, b.status, b.path, b.body)
	}
	return b
}

// beginEnrolment begins a request, as an operator's link does.
func (b *browser) beginEnrolment(userID string) *browser {
	b.t.Helper()
	w := httptest.NewRecorder()
	b.BeginEnrolment(w, httptest.NewRequest(http.MethodGet, issuer+"/enrol", nil), &request.Request{Kind: "authorize", ClientID: "wiki"}, userID)
	return b.took(w, "/enrol")
}

// codeOf returns a code for the seed on a page.
func codeOf(t *testing.T, seed string, counter uint64) string {
	t.Helper()
	code, err := hotp.GenerateCode(strings.ReplaceAll(seed, " ", ""), counter)
	if err != nil {
		t.Fatal(err)
	}
	return code
}
