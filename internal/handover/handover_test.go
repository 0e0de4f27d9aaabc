package handover_test

import (
	"errors"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/address"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/handover"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/seal"
	"github.com/caddy-oidc-rp/caddy-oidc-rp/internal/session"
)

func origin(t testing.TB, text string) address.Origin {
	t.Helper()
	o, err := address.ParseOrigin(text)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func newRing(t testing.TB, secret string) *seal.Ring {
	t.Helper()
	ring, err := seal.NewRing([]byte(strings.Repeat(secret, 32)))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// now has whole seconds, as in a request.
var now = time.Unix(1_700_000_000, 0)

func fullRequest() handover.Request {
	maxAge := 15 * time.Minute
	return handover.Request{
		Origin: "https://app.two.test", Prefix: "/@app/auth", At: now, Store: "storage",
		Transaction: handover.HashTransaction("state"),
		Providers:   []handover.Accepted{{ID: "corp", Binding: session.Bind("i", "c")}, {ID: "x", Binding: session.Bind("j", "d")}}, Wanted: "corp",
		MaxAge: &maxAge, ACR: [][]string{{"a", "b"}, {"c"}}, Requested: session.NamesOf("groups", "email"),
		Parameters: url.Values{"prompt": {"login"}, "ui_locales": {"de en"}},
		Cookie:     "c", Return: "https://app.two.test/x", Ended: session.NewID(), User: "alice",
	}
}

func fullRecord() handover.Record {
	return handover.Record{
		Origin: "https://app.two.test", Transaction: handover.HashTransaction("state"), At: now, Provider: "corp", Binding: session.Bind("i", "c"),
		IDToken: `{"sub":"1"}`, Userinfo: `{"sub":"1","email":"a@b"}`, Lost: true, Scopes: []string{"openid", "email"}, AuthTime: now, Issued: now.Add(time.Second),
		Parent: session.Parent{ID: session.NewID(), Key: "session/ab", SignedIn: now, Expires: now.Add(time.Hour), Provider: "there", Username: "alice"},
		Spared: [session.Aspects]int64{1, 2, 3},
	}
}

func TestRequestsAndRecordsReadBack(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]handover.Request{"a full request": fullRequest(), "an empty one": {Origin: "https://a", At: now}} {
		var read handover.Request
		if err := read.Decode(r.Encode()); err != nil {
			t.Errorf("%s: expected no error, seen %v", name, err)
		}
		if r.Parameters == nil {
			r.Parameters = read.Parameters
		}
		if !reflect.DeepEqual(read, r) {
			t.Errorf("%s: expected %+v, seen %+v", name, r, read)
		}
	}
	record := fullRecord()
	var read handover.Record
	if err := read.Decode(record.Encode()); err != nil {
		t.Errorf("a record: expected no error, seen %v", err)
	}
	if !reflect.DeepEqual(read, record) {
		t.Errorf("a record: expected %+v, seen %+v", record, read)
	}
}

// A request that is truncated, or has an unknown or repeated field, is invalid: the
// unknown field could be a demand.
func TestWhatIsNoRequest(t *testing.T) {
	t.Parallel()
	whole := fullRequest()
	encoded := whole.Encode()
	for size := range encoded {
		if new(handover.Request).Decode(encoded[:size]) == nil {
			t.Errorf("expected an error for the first %d of %d bytes, seen none", size, len(encoded))
		}
	}
	record := fullRecord()
	recorded := record.Encode()
	for size := range recorded {
		if new(handover.Record).Decode(recorded[:size]) == nil {
			t.Errorf("expected an error for the first %d of %d bytes of a record, seen none", size, len(recorded))
		}
	}
	body := encoded[:len(encoded)-1]
	for name, bad := range map[string][]byte{
		"more bytes":         append(append([]byte{}, encoded...), 0),
		"an unknown field":   append(append([]byte{}, body...), 99, 1, 'x', 0),
		"a field twice":      append(append([]byte{}, body...), 1, 1, 'x', 0),
		"an unknown version": append([]byte{2}, encoded[1:]...),
		"too many bytes":     []byte(strings.Repeat("x", 5000)),
		"nothing":            nil,
	} {
		if err := new(handover.Request).Decode(bad); !errors.Is(err, handover.ErrNone) {
			t.Errorf("%s: expected %v, seen %v", name, handover.ErrNone, err)
		}
	}
}

func TestARequestOpensAtItsLoginHostAlone(t *testing.T) {
	t.Parallel()
	ring, host := newRing(t, "a"), origin(t, "https://auth.one.test")
	r := fullRequest()
	sealed, err := r.Seal(ring, host)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := handover.OpenRequest(ring, host, sealed); err != nil {
		t.Errorf("at its login host: expected no error, seen %v", err)
	}
	for name, open := range map[string]func() error{
		"at another login host": func() error {
			_, err := handover.OpenRequest(ring, origin(t, "https://auth.two.test"), sealed)
			return err
		},
		"at another port": func() error {
			_, err := handover.OpenRequest(ring, origin(t, "https://auth.one.test:8443"), sealed)
			return err
		},
		"on plain HTTP": func() error {
			_, err := handover.OpenRequest(ring, origin(t, "http://auth.one.test"), sealed)
			return err
		},
		"with other keys":       func() error { _, err := handover.OpenRequest(newRing(t, "b"), host, sealed); return err },
		"with one byte changed": func() error { _, err := handover.OpenRequest(ring, host, sealed[:40]+"A"+sealed[41:]+""); return err },
		"unsealed":              func() error { _, err := handover.OpenRequest(ring, host, string(r.Encode())); return err },
		"empty":                 func() error { _, err := handover.OpenRequest(ring, host, ""); return err },
		"a record": func() error {
			_, err := handover.OpenRequest(ring, host, ring.Seal(seal.ForHandover, "handover record\x00https://auth.one.test", r.Encode()))
			return err
		},
		"another purpose": func() error {
			_, err := handover.OpenRequest(ring, host, ring.Seal(seal.ForTransaction, "handover request\x00https://auth.one.test", r.Encode()))
			return err
		},
	} {
		if open() == nil {
			t.Errorf("%s: expected an error, seen none", name)
		}
	}
	r.ACR = [][]string{{strings.Repeat("x", 3000)}}
	if _, err := r.Seal(ring, host); !errors.Is(err, handover.ErrSize) {
		t.Errorf("a large request: expected %v, seen %v", handover.ErrSize, err)
	}
}

func TestARecordOpensWithItsTicketAtItsSiteAlone(t *testing.T) {
	t.Parallel()
	ring, record, ticket := newRing(t, "a"), fullRecord(), handover.NewTicket()
	sealed, err := ticket.Seal(ring, &record)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(sealed), "alice") {
		t.Error("expected a sealed record, seen a name in it")
	}
	if _, err := ticket.Open(ring, record.Origin, sealed); err != nil {
		t.Errorf("expected no error, seen %v", err)
	}
	if _, err := ticket.Open(ring, "https://wiki.three.test", sealed); err == nil {
		t.Error("at another site: expected an error, seen none")
	}
	if _, err := handover.NewTicket().Open(ring, record.Origin, sealed); err == nil {
		t.Error("with another ticket: expected an error, seen none")
	}
	if _, err := ticket.Open(newRing(t, "b"), record.Origin, sealed); err == nil {
		t.Error("with other keys: expected an error, seen none")
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := ticket.Open(ring, record.Origin, sealed); err == nil {
		t.Error("changed: expected an error, seen none")
	}
}

func TestTicketsHaveOneText(t *testing.T) {
	t.Parallel()
	ticket := handover.NewTicket()
	text := ticket.String()
	if read, ok := handover.ParseTicket(text); !ok || read != ticket {
		t.Errorf("expected %s, seen %s", text, read)
	}
	name, err := ticket.Name()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(name, text) {
		t.Error("expected a name that does not show the ticket")
	}
	for _, bad := range []string{"", "x", text + "A", text[:len(text)-1], text[:len(text)-1] + "=", text[:10] + "\n" + text[11:], strings.Repeat("/", len(text)), "AAAAAAAAAAAAAAAAAAAAAB"} {
		if _, ok := handover.ParseTicket(bad); ok {
			t.Errorf("%q: expected no ticket, seen one", bad)
		}
	}
}

func TestWhenRequestsAndRecordsAreOver(t *testing.T) {
	t.Parallel()
	record, request := fullRecord(), fullRequest()
	for _, tc := range []struct {
		after        time.Duration
		record, over bool
	}{
		{0, false, false}, {59*time.Second + 999*time.Millisecond, false, false}, {time.Minute, true, false}, {61 * time.Second, true, false},
		{15*time.Minute - time.Second, true, false}, {15 * time.Minute, true, true}, {time.Hour, true, true},
		{-4 * time.Second, false, false}, {-5 * time.Second, true, true}, {-time.Hour, true, true},
	} {
		if got := record.IsOver(now.Add(tc.after)); got != tc.record {
			t.Errorf("a record after %s: expected %t, seen %t", tc.after, tc.record, got)
		}
		if got := request.IsOver(now.Add(tc.after)); got != tc.over {
			t.Errorf("a request after %s: expected %t, seen %t", tc.after, tc.over, got)
		}
	}
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, origin string
		want            bool
	}{
		{"app.example.com", "https://app.example.com", true},
		{"app.example.com", "https://app.example.com:8443", true},
		{"APP.example.com", "https://app.example.com", true},
		{"app.example.com:8443", "https://app.example.com:8443", true},
		{"app.example.com:8443", "https://app.example.com", false},
		{"app.example.com:443", "https://app.example.com", true},
		{"app.example.com:443", "http://app.example.com", false},
		{"app.example.com:80", "http://app.example.com", true},
		{"*.example.com", "https://app.example.com", true},
		{"*.example.com", "https://a.b.example.com", false},
		{"*.example.com", "https://example.com", false},
		{"*.*.example.com", "https://a.b.example.com", true},
		{"*.example.com", "https://app.example.com.evil.test", false},
		{"*.example.com", "https://evilexample.com", false},
		{"app.*.com", "https://app.example.com", true},
		{"app.example.com", "https://xapp.example.com", false},
		{"127.0.0.1:8080", "http://127.0.0.1:8080", true},
		{"[::1]", "https://[::1]:8443", true},
		{"[::1]:8443", "https://[::1]", false},
	} {
		p, err := handover.ParsePattern(tc.pattern)
		if err != nil {
			t.Errorf("%s: %v", tc.pattern, err)
			continue
		}
		if got := p.Matches(origin(t, tc.origin)); got != tc.want {
			t.Errorf("%s matches %s: expected %t, seen %t", tc.pattern, tc.origin, tc.want, got)
		}
	}
	for _, bad := range []string{"", "https://a.example", "a.example/x", "a*.example", "*a.example", "a..example", "a.example:", "a.example:0", "a.example:99999", "user@a.example", "a b", "a.example?x", "a.example#x", "**.example"} {
		if _, err := handover.ParsePattern(bad); err == nil {
			t.Errorf("%q: expected an error, seen none", bad)
		}
	}
	if err := handover.CheckPattern("{env.HOST}"); err != nil {
		t.Errorf("a placeholder: expected no error, seen %v", err)
	}
}

func FuzzRequest(f *testing.F) {
	full := fullRequest()
	f.Add(full.Encode())
	f.Add([]byte{1, 0, 1, 1, 'a', 0})
	f.Fuzz(func(t *testing.T, encoded []byte) {
		var r handover.Request
		if r.Decode(encoded) != nil {
			return
		}
		var again handover.Request
		if err := again.Decode(r.Encode()); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if r.Origin != again.Origin || r.Return != again.Return || r.Transaction != again.Transaction || !reflect.DeepEqual(r.Providers, again.Providers) {
			t.Fatalf("expected %+v, seen %+v", r, again)
		}
	})
}

func FuzzRecord(f *testing.F) {
	full := fullRecord()
	f.Add(full.Encode())
	f.Fuzz(func(t *testing.T, encoded []byte) {
		var r, again handover.Record
		if r.Decode(encoded) != nil {
			return
		}
		if err := again.Decode(r.Encode()); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if r.Origin != again.Origin || r.IDToken != again.IDToken || r.Parent.ID != again.Parent.ID {
			t.Fatalf("expected %+v, seen %+v", r, again)
		}
	})
}
